"""revert: take back what is still ours, once; somebody else's change stays.

INTENT -> observe -> fence -> restore `was` where value and marker are ours -> read back -> OUTCOME. The kill switch
does not stop it: it returns what was lent. A revert that fails calls a person and is not repeated by itself.
"""

from datetime import datetime
from typing import Literal, NamedTuple

from agent.failpoints import Failpoint, nothing
from agent.handover import answer_of, answered
from agent.walk import (
    PACE,
    Pace,
    Return,
    effects,
    idempotency_key,
    lease_over,
    looked_in_vain,
    return_standing,
    to_closed,
    to_paging,
)
from store.errors import StorageFailed
from store.ledger.ledger import Ledger
from store.model.ports import Actuator, Clock, GatewayReader, Observed, Taken, Unreadable
from store.model.remedy import Application, Claim, Outcome, Proposal, Remedy


def revert(
    *,
    claim: Claim,
    ledger: Ledger,
    reader: GatewayReader,
    actuator: Actuator,
    clock: Clock,
    pace: Pace = PACE,
    failpoint: Failpoint = nothing,
) -> Remedy | None:
    """Return the change of a claimed remedy; what it became, or None when the claim was lost on the way.

    Ends as no_effect, harmed or failed where that was the reason, else as returned; drifted where another value
    stands there; revert_failed, and a person is called, when the gateway refuses or does not answer
    `pace.observations` times. What people have taken up is theirs: it goes on being measured.
    """
    remedy = ledger.remedy(claim.remedy_id)
    proposal = None if remedy is None else ledger.proposal(remedy.remedy_id, remedy.revision)
    if remedy is None or proposal is None:
        raise StorageFailed(f"{claim.remedy_id} is to be reverted and its rows are gone; restore a backup")
    now = clock()
    intent = _intent(claim, proposal, now)
    first = remedy.state != "reverting"
    remedy = remedy.model_copy(
        update={
            "state": "reverting",
            "due_at": now,
            "reverts": remedy.reverts + first,
            "attempts": 0 if first else remedy.attempts,
        }
    )
    if not ledger.intend(claim, intent, remedy):
        return None
    failpoint("revert.intended")
    try:
        seen = [reader.observe(action) for action in effects(proposal)]
        failpoint("revert.observed")
        run = _Run(claim, ledger, actuator, failpoint, proposal)
        status, detail = _restore(run, seen, _standings(remedy, proposal, seen, now))
        if status == "lost":
            return None
        seen = [reader.observe(action) for action in effects(proposal)]
        found, people = _standings(remedy, proposal, seen, now), answer_of(proposal, seen)
    except Unreadable as error:
        status, detail, found, people = "unsure", str(error), ["ours"], None
    failpoint("revert.read_back")
    if people is None:
        ended, application, note = _judge(remedy, intent, _Answer(status, detail, found), clock(), pace)
    else:
        ended, application, note = _theirs(remedy, proposal, intent, people, clock(), pace)
    written = ledger.conclude(claim, ended, application=application, note=note)
    failpoint("revert.concluded")
    return ended if written else None


_Status = Literal["done", "refused", "conflict", "unsure", "lost"]


class _Run(NamedTuple):
    """What the calls of one run need."""

    claim: Claim
    ledger: Ledger
    actuator: Actuator
    failpoint: Failpoint
    proposal: Proposal


def _restore(run: _Run, seen: list[Observed], stands: list[Return]) -> tuple[_Status, str]:
    """Restore what is ours, the last action first, up to the first answer that is not "done"."""
    for position, action in reversed(list(enumerate(effects(run.proposal)))):
        if stands[position] != "ours":
            continue
        if not run.ledger.holds(run.claim):
            return "lost", ""
        run.failpoint("revert.fenced")
        answer = run.actuator.revert(
            action,
            marker=run.proposal.remedy_id,
            idempotency_key=idempotency_key(run.proposal, "revert", position),
            expected_version=seen[position].version,
        )
        run.failpoint("revert.called")
        if answer.status != "done":
            return answer.status, answer.detail
    return "done", ""


def _standings(remedy: Remedy, proposal: Proposal, seen: list[Observed], now: datetime) -> list[Return]:
    over = lease_over(remedy, now)
    return [
        return_standing(action, one, marker=remedy.remedy_id, over=over)
        for action, one in zip(effects(proposal), seen, strict=True)
    ]


class _Answer(NamedTuple):
    """What the gateway said, and how the plan stands since."""

    status: _Status
    detail: str
    found: list[Return]


def _judge(
    remedy: Remedy, intent: Application, answer: _Answer, now: datetime, pace: Pace
) -> tuple[Remedy, Application, str]:
    status, detail, found = answer
    reason = remedy.revert_reason or "asked for"
    final: Outcome = remedy.outcome if remedy.outcome in ("no_effect", "harmed", "failed") else "returned"
    if "ours" not in found:
        if {"drift", "taken"} & set(found) and final != "failed":
            note = f"left alone ({reason}): somebody else has changed the gateway since"
            return to_closed(remedy, "drifted"), _outcome(intent, "drifted", note, now), note
        return to_closed(remedy, final), _outcome(intent, "reverted", reason, now), f"taken back: {reason}"
    again = looked_in_vain(remedy, now, pace)
    if status == "refused" or again is None:
        note = f"could not be taken back ({reason}): {detail or 'the gateway still holds it'}"
        outcome: Literal["refused", "unsure"] = "refused" if status == "refused" else "unsure"
        return to_paging(remedy, "revert_failed"), _outcome(intent, outcome, note, now), note
    note = detail or "the gateway still holds it; looking again"
    return again, _outcome(intent, "conflict" if status == "conflict" else "unsure", note, now), note


def _theirs(
    remedy: Remedy, proposal: Proposal, intent: Application, people: Taken, now: datetime, pace: Pace
) -> tuple[Remedy, Application, str]:
    ended, note = answered(remedy, proposal, people, now=now, pace=pace, undo=True)
    return ended, _outcome(intent, "drifted", note, now), note


def _intent(claim: Claim, proposal: Proposal, now: datetime) -> Application:
    return Application(
        id=f"{proposal.remedy_id}:{proposal.revision}:revert:{claim.fence}",
        remedy_id=proposal.remedy_id,
        revision=proposal.revision,
        verb="revert",
        fence=claim.fence,
        plan_hash=proposal.plan_hash,
        intended_at=now,
    )


def _outcome(
    intent: Application,
    outcome: Literal["reverted", "refused", "conflict", "drifted", "unsure"],
    detail: str,
    now: datetime,
) -> Application:
    return intent.model_copy(update={"outcome": outcome, "outcome_at": now, "detail": detail})
