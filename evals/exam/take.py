"""Takes one case at one seed: with the fault, without it, and under hostile names."""

from dataclasses import replace

from evals.exam.case import Case
from evals.exam.hostile import hostile_records
from evals.exam.outcome import differences, outcome_of
from evals.exam.score import Score, opened_in_twin, score
from evals.exam.sit import sit
from evals.exam.stage import stage

MOST_DIFFERENCES = 20


def take(case: Case, seed: int, *, twins: bool = True) -> Score:
    """The scored row; `twins` False leaves the clean and the hostile twin out, which takes a third of the time."""
    staged = stage(case, seed)
    run = sit(staged, staged.history, staged.after)
    scored = score(staged, run)
    if not twins:
        return scored
    clean = sit(staged, staged.history, staged.clean_after)
    made, names = hostile_records([*staged.history, *staged.after])
    hostile = sit(staged, made[: len(staged.history)], made[len(staged.history) :])
    found = list(differences(outcome_of(run), outcome_of(hostile, names)))
    return replace(
        scored,
        twin_opened=len(opened_in_twin(staged, clean)),
        hostile_differences=tuple(found[:MOST_DIFFERENCES]),
    )
