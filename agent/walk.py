"""A remedy's walk, pure: which step is next, how the gateway stands to a plan, and what a remedy becomes.

approved            -> apply      sets the values; ends in verifying, applying (not in force yet), unknown, closed
applying, unknown   -> resolve    observes, never sends; ends in verifying, approved (send again), closed, paging
verifying, kept     -> verify     measures; ends in kept, verifying (hold), or asks for a revert
any of those, asked -> revert     (`revert_reason` is set) observes, restores what is ours; ends in closed, paging
reverting           -> revert     the same again
lease over          -> expire     observes; ends in closed, or asks for a revert
anything else       -> done       nothing to do
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from store.model.ports import Observed
from store.model.remedy import Action, Outcome, Proposal, Remedy, base_versions
from store.model.usage import from_us, to_us

Step = Literal["apply", "resolve", "verify", "expire", "revert", "done"]


class Pace(NamedTuple):
    """How patient the reconciler is. Seconds, and counts of tries."""

    lease_seconds: int = 120
    """A claim lasts so long; a gateway's client must give up far earlier (10 s)."""
    retry_seconds: int = 60
    """Between two looks at something that is not settled."""
    data_delay_seconds: int = 300
    """Usage of a moment is complete so long after it."""
    observations: int = 3
    """An unknown outcome is observed so often before a person is called."""
    applies: int = 3
    """An approved plan is sent at most so often."""
    decision_seconds: int = 24 * 3600
    """An approval that could not be carried out for so long is stale."""
    people_seconds: int = 900
    """Between two looks at a pull request or an issue that waits for people."""


PACE = Pace()
"""The pace of a service that ticks every minute."""


def next_step(remedy: Remedy, now: datetime) -> Step:
    """Which step a remedy needs now."""
    match remedy.state:
        case "approved":
            return "apply"
        case "applying" | "unknown":
            return "resolve"
        case "reverting":
            return "revert"
        case "verifying" | "kept":
            if remedy.revert_reason is not None:
                return "revert"
            return "expire" if lease_over(remedy, now) else "verify"
        case _:
            return "done"


def lease_over(remedy: Remedy, now: datetime) -> bool:
    """Whether the change should have been returned by now. A change made permanent has no end."""
    return remedy.lease_ends_at is not None and now >= remedy.lease_ends_at


# --- how the gateway stands to a plan --------------------------------------------------------------------------

Standing = Literal["ours", "as_planned", "drift"]


def effects(proposal: Proposal) -> tuple[Action, ...]:
    """The actions that change a gateway; a Notify changes nothing."""
    return tuple(action for action in proposal.actions if action.kind != "notify")


def standing(action: Action, seen: Observed, *, marker: str, planned: str | None = None, cas: bool = False) -> Standing:
    """Ours (our value under our marker), as it was when the plan was made, or changed by somebody else since.

    Where the gateway compares and sets, "as planned" also means the `planned` version: a value that moved and came
    back is a human's doing too. What people have taken up, or turned down, was ours: it is not sent again.
    """
    if seen.marker == marker and (seen.value == action.to or seen.taken is not None):
        return "ours"
    if seen.value != action.was or seen.marker == marker:
        return "drift"
    return "drift" if cas and seen.version != planned else "as_planned"


def standings(proposal: Proposal, seen: Sequence[Observed], *, cas: bool) -> list[Standing]:
    """How each effect of the plan stands, in order; `seen` has one entry per effect."""
    actions = effects(proposal)
    planned = base_versions(proposal.base_version, len(actions))
    return [
        standing(action, one, marker=proposal.remedy_id, planned=version, cas=cas)
        for action, one, version in zip(actions, seen, planned, strict=True)
    ]


Plight = Literal["in_force", "spreading", "partial", "drift", "absent"]


def plight(stands: Sequence[Standing], *, in_force: bool) -> Plight:
    """What the standings of a whole plan amount to after it was sent; `in_force`: every probe said yes."""
    if all(stand == "ours" for stand in stands):
        return "in_force" if in_force else "spreading"
    if "ours" in stands:
        return "partial"
    return "drift" if "drift" in stands else "absent"


