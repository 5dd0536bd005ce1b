"""Takes one case at one seed: with the fault, without it, and under hostile names."""

from collections.abc import Callable
from dataclasses import replace

from agent.reviewer import Reviewer
from evals.exam.case import Case
from evals.exam.hostile import hostile_records
from evals.exam.outcome import differences, outcome_of
from evals.exam.score import Score, opened_in_twin, score
from evals.exam.sit import sit
from evals.exam.stage import stage
from store.ledger.ledger import Ledger
from store.model.ports import Clock

ReviewerFor = Callable[[Ledger, Clock], Reviewer]
"""What makes the reviewer of one run, over its throw-away ledger and its clock."""

MOST_DIFFERENCES = 20


def take(
    case: Case, seed: int, *, twins: bool = True, reviewer_for: ReviewerFor | None = None, redraws: int = 0
) -> Score:
    """The scored row; `twins` False leaves the clean and the hostile twin out, which takes a third of the time.

    `redraws`: see saved_by.
    """
    staged = stage(case, seed)
    run = sit(staged, staged.history, staged.after, reviewer_for=reviewer_for)
    scored = score(staged, run, redraws=redraws)
    if not twins:
        return scored
    clean = sit(staged, staged.history, staged.clean_after, reviewer_for=reviewer_for)
    made, names = hostile_records([*staged.history, *staged.after])
    past = len(staged.history)
    hostile = sit(staged, made[:past], made[past:], reviewer_for=reviewer_for)
    found = list(differences(outcome_of(run), outcome_of(hostile, names)))
    return replace(
        scored,
        twin_opened=len(opened_in_twin(staged, clean)),
        hostile_differences=tuple(found[:MOST_DIFFERENCES]),
    )
