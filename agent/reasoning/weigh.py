"""What a model's diagnosis does to the analyst's scores: it reorders causes, within bounds that hold whatever it says.

It may lower any cause as far as it likes: that leads to fewer remedies. It may raise one cause by at most MOST_RAISE
above the analyst's own confidence, so that no model can talk a cause into being applied that the figures do not carry.
"""

import math

from agent.analyst.cause_table import CAUSES
from store.model.incident import Cause, CauseScore
from tools.reasoner.inquiry import Diagnosis

MOST_RAISE = 0.3
RULED_OUT = 0.25
"""What is left of the confidence of a cause that is ruled out."""
WORTH_NAMING = 0.01


def weigh(causes: tuple[CauseScore, ...], diagnosis: Diagnosis) -> tuple[CauseScore, ...]:
    """The causes, best first; their confidences add up to at most 1."""
    before = {score.cause: score for score in causes}
    ruled_out = {ruled.cause: tuple(ruled.evidence) for ruled in diagnosis.ruled_out}
    chosen = before.get(diagnosis.cause)
    sure = min(diagnosis.confidence, (chosen.confidence if chosen else 0.0) + MOST_RAISE)
    others = {
        cause: score.confidence * (RULED_OUT if cause in ruled_out else 1.0)
        for cause, score in before.items()
        if cause != diagnosis.cause
    }
    # Whoever is sure of one cause leaves only the rest to all others, also where its own rise is bounded.
    room, whole = 1 - diagnosis.confidence, sum(others.values())
    scale = min(1.0, room / whole) if whole > 0 else 0.0
    scores = [
        CauseScore(
            cause=diagnosis.cause,
            confidence=_cut(sure),
            supported_by=tuple(dict.fromkeys(diagnosis.evidence)),
            contradicted_by=_without(chosen.contradicted_by if chosen else (), diagnosis.evidence),
            because=_because(diagnosis.cause),
        )
    ]
    for cause, confidence in others.items():
        if confidence * scale < WORTH_NAMING and cause != "unknown":
            continue
        against = (*before[cause].contradicted_by, *ruled_out.get(cause, ()))
        update = {"confidence": _cut(confidence * scale), "contradicted_by": tuple(dict.fromkeys(against))}
        scores.append(before[cause].model_copy(update=update))
    return tuple(sorted(scores, key=lambda score: -score.confidence))


def _because(cause: Cause) -> str:
    return CAUSES[cause].because if cause in CAUSES else "No cause that we know fits better."


def _without(ids: tuple[str, ...], taken: list[str]) -> tuple[str, ...]:
    return tuple(one for one in ids if one not in taken)


def _cut(confidence: float) -> float:
    """Four digits, rounded down: the confidences together must not pass 1."""
    return math.floor(confidence * 10_000) / 10_000
