"""How well each cause of the taxonomy fits the numbers: a table of tests, and what follows from them."""

from collections.abc import Mapping
from typing import NamedTuple

from agent.analyst.cause_table import CAUSES, CauseTests, Ramp
from agent.analyst.notebook import Notebook
from store.model.incident import Cause, CauseScore

SHARPNESS = 3
"""How much a better fit wins over a lesser one."""

UNKNOWN_FIT = 0.35
"""The fit of "something that we do not know": a cause must fit better than this to be believed."""

WORTH_NAMING = 0.01


class Fit(NamedTuple):
    """A cause's fit in [0, 1] and the evidence ids that speak for and against it."""

    fit: float
    supported_by: tuple[str, ...]
    contradicted_by: tuple[str, ...]


def score_causes(notebook: Notebook) -> tuple[CauseScore, ...]:
    """Confidences of all causes that are worth naming, best first; they add up to at most 1.

    A cause's fit is the weakest of what it needs, times what supports it, times what is left after each objection.
    Fits compete, `unknown` among them with a fixed fit, and no confidence exceeds its fit: where nothing fits,
    `unknown` comes first. Only counts and shares are tested, never a text that came with the traffic.
    """
    fits = {cause: fit(tests, notebook) for cause, tests in CAUSES.items()}
    return _compete(fits)


def fit(tests: CauseTests, notebook: Notebook) -> Fit:
    """Run one cause's tests. What is needed and not known counts as absent; an objection not known does not count."""
    held: list[str] = []
    broken: list[str] = []

    def level(ramp: Ramp) -> float | None:
        value = notebook.number(ramp.measure)
        return None if value is None else ramp.level(value)

    def file(ramp: Ramp, *, holds: bool) -> None:
        origin = notebook.origin(ramp.measure)
        if origin is not None:
            (held if holds else broken).append(origin)

    strength = 1.0
    for need in tests.needs:
        found = level(need) or 0.0
        strength = min(strength, found)
        file(need, holds=found >= 0.5)
    support = 0.0
    for ramp, weight in tests.supports:
        found = level(ramp) or 0.0
        support += weight * found
        if found >= 0.5:
            file(ramp, holds=True)
    strength *= 0.4 + 0.6 * support
    for ramp, weight in tests.unless:
        found = level(ramp) or 0.0
        strength *= 1 - weight * found
        if found >= 0.5:
            file(ramp, holds=False)
    return Fit(strength, tuple(dict.fromkeys(held)), tuple(e for e in dict.fromkeys(broken) if e not in held))


def _compete(fits: Mapping[Cause, Fit]) -> tuple[CauseScore, ...]:
    pull = {cause: found.fit**SHARPNESS for cause, found in fits.items()}
    whole = sum(pull.values()) + UNKNOWN_FIT**SHARPNESS
    scores = [
        CauseScore(
            cause=cause,
            confidence=_cut(min(found.fit, pull[cause] / whole)),
            supported_by=found.supported_by,
            contradicted_by=found.contradicted_by,
            because=CAUSES[cause].because,
        )
        for cause, found in fits.items()
        if min(found.fit, pull[cause] / whole) >= WORTH_NAMING
    ]
    unknown = CauseScore(
        cause="unknown",
        confidence=_cut(UNKNOWN_FIT**SHARPNESS / whole) if scores else 1.0,
        because="No cause that we know fits better.",
    )
    return tuple(sorted([*scores, unknown], key=lambda score: -score.confidence))


def _cut(confidence: float) -> float:
    """Four digits, rounded down: the confidences together must not pass 1."""
    return int(confidence * 10_000) / 10_000
