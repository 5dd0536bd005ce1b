"""All that a run of the service came to as plain data, without sentences and ids, so that two runs can be compared."""

from collections.abc import Iterator, Mapping

from agent.backtest import Backtest
from evals.exam.hostile import unmasked
from store.model.canonical import canonical_json

_WORDS = frozenset(
    {
        *("id", "incident_id", "remedy_id", "policy_version"),
        *("says", "because", "detail", "message", "assumption", "quality_note", "undo_note"),
    }
)
"""Sentences are free to name things; ids are digests of names."""


def outcome_of(run: Backtest, names: Mapping[str, str] | None = None) -> dict[str, object]:
    """Incidents with findings, proposals and rulings, and notes on the data; `names` puts hostile values back.

    Incidents are in the order of what they say: that of the run goes by ids where two began together.
    """
    incidents = [
        {
            "incident": incident.model_dump(mode="json"),
            "finding": run.findings[incident.id].model_dump(mode="json") if incident.id in run.findings else None,
            "proposals": [
                [proposal.model_dump(mode="json"), ruling.model_dump(mode="json") if ruling else None]
                for proposal, ruling in run.proposals.get(incident.id, [])
            ],
        }
        for incident in run.incidents
    ]
    known = names or {}
    return {
        "incidents": sorted((unmasked(_plain(one), known) for one in incidents), key=canonical_json),
        "trust": [unmasked(_plain(note.model_dump(mode="json")), known) for note in run.trust],
    }


def differences(one: object, other: object, where: str = "") -> Iterator[str]:
    """Where two outcomes differ, as paths."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            yield from differences(one.get(key), other.get(key), f"{where}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{where}[{i}]")
    elif one != other:
        yield where


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items() if key not in _WORDS}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    # Sums of floats may depend on the order of names in the last digits.
    return float(f"{value:.9g}") if isinstance(value, float) else value
