"""apply: carry out an approved plan, once.

permit -> INTENT -> observe -> {ours already | drift: stale | go} -> kill switch and fence -> send -> read back and
probe -> OUTCOME. No answer ends in `unknown`; the step resolve observes before anything is sent again.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from agent.failpoints import Failpoint, nothing
from agent.walk import (
    PACE,
    Pace,
    Plight,
    Standing,
    effects,
    idempotency_key,
    later,
    lease_over,
    plight,
    standings,
    to_approved,
    to_closed,
    to_paging,
    to_rollback,
    to_spreading,
    to_unknown,
    to_verifying,
)
from store.errors import StorageFailed
from store.ledger.ledger import Ledger
from store.model.ports import Actuator, Clock, GatewayReader, Observed, Unreadable
from store.model.remedy import Application, Claim, Decision, Proposal, Remedy, Ruling, Verdict

_LADDER: tuple[Verdict, ...] = ("observe", "ask", "apply")


def apply(
    *,
    claim: Claim,
    ledger: Ledger,
    reader: GatewayReader,
    actuator: Actuator,
    permit: Callable[[Proposal], Ruling],
    clock: Clock,
    pace: Pace = PACE,
    failpoint: Failpoint = nothing,
) -> Remedy | None:
    """Carry out the approved plan of a claimed remedy; what it became, or None when the claim was lost on the way.

    `permit` rules on the proposal again, with fresh facts. No effect without an approved decision that binds to the
    plan's hash, a ruling that still allows what was decided, and the kill switch off, read again before each call.
    """
    remedy, proposal = _rows(ledger, claim)
    run = _Run(claim, ledger, reader, actuator, clock, pace, failpoint, proposal)
    refusal = _refusal(run, remedy, permit)
    failpoint("apply.permitted")
    if refusal is not None:
        return _end(run, *refusal)
    if not effects(proposal):
        told = " ".join(action.message for action in proposal.actions if action.kind == "notify")
        return _end(run, to_closed(remedy, "applied"), told)
    now = clock()
    intent = _intent(claim, proposal, now)
    ends = remedy.lease_ends_at or now + timedelta(seconds=proposal.lease_seconds)
    remedy = remedy.model_copy(update={"state": "applying", "due_at": now, "lease_ends_at": ends, "attempts": 0})
    if not ledger.intend(claim, intent, remedy):
        return None
    failpoint("apply.intended")
    ended = _carry_out(run, remedy, intent)
    return None if ended is None else _end(run, *ended)


class _Run(NamedTuple):
    """What every part of one run needs."""

    claim: Claim
    ledger: Ledger
    reader: GatewayReader
    actuator: Actuator
    clock: Clock
    pace: Pace
    failpoint: Failpoint
    proposal: Proposal


class _Ended(NamedTuple):
    """What the remedy becomes, why, and its intent's outcome (None: still open)."""

    remedy: Remedy
    note: str
    application: Application | None = None


def _end(run: _Run, remedy: Remedy, note: str, application: Application | None = None) -> Remedy | None:
    written = run.ledger.conclude(run.claim, remedy, application=application, note=note)
    run.failpoint("apply.concluded")
    return remedy if written else None


# --- may it run? -----------------------------------------------------------------------------------------------


def _rows(ledger: Ledger, claim: Claim) -> tuple[Remedy, Proposal]:
    remedy = ledger.remedy(claim.remedy_id)
    proposal = None if remedy is None else ledger.proposal(remedy.remedy_id, remedy.revision)
    if remedy is None or proposal is None:
        raise StorageFailed(f"the ledger has a claim on {claim.remedy_id} and not its rows; restore a backup")
    return remedy, proposal


def _refusal(run: _Run, remedy: Remedy, permit: Callable[[Proposal], Ruling]) -> _Ended | None:
    """Why nothing may be done now, and what the remedy becomes."""
    ledger, proposal, now = run.ledger, run.proposal, run.clock()
    decision = ledger.decision(remedy.remedy_id, remedy.revision)
    if decision is None or decision.outcome != "approved":
        return _Ended(to_paging(remedy, "failed"), "refused: there is no approved decision for this revision")
    if decision.plan_hash != proposal.plan_hash:
        return _Ended(to_paging(remedy, "failed"), "refused: the plan is not the one that was approved (hashes differ)")
    if now - decision.decided_at > timedelta(seconds=run.pace.decision_seconds):
        return _Ended(to_closed(remedy, "stale"), "the approval is too old to be carried out; propose anew")
    if ledger.kill_switch():
        return _Ended(to_approved(remedy, due_at=later(now, run.pace)), "held: the kill switch is on")
    strange = {action.kind for action in effects(proposal)} - run.reader.capabilities().handles
    if strange:
        return _Ended(to_closed(remedy, "failed"), f"{run.reader.name} does not handle {', '.join(sorted(strange))}")
    sent = sum(1 for one in ledger.applications(remedy.remedy_id) if _was_sent(one, remedy.revision))
    if sent >= run.pace.applies:
        return _Ended(to_closed(remedy, "failed"), f"sent {sent} times and never in force")
    if lease_over(remedy, now):
        return _Ended(to_closed(remedy, "failed"), "its lease, which began when it was first tried, is over")
    ruling = permit(proposal).model_copy(update={"phase": "apply"})
    ledger.record_ruling(ruling)
    if _LADDER.index(ruling.verdict) < _LADDER.index(_needed(decision)):
        limits = ", ".join(ruling.lowered_by) or "no limit"
        note = f"the policy now says {ruling.verdict} by {ruling.rule} ({limits})"
        return _Ended(to_closed(remedy, "stale"), note)
    return None


