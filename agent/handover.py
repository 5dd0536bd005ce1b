"""What people make of a plan that is theirs to take up, a pull request or an issue. Pure.

open             waits: nothing is measured, and it is taken back at its lease's end
merged, done     in force since then, and for good; measured for as long as the lease would have lasted
turned down      closed as rejected
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agent.walk import Pace, check_window_start, effects, lease_over, to_closed
from playbooks.direction import tells
from store.model.ports import Observed, Taken
from store.model.remedy import Proposal, Remedy
from store.model.usage import iso


def is_theirs(proposal: Proposal) -> bool:
    """Whether nothing of the plan takes effect until people take it up."""
    return all(tells(action) for action in effects(proposal))


def answer_of(proposal: Proposal, seen: Sequence[Observed]) -> Taken | None:
    """People's answer to a whole plan; `seen` has one entry per effect.

    Turned down as soon as a part of it is; taken up when the last part is; None while it waits.
    """
    found = [one.taken for one in seen if one.taken is not None and one.taken.remedy == proposal.remedy_id]
    no = [one for one in found if not one.up]
    if no:
        return min(no, key=lambda one: one.at)
    return max(found, key=lambda one: one.at) if found and len(found) == len(seen) else None


def answered(
    remedy: Remedy, proposal: Proposal, answer: Taken, *, now: datetime, pace: Pace, undo: bool = False
) -> tuple[Remedy, str]:
    """What a remedy becomes by people's answer, and why; `undo`: it was about to be taken back.

    What is taken up took effect when they did it, keeps no revert, and is closed as made permanent at the end of its
    measuring.
    """
    if not answer.up:
        return to_closed(remedy, "rejected"), f"people closed it at {iso(answer.at)} without taking it up"
    found = remedy
    if remedy.applied_at != answer.at:
        ends = None if remedy.lease_ends_at is None else answer.at + timedelta(seconds=proposal.lease_seconds)
        found = remedy.model_copy(
            update={"applied_at": answer.at, "lease_ends_at": ends, "outcome": "made_permanent", "attempts": 0}
        )
    says = f"people took it up at {iso(answer.at)}, and it stays"
    if lease_over(found, now):
        return to_closed(found, "made_permanent"), f"{says}; it is not measured any longer"
    due = check_window_start(answer.at, 0) + timedelta(seconds=proposal.check.window_seconds + pace.data_delay_seconds)
    if found.lease_ends_at is not None:
        due = min(due, found.lease_ends_at)
    state = "kept" if found.outcome == "worked" else "verifying"
    says = f"{says}: to undo it, undo the merge" if undo else f"{says}; what it saves is measured from then on"
    return found.model_copy(update={"state": state, "revert_reason": None, "due_at": max(due, now)}), says
