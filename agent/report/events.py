"""The events of the outbox as sentences for a thread."""

from collections.abc import Mapping
from typing import Any, cast

from agent.report import wording
from store.model.remedy import Outcome, RemedyState


def event_text(kind: str, payload: Mapping[str, Any]) -> str:
    """One event of the outbox as a sentence for the thread; "" where it needs none."""
    if kind == "approval_requested":
        return "A new plan waits for a decision; it stands in the first message."
    if kind == "observed":
        return "A plan was recorded and nothing was changed; it stands in the first message."
    if kind == "applied_by_rule":
        return f"Approved without asking, by {_by(payload)}. Once it is in force, Undo takes it back."
    if kind == "escalation":
        return f"Still waiting for a decision: {payload.get('share_percent')} % of the time is over."
    if kind == "remedy_changed":
        return _changed(payload)
    return ""


def kill_switch_text(payload: Mapping[str, Any]) -> str:
    """The kill switch was turned."""
    position = "on: nothing new is applied" if payload.get("on") else "off: changes are allowed again"
    reason = f" ({payload['reason']})" if payload.get("reason") else ""
    return f"The kill switch is {position}. Turned by {payload.get('by')}{reason}."


def _changed(payload: Mapping[str, Any]) -> str:
    """A remedy moved: somebody decided, or the walk took a step."""
    if payload.get("decided_by"):
        return _decided(payload)
    state, outcome = cast("RemedyState", payload["state"]), cast("Outcome | None", payload.get("outcome"))
    ended = outcome is not None and state in ("closed", "paging")
    says = wording.ending_text(state, outcome) if ended and outcome else wording.STATES[state]
    note = f". {_sentence(str(payload['note']))}" if payload.get("note") else ""
    return _sentence(f"{'a person must look: ' if state == 'paging' else ''}{says}{note}")


def _decided(payload: Mapping[str, Any]) -> str:
    by, outcome = _by(payload), cast("Outcome", payload["outcome"])
    reason = f": {payload['reason']}" if payload.get("reason") else ""
    if payload["decided_by"] == "clock":
        return "Nobody decided in time; nothing is changed."
    return _sentence(f"{wording.OUTCOMES[outcome]} by {by}{reason}")


def _by(payload: Mapping[str, Any]) -> str:
    return wording.deciders_text(tuple(str(payload.get("decided_by") or "a rule").split(", ")))


def _sentence(says: str) -> str:
    return f"{says[:1].upper()}{says[1:].rstrip('.')}."
