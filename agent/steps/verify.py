"""verify: measure what a change in force did, and keep it, hold it, or ask for its revert."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from agent.failpoints import Failpoint, nothing
from agent.verification import VerificationFacts, verify_facts
from agent.walk import PACE, Pace, check_window_start, effects, lease_over, return_standing, to_closed, to_rollback
from store.errors import StorageFailed
from store.ledger.ledger import Ledger
from store.model.ports import Clock, GatewayReader, Unreadable
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
    """
    remedy = ledger.remedy(claim.remedy_id)
    proposal = None if remedy is None else ledger.proposal(remedy.remedy_id, remedy.revision)
    if remedy is None or proposal is None or remedy.applied_at is None:
        raise StorageFailed(f"{claim.remedy_id} is in force and its rows are gone; restore a backup")
    now = clock()
    since = check_window_start(remedy.applied_at, reader.capabilities().propagation_seconds)
    window = _window(since, ledger.verifications(remedy.remedy_id), now - timedelta(seconds=pace.data_delay_seconds))
    verification: Verification | None = None
    if not _still_ours(remedy, proposal, reader):
        ended, note = _gone(remedy, clock())
    elif window.seconds < proposal.check.window_seconds:
        ended, note = _held(remedy, window.start, proposal, pace, now), ""
    else:
        facts = measure(proposal, remedy, window)
        failpoint("verify.measured")
        verification = verify_facts(facts, proposal=proposal, window=window, at=now)
        ended = _become(remedy, proposal, verification, pace, now)
        note = f"{verification.outcome}: {verification.says}"
    written = ledger.conclude(claim, ended, verification=verification, note=note)
    failpoint("verify.concluded")
    return ended if written else None


def _window(since: datetime, earlier: Sequence[Verification], complete_until: datetime) -> Window:
    """From the end of the last conclusive verification to where the data are complete, in whole 5 minutes."""
    start = max([since, *(one.window.end for one in earlier if one.outcome != "inconclusive")])
    return Window(start=start, end=max(start, floor_to(complete_until, 300)))


def _still_ours(remedy: Remedy, proposal: Proposal, reader: GatewayReader) -> bool:
    """Whether every effect stands; a gateway that does not answer now gets the benefit of the doubt."""
    try:
        return all(
            return_standing(action, reader.observe(action), marker=remedy.remedy_id, over=False) == "ours"
            for action in effects(proposal)
        )
    except Unreadable:
        return True


def _gone(remedy: Remedy, now: datetime) -> tuple[Remedy, str]:
    """Dropped at its lease's end while we looked: the step expire judges that. Before it: somebody else's doing."""
    if lease_over(remedy, now):
        return remedy.model_copy(update={"due_at": now}), ""
    return to_closed(remedy, "drifted"), "not ours any more: the gateway was changed by somebody else"


def _become(remedy: Remedy, proposal: Proposal, found: Verification, pace: Pace, now: datetime) -> Remedy:
    reason = f"{found.outcome}: {found.says}"
    match found.outcome:
        case "worked":
            kept = remedy.model_copy(update={"state": "kept", "outcome": "worked"})
            return _held(kept, found.window.end, proposal, pace, now)
        case "harmed":
            return to_rollback(remedy, now, outcome="harmed", reason=reason)
        case "no_effect" if remedy.state == "verifying":
            return to_rollback(remedy, now, outcome="no_effect", reason=reason)
        case "no_effect":
            return _held(remedy, found.window.end, proposal, pace, now)
        case "inconclusive":
            outcome = "inconclusive" if remedy.state == "verifying" else remedy.outcome
            held = remedy.model_copy(update={"outcome": outcome})
            return _held(held, found.window.end, proposal, pace, now)


def _held(remedy: Remedy, since: datetime, proposal: Proposal, pace: Pace, now: datetime) -> Remedy:
    """Due again when a whole check window has passed since then and its data are in, at the latest at lease end."""
    due = since + timedelta(seconds=proposal.check.window_seconds + pace.data_delay_seconds)
    due = max(due, now + timedelta(seconds=pace.retry_seconds))
    if remedy.lease_ends_at is not None:
        due = min(due, remedy.lease_ends_at)
    return remedy.model_copy(update={"due_at": due})