Return = Literal["ours", "returned", "drift", "taken"]


def return_standing(action: Action, seen: Observed, *, marker: str, over: bool) -> Return:
    """Whether a change is still ours to return, is returned, became somebody else's, or was answered by people.

    Absence after the lease's end (`over`) is a return: gateways drop what expires.
    """
    if seen.taken is not None and seen.taken.remedy == marker:
        return "taken"
    if seen.marker == marker:
        return "ours" if seen.value == action.to else "drift"
    return "returned" if seen.value == action.was or (over and not seen.value) else "drift"


def idempotency_key(proposal: Proposal, verb: Literal["apply", "revert"], position: int) -> str:
    """The same over all tries, whoever tries: "remedy:revision:verb", and the position of a further action."""
    key = f"{proposal.remedy_id}:{proposal.revision}:{verb}"
    return key if position == 0 else f"{key}:{position}"


# --- what a remedy becomes -------------------------------------------------------------------------------------


def check_window_start(applied_at: datetime, propagation_seconds: int) -> datetime:
    """When measuring begins: after the change has spread, at the next full 5 minutes, as rollups are kept."""
    spread_us = to_us(applied_at + timedelta(seconds=propagation_seconds))
    return from_us(-(-spread_us // _BUCKET_US) * _BUCKET_US)


def to_verifying(remedy: Remedy, proposal: Proposal, *, applied_at: datetime, propagation: int, pace: Pace) -> Remedy:
    """The change is in force; look at what it did after the check window and the data's delay."""
    start = check_window_start(applied_at, propagation)
    due = start + timedelta(seconds=proposal.check.window_seconds + pace.data_delay_seconds)
    if remedy.lease_ends_at is not None:
        due = min(due, remedy.lease_ends_at)
    return remedy.model_copy(
        update={
            "state": "verifying",
            "outcome": "applied",
            "applied_at": applied_at,
            "due_at": applied_at if remedy.revert_reason is not None else due,
            "attempts": 0,
        }
    )


def to_unknown(remedy: Remedy, now: datetime, pace: Pace) -> Remedy:
    """The gateway did not say; observe before anything else."""
    return remedy.model_copy(update={"state": "unknown", "outcome": "unknown", "due_at": later(now, pace)})


def to_spreading(remedy: Remedy, now: datetime, *, propagation: int, pace: Pace) -> Remedy:
    """The gateway holds the values and traffic does not meet them yet."""
    wait = timedelta(seconds=max(propagation, pace.retry_seconds))
    return remedy.model_copy(update={"state": "applying", "due_at": now + wait})


def to_approved(remedy: Remedy, *, due_at: datetime) -> Remedy:
    """Nothing was changed; the decision stands and is carried out at `due_at`."""
    return remedy.model_copy(update={"state": "approved", "outcome": "approved", "due_at": due_at, "attempts": 0})


def to_rollback(remedy: Remedy, now: datetime, *, outcome: Outcome, reason: str) -> Remedy:
    """Part or all of the change is in force and must go; the revert step does it next."""
    return remedy.model_copy(
        update={"state": "verifying", "outcome": outcome, "revert_reason": reason, "due_at": now, "attempts": 0}
    )


def to_closed(remedy: Remedy, outcome: Outcome) -> Remedy:
    """The walk has ended."""
    return remedy.model_copy(update={"state": "closed", "outcome": outcome, "due_at": None})


def to_paging(remedy: Remedy, outcome: Outcome) -> Remedy:
    """A person must look; nothing more happens by itself."""
    return remedy.model_copy(update={"state": "paging", "outcome": outcome, "due_at": None})


def looked_in_vain(remedy: Remedy, now: datetime, pace: Pace) -> Remedy | None:
    """One more look without an answer; None when it was the last that is allowed."""
    if remedy.attempts + 1 >= pace.observations:
        return None
    return remedy.model_copy(update={"due_at": later(now, pace), "attempts": remedy.attempts + 1})


def later(now: datetime, pace: Pace) -> datetime:
    """When to look again at what is not settled."""
    return now + timedelta(seconds=pace.retry_seconds)


_BUCKET_US = 300 * 10**6
