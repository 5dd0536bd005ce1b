"""verify: measure what a change in force did, and keep it, hold it, or ask for its revert."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from agent.failpoints import Failpoint, nothing
from agent.handover import answer_of, answered, is_theirs
from agent.verification import VerificationFacts, verify_facts
from agent.walk import (
    PACE,
    Pace,
    check_window_start,
    effects,
    lease_over,
    return_standing,
    to_closed,
    to_paging,
    to_rollback,
)
from store.errors import StorageFailed
from store.ledger.ledger import Ledger
from store.model.ports import Clock, GatewayReader, Observed, Unreadable
from store.model.remedy import Claim, Proposal, Remedy, Verification
from store.model.usage import Window, floor_to

Measure = Callable[[Proposal, Remedy, Window], VerificationFacts | None]
"""What was measured for the remedy's scope over a window; None where there is nothing to measure."""


def verify(
    *,
    claim: Claim,
    ledger: Ledger,
    reader: GatewayReader,
    measure: Measure,
    clock: Clock,
    pace: Pace = PACE,
    failpoint: Failpoint = nothing,
) -> Remedy | None:
    """Measure a claimed remedy that is `verifying` or `kept`; what it became, or None when the claim was lost.

    The window runs from the end of the last conclusive one to what data there can be by now, and is judged once it
    is `check.window_seconds` long. worked: kept, and measured again. harmed: revert. no_effect: revert, unless it
    had worked before (then the spike has ended). inconclusive: held and measured again, at most to the lease's end.
    A change that is not ours any more is left alone: drifted.

    What waits for people is looked at again and again, and measured from when they took it up. It is theirs then: no
    effect yet is held, for a merge is not a release; harm calls a person.
    """
    remedy = ledger.remedy(claim.remedy_id)
    proposal = None if remedy is None else ledger.proposal(remedy.remedy_id, remedy.revision)
    if remedy is None or proposal is None or remedy.applied_at is None:
        raise StorageFailed(f"{claim.remedy_id} is in force and its rows are gone; restore a backup")
    now = clock()
    since = check_window_start(remedy.applied_at, reader.capabilities().propagation_seconds)
    window = _window(since, ledger.verifications(remedy.remedy_id), now - timedelta(seconds=pace.data_delay_seconds))
    verification: Verification | None = None
    seen = _look(proposal, reader)
    answer = answer_of(proposal, seen)
    if answer is not None and not (answer.up and answer.at == remedy.applied_at):
        ended, note = answered(remedy, proposal, answer, now=now, pace=pace)
    elif answer is None and is_theirs(proposal) and all(one.marker == remedy.remedy_id for one in seen):
        # Open, whatever people have edited in it; or the host does not answer now.
        ended, note = _again(remedy, now + timedelta(seconds=pace.people_seconds)), ""
    elif answer is None and not _still_ours(remedy, proposal, seen):
        ended, note = _gone(remedy, clock())
    elif window.seconds < proposal.check.window_seconds:
        ended, note = _held(remedy, window.start, proposal, pace, now), ""
    else:
        facts = measure(proposal, remedy, window)
        failpoint("verify.measured")
        verification = verify_facts(facts, proposal=proposal, window=window, at=now)
        ended = _become(remedy, proposal, verification, pace, now, theirs=answer is not None)
        note = f"{verification.outcome}: {verification.says}"
    written = ledger.conclude(claim, ended, verification=verification, note=note)
    failpoint("verify.concluded")
    return ended if written else None


def _window(since: datetime, earlier: Sequence[Verification], complete_until: datetime) -> Window:
    """From the end of the last conclusive verification to where the data are complete, in whole 5 minutes."""
    start = max([since, *(one.window.end for one in earlier if one.outcome != "inconclusive")])
    return Window(start=start, end=max(start, floor_to(complete_until, 300)))


def _look(proposal: Proposal, reader: GatewayReader) -> list[Observed]:
    """How every effect stands; nothing where the gateway does not answer now."""
    try:
        return [reader.observe(action) for action in effects(proposal)]
    except Unreadable:
        return []


def _still_ours(remedy: Remedy, proposal: Proposal, seen: Sequence[Observed]) -> bool:
    """Whether every effect stands; a gateway that does not answer now gets the benefit of the doubt."""
    return all(
        return_standing(action, one, marker=remedy.remedy_id, over=False) == "ours"
        for action, one in zip(effects(proposal), seen, strict=bool(seen))
    )


def _gone(remedy: Remedy, now: datetime) -> tuple[Remedy, str]:
    """Dropped at its lease's end while we looked: the step expire judges that. Before it: somebody else's doing."""
    if lease_over(remedy, now):
        return remedy.model_copy(update={"due_at": now}), ""
    return to_closed(remedy, "drifted"), "not ours any more: the gateway was changed by somebody else"


def _become(
    remedy: Remedy, proposal: Proposal, found: Verification, pace: Pace, now: datetime, *, theirs: bool
) -> Remedy:
    reason = f"{found.outcome}: {found.says}"
    match found.outcome:
        case "worked":
            kept = remedy.model_copy(update={"state": "kept", "outcome": "worked"})
            return _held(kept, found.window.end, proposal, pace, now)
        case "harmed" if theirs:
            return to_paging(remedy, "harmed")
        case "harmed":
            return to_rollback(remedy, now, outcome="harmed", reason=reason)
        case "no_effect" if remedy.state == "verifying" and not theirs:
            return to_rollback(remedy, now, outcome="no_effect", reason=reason)
        case "no_effect":
            return _held(remedy, found.window.end, proposal, pace, now)
        case "inconclusive":
            outcome = "inconclusive" if remedy.state == "verifying" and not theirs else remedy.outcome
            held = remedy.model_copy(update={"outcome": outcome})
            return _held(held, found.window.end, proposal, pace, now)


def _held(remedy: Remedy, since: datetime, proposal: Proposal, pace: Pace, now: datetime) -> Remedy:
    """Due again when a whole check window has passed since then and its data are in, at the latest at lease end."""
    due = since + timedelta(seconds=proposal.check.window_seconds + pace.data_delay_seconds)
    return _again(remedy, max(due, now + timedelta(seconds=pace.retry_seconds)))


def _again(remedy: Remedy, due: datetime) -> Remedy:
    """Due again then, at the latest at lease end."""
    ends = remedy.lease_ends_at
    return remedy.model_copy(update={"due_at": due if ends is None else min(due, ends)})