def _was_sent(application: Application, revision: int) -> bool:
    mine = application.verb == "apply" and application.revision == revision
    return mine and application.outcome in {None, "unsure", "conflict"}


def _needed(decision: Decision) -> Verdict:
    """A rule's decision needs a rule that still applies; people's decision needs a rule that lets people decide."""
    return "apply" if all(who.startswith("policy:") for who in decision.decided_by) else "ask"


# --- the effect ------------------------------------------------------------------------------------------------

_Answer = tuple[Literal["done", "refused", "conflict", "unsure", "held", "lost", "drift"], str]


def _intent(claim: Claim, proposal: Proposal, now: datetime) -> Application:
    return Application(
        id=f"{proposal.remedy_id}:{proposal.revision}:apply:{claim.fence}",
        remedy_id=proposal.remedy_id,
        revision=proposal.revision,
        verb="apply",
        fence=claim.fence,
        plan_hash=proposal.plan_hash,
        intended_at=now,
    )


def _carry_out(run: _Run, remedy: Remedy, intent: Application) -> _Ended | None:
    """Observe, send, read back; None when the claim was lost before the call."""
    try:
        seen = [run.reader.observe(action) for action in effects(run.proposal)]
    except Unreadable as error:
        unsent = _outcome(run, intent, "refused", f"nothing was sent: {error}")
        return _Ended(to_approved(remedy, due_at=later(run.clock(), run.pace)), str(error), unsent)
    run.failpoint("apply.observed")
    stands = standings(run.proposal, seen, cas=run.reader.capabilities().cas)
    answer: _Answer = ("drift", "")
    if "drift" not in stands:
        answer = _send(run, remedy, stands, seen)
    if answer[0] == "lost":
        return None
    if answer[0] == "unsure":
        return _unknown(run, remedy, intent, answer[1])
    try:
        found = _read_back(run)
    except Unreadable as error:
        return _unknown(run, remedy, intent, str(error))
    run.failpoint("apply.read_back")
    return _judge(run, remedy, intent, found, answer)


def _send(run: _Run, remedy: Remedy, stands: list[Standing], seen: list[Observed]) -> _Answer:
    """Send what is not ours yet, in order, up to the first answer that is not "done"."""
    assert remedy.lease_ends_at is not None
    for position, action in enumerate(effects(run.proposal)):
        if stands[position] == "ours":
            continue
        if run.ledger.kill_switch():
            return "held", "the kill switch is on"
        if not run.ledger.holds(run.claim):
            return "lost", ""
        run.failpoint("apply.fenced")
        answer = run.actuator.apply(
            action,
            marker=remedy.remedy_id,
            idempotency_key=idempotency_key(run.proposal, "apply", position),
            expected_version=seen[position].version,
            expires_at=remedy.lease_ends_at,
        )
        run.failpoint("apply.called")
        if answer.status != "done":
            return answer.status, answer.detail
    return "done", ""


def _read_back(run: _Run) -> Plight:
    actions = effects(run.proposal)
    seen = [run.reader.observe(action) for action in actions]
    stands = standings(run.proposal, seen, cas=run.reader.capabilities().cas)
    probes = [run.actuator.probe(action, marker=run.proposal.remedy_id).status for action in actions]
    return plight(stands, in_force=all(status == "yes" for status in probes))


# --- what became of it -----------------------------------------------------------------------------------------


def _unknown(run: _Run, remedy: Remedy, intent: Application, why: str) -> _Ended:
    return _Ended(to_unknown(remedy, run.clock(), run.pace), why, _outcome(run, intent, "unsure", why))


def _judge(run: _Run, remedy: Remedy, intent: Application, found: Plight, answer: _Answer) -> _Ended:
    """What the remedy and its intent became, after the gateway was read back."""
    now, (status, detail) = run.clock(), answer
    propagation = run.reader.capabilities().propagation_seconds
    match found:
        case "in_force":
            done = to_verifying(remedy, run.proposal, applied_at=now, propagation=propagation, pace=run.pace)
            return _Ended(done, "in force: read back and probed", _outcome(run, intent, "applied", detail))
        case "spreading":
            spreading = to_spreading(remedy, now, propagation=propagation, pace=run.pace)
            return _Ended(spreading, "stored, not in force yet")
        case "partial":
            why = f"only a part of the plan could be made: {detail or status}"
            back = to_rollback(remedy, now, outcome="failed", reason=why)
            return _Ended(back, why, _outcome(run, intent, "conflict" if status == "conflict" else "refused", why))
        case "drift":
            why = "the gateway is not as it was when the plan was made; propose anew"
            return _Ended(to_closed(remedy, "stale"), why, _outcome(run, intent, "drifted", why))
        case "absent":
            return _absent(run, remedy, intent, answer)


def _absent(run: _Run, remedy: Remedy, intent: Application, answer: _Answer) -> _Ended:
    status, detail = answer
    again = to_approved(remedy, due_at=later(run.clock(), run.pace))
    if status == "refused":
        why = f"the gateway refused: {detail}"
        return _Ended(to_closed(remedy, "failed"), why, _outcome(run, intent, "refused", detail))
    if status == "held":
        return _Ended(again, f"held: {detail}", _outcome(run, intent, "refused", detail))
    why = f"the gateway answered {status} and holds nothing; sent again later"
    return _Ended(again, why, _outcome(run, intent, "conflict" if status == "conflict" else "unsure", why))


def _outcome(
    run: _Run,
    intent: Application,
    outcome: Literal["applied", "refused", "conflict", "drifted", "unsure"],
    detail: str,
) -> Application:
    return intent.model_copy(update={"outcome": outcome, "outcome_at": run.clock(), "detail": detail})
