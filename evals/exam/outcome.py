"""All that a run of the service came to as plain data, without sentences and ids, so that two runs can be compared."""

from collections.abc import Iterator, Mapping

from agent.backtest import Backtest

_WORDS = frozenset(
    {"id", "incident_id", "remedy_id", "says", "because", "detail", "message", "assumption", "quality_note", "undo_note",
     "policy_version"}
)  # fmt: skip
"""Sentences are free to name things; ids are digests of names."""


def outcome_of(run: Backtest) -> object:
    """Incidents with findings, proposals and rulings, and notes on the data, in the order of the run."""
    return _plain(
        {
            "incidents": [
                {
                    "incident": incident.model_dump(mode="json"),
                    "finding": run.findings[incident.id].model_dump(mode="json") if incident.id in run.findings else None,
                    "proposals": [
                        [proposal.model_dump(mode="json"), ruling.model_dump(mode="json") if ruling else None]
                        for proposal, ruling in run.proposals.get(incident.id, [])
                    ],
                }
                for incident in run.incidents
            ],
            "trust": [note.model_dump(mode="json") for note in run.trust],
        }
    )


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
