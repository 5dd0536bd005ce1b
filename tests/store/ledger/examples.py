"""Small nouns for ledger tests, and a clock that tests turn by hand."""

from datetime import UTC, datetime, timedelta

from store.ledger.ledger import Ledger
from store.model.incident import CauseScore, DriverShare, Finding, Incident
from store.model.remedy import (
    Application,
    Check,
    Choice,
    Claim,
    Decision,
    DecisionOutcome,
    Proposal,
    Remedy,
    Ruling,
    Saving,
    SetRateLimit,
    Verdict,
    Vote,
)
from store.model.usage import Scope, Window

T0 = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
WAIT = timedelta(hours=24)
SCOPE = Scope.of(team="search")


class HandClock:
    """Stands still until a test turns it."""

    def __init__(self, now: datetime = T0) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Now."""
        return self.now

    def turn(self, **delta: float) -> None:
        """Move on, or back."""
        self.now += timedelta(**delta)


def an_incident(name: str = "inc-1", revision: int = 1, *, hours: int = 0) -> Incident:
    start = T0 + timedelta(hours=hours)
    return Incident(
        id=name,
        revision=revision,
        scope=SCOPE,
        opened_at=start + timedelta(minutes=5),
        started_at=start,
        seen_until=start + timedelta(minutes=30),
        revised_at=start,
        excess_nanos=10**10,
        baseline_nanos=10**9,
        actual_nanos=11 * 10**9,
        revised_excess_nanos=10**10,
    )


def a_finding(revision: int = 1, *, cost_nanos: int = 0) -> Finding:
    window = Window(start=T0, end=T0 + timedelta(hours=1))
    return Finding(
        incident_id="inc-1",
        revision=revision,
        scope=SCOPE,
        focus=SCOPE,
        window=window,
        reference=window.shifted(-timedelta(days=7)),
        excess_nanos=10**10,
        drivers=(DriverShare(driver="request_volume", nanos=10**10),),
        causes=(CauseScore(cause="agent_loop", confidence=0.9),),
        cost_nanos=cost_nanos,
    )


def a_proposal(
    name: str = "rem-1", revision: int = 1, *, made_at: datetime = T0, made_by: str = "bursar", limit: int = 60
) -> Proposal:
    return Proposal(
        remedy_id=name,
        revision=revision,
        incident_id="inc-1",
        incident_revision=revision,
        scope=SCOPE,
        playbook="cap_requests",
        cause="agent_loop",
        confidence=0.9,
        gateway="main",
        actions=(SetRateLimit(target=SCOPE, requests_per_minute=limit),),
        risk="low",
        reversible=True,
        saving=Saving(low=1, mid=2, high=3, cash_mid=2, assumption="replayed"),
        quality_note="",
        undo_note="the limit is lifted",
        check=Check(window_seconds=3600, min_reduction=0.5),
        lease_seconds=86_400,
        made_at=made_at,
        expires_at=made_at + WAIT,
        made_by=made_by,
    )


def a_ruling(
    proposal: Proposal,
    verdict: Verdict = "ask",
    *,
    approvers: tuple[str, ...] = ("ann", "ben", "cleo"),
    quorum: int = 1,
) -> Ruling:
    return Ruling(
        remedy_id=proposal.remedy_id,
        revision=proposal.revision,
        verdict=verdict,
        rule="default",
        policy_version="v1",
        ruled_at=proposal.made_at,
        approvers=approvers,
        quorum=quorum,
    )


def a_vote(
    person: str, choice: Choice = "approve", *, name: str = "rem-1", revision: int = 1, at: datetime = T0
) -> Vote:
    return Vote(remedy_id=name, revision=revision, person=person, choice=choice, at=at)


def a_decision(proposal: Proposal, outcome: DecisionOutcome = "approved", *, by: str = "ann") -> Decision:
    return Decision(
        remedy_id=proposal.remedy_id,
        revision=proposal.revision,
        outcome=outcome,
        decided_by=(by,),
        decided_at=proposal.made_at,
        plan_hash=proposal.plan_hash,
    )


def an_application(proposal: Proposal, claim: Claim, *, at: datetime = T0, verb: str = "apply") -> Application:
    return Application.model_validate(
        {
            "id": f"{proposal.remedy_id}:{proposal.revision}:{verb}:{claim.fence}",
            "remedy_id": proposal.remedy_id,
            "revision": proposal.revision,
            "verb": verb,
            "fence": claim.fence,
            "plan_hash": proposal.plan_hash,
            "intended_at": at,
        }
    )


def moved(remedy: Remedy, **changes: object) -> Remedy:
    """The remedy with other values."""
    return remedy.model_copy(update=changes)


def filed(
    ledger: Ledger, *, name: str = "rem-1", revision: int = 1, verdict: Verdict = "ask", quorum: int = 1
) -> Remedy:
    proposal = a_proposal(name, revision)
    return ledger.file(proposal, a_ruling(proposal, verdict, quorum=quorum))


def claimed(ledger: Ledger) -> tuple[Claim, Remedy]:
    claimed = ledger.claim("rem-1", owner="w1", lease_seconds=60)
    assert claimed is not None
    return claimed


def walked_to(ledger: Ledger, state: str, *, quorum: int = 1) -> None:
    filed(ledger, verdict="apply", quorum=quorum)
    claim, remedy = claimed(ledger)
    assert ledger.intend(claim, an_application(a_proposal(), claim), moved(remedy, state="applying"))
    after = moved(remedy, state=state, lease_ends_at=T0 + timedelta(days=1))
    assert ledger.conclude(claim, after)


def audited(ledger: Ledger) -> list[str]:
    return [row.action for row in ledger.audit()]
