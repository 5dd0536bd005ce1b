"""The case as a model is told it: the analyst's finding in numbers, words of ours and opaque ids."""

import json
import re

from agent.analyst.case import CaseData
from agent.reasoning.masks import Masks
from store.model.incident import Evidence, Finding
from store.model.money import usd_number
from store.model.usage import Window, iso

OF_DIMENSION = {
    "session_id": "session_id",
    "model": "model",
    "previous_model": "model",
    "provider": "provider",
    "api_key_id": "api_key_id",
    "end_user": "end_user",
    "environment": "environment",
    "key_environment": "environment",
    "tool": "tool",
    "tool_agent": "agent",
    "agent": "agent",
    "trace_id": "trace_id",
}
"""Which dimension a text among the facts is a value of; any other text is left out."""

_OUR_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)?")

Shown = float | int | bool | str | None


def brief(case: CaseData, finding: Finding, masks: Masks) -> str:
    """One JSON object: the incident, drivers, causes, suspects, evidence and facts."""
    incident = case.incident
    measured = {name for one in finding.evidence for name in one.data}
    more = {name: value for name, value in finding.facts.items() if name not in measured}
    return json.dumps(
        {
            "incident": {
                "excess_usd": usd_number(finding.excess_nanos),
                "baseline_usd": number(incident.baseline_nanos / 1e9),
                "actual_usd": number(incident.actual_nanos / 1e9),
                "signals": list(incident.signals),
                "scope": masks.scope(incident.scope),
                "compared_scope": masks.scope(case.core),
                "now": span(case.window),
                "reference": [span(window) for window in case.reference.windows],
                "reference_is": case.reference.says,
            },
            "drivers": [{"driver": one.driver, "usd": usd_number(one.nanos)} for one in finding.drivers],
            "causes": [
                {
                    "cause": one.cause,
                    "confidence": one.confidence,
                    "supported_by": list(one.supported_by),
                    "contradicted_by": list(one.contradicted_by),
                }
                for one in finding.causes
            ],
            "suspects": [
                {"scope": masks.scope(one.scope), "explained": number(one.explained), "usd": number(one.nanos / 1e9)}
                for one in finding.suspects
            ],
            "evidence": [_evidence(one, case, masks) for one in finding.evidence],
            "facts": _shown(more, masks),
        }
    )


def span(window: Window) -> dict[str, str]:
    """A window as text."""
    return {"start": iso(window.start), "end": iso(window.end)}


def number(value: float) -> float:
    """Six digits say enough, and cost fewer tokens."""
    return float(f"{value:.6g}")


def _evidence(evidence: Evidence, case: CaseData, masks: Masks) -> dict[str, object]:
    """One fact; most are of the compared scope, which need not be said each time."""
    told: dict[str, object] = {"id": evidence.id, "query": evidence.query}
    if evidence.scope != case.core:
        told["scope"] = masks.scope(evidence.scope)
    return {**told, "figures": _shown(evidence.data, masks)}


def _shown(data: dict[str, Shown], masks: Masks) -> dict[str, Shown]:
    """Numbers as they are, values of dimensions as ids, amounts in USD; other text is left out."""
    shown: dict[str, Shown] = {}
    for name, value in data.items():
        if not _OUR_NAME.fullmatch(name):
            continue
        if isinstance(value, str):
            if name in OF_DIMENSION:
                shown[name] = masks.id_of(OF_DIMENSION[name], value)
        elif isinstance(value, bool) or value is None:
            shown[name] = value
        elif "nanos" in name:
            shown[name.replace("nanos", "usd")] = number(value / 1e9)
        else:
            shown[name] = number(value)
    return shown
