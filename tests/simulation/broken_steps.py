"""Broken stand-ins for steps: each leaves out one rule of the reconciler, and the simulation must catch it."""

from datetime import timedelta
from typing import Any

from agent.steps.verify import verify
from agent.walk import Pace, effects, to_closed, to_verifying
from store.ledger.ledger import Ledger
from store.model.ports import Actuator, Clock, GatewayReader, Unreadable
from store.model.remedy import Application, Claim, Proposal, Remedy

Given = Any
"""What a step is given and a broken one does not use."""


def apply_that_believes(
    *, claim: Claim, ledger: Ledger, reader: GatewayReader, actuator: Actuator, clock: Clock, pace: Pace, **_: Given
) -> Remedy | None:
    """Sends, and takes the lack of a refusal for a change: no read-back, no probe."""
    sent = _send(claim, ledger, reader, actuator, clock, key="once", times=1)
    if sent is None:
        return None
    remedy, plan, intent = sent
    done = to_verifying(remedy, plan, applied_at=clock(), propagation=0, pace=pace)
    outcome = intent.model_copy(update={"outcome": "applied", "outcome_at": clock()})
    return done if ledger.conclude(claim, done, application=outcome) else None


def apply_that_retries_blindly(
    *, claim: Claim, ledger: Ledger, reader: GatewayReader, actuator: Actuator, clock: Clock, pace: Pace, **_: Given
) -> Remedy | None:
    """Sends again at once, as something new, until there is an answer."""
    sent = _send(claim, ledger, reader, actuator, clock, key=f"try-{claim.fence}", times=3)
    if sent is None:
        return None
    remedy, plan, intent = sent
    done = to_verifying(remedy, plan, applied_at=clock(), propagation=0, pace=pace)
    outcome = intent.model_copy(update={"outcome": "applied", "outcome_at": clock()})
    return done if ledger.conclude(claim, done, application=outcome) else None


def revert_that_does_not_look(
    *, claim: Claim, ledger: Ledger, actuator: Actuator, clock: Clock, **_: Given
) -> Remedy | None:
    """Puts back what was there, whoever has changed it since."""
    remedy, plan = _rows(ledger, claim)
    intent = _intent(claim, plan, clock, "revert")
    if not ledger.intend(claim, intent, remedy.model_copy(update={"state": "reverting"})):
        return None
    for action in effects(plan):
        actuator.revert(action, marker=plan.remedy_id, idempotency_key=f"{plan.remedy_id}:back", expected_version=None)
    ended = to_closed(remedy, remedy.outcome or "returned")
    outcome = intent.model_copy(update={"outcome": "reverted", "outcome_at": clock()})
    return ended if ledger.conclude(claim, ended, application=outcome) else None


def verify_that_keeps_harm(*, claim: Claim, ledger: Ledger, clock: Clock, pace: Pace, **given: Given) -> Remedy | None:
    """Measures as it should, and keeps what did harm."""
    ended: Remedy | None = verify(claim=claim, ledger=ledger, clock=clock, pace=pace, **given)
    if ended is None or ended.outcome != "harmed":
        return ended
    again = ledger.claim(claim.remedy_id, owner=claim.owner, lease_seconds=pace.lease_seconds)
    if again is None:
        return None
    kept = ended.model_copy(
        update={"state": "kept", "outcome": "worked", "revert_reason": None, "due_at": clock() + timedelta(hours=1)}
    )
    return kept if ledger.conclude(again[0], kept) else None


def expire_that_does_not_look(*, claim: Claim, ledger: Ledger, **_: Given) -> Remedy | None:
    """Takes for granted that the gateway has dropped it."""
    remedy = ledger.remedy(claim.remedy_id)
    assert remedy is not None
    ended = to_closed(remedy, "returned")
    return ended if ledger.conclude(claim, ended) else None


def _rows(ledger: Ledger, claim: Claim) -> tuple[Remedy, Proposal]:
    remedy = ledger.remedy(claim.remedy_id)
    assert remedy is not None
    plan = ledger.proposal(claim.remedy_id, remedy.revision)
    assert plan is not None
    return remedy, plan


def _intent(claim: Claim, plan: Proposal, clock: Clock, verb: str) -> Application:
    return Application.model_validate(
        {
            "id": f"{plan.remedy_id}:{plan.revision}:{verb}:{claim.fence}",
            "remedy_id": plan.remedy_id,
            "revision": plan.revision,
            "verb": verb,
            "fence": claim.fence,
            "plan_hash": plan.plan_hash,
            "intended_at": clock(),
        }
    )


def _send(
    claim: Claim, ledger: Ledger, reader: GatewayReader, actuator: Actuator, clock: Clock, *, key: str, times: int
) -> tuple[Remedy, Proposal, Application] | None:
    """Write an intent and send, with the version that the gateway has now."""
    remedy, plan = _rows(ledger, claim)
    intent, now = _intent(claim, plan, clock, "apply"), clock()
    ends = remedy.lease_ends_at or now + timedelta(seconds=plan.lease_seconds)
    remedy = remedy.model_copy(update={"state": "applying", "due_at": now, "lease_ends_at": ends})
    if not ledger.intend(claim, intent, remedy):
        return None
    for action in effects(plan):
        for number in range(times):
            try:
                version = reader.observe(action).version
            except Unreadable:
                continue
            name = f"{plan.remedy_id}:{key}:{number}"
            answer = actuator.apply(
                action, marker=plan.remedy_id, idempotency_key=name, expected_version=version, expires_at=ends
            )
            if answer.status == "done":
                break
    return remedy, plan, intent
