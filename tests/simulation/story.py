"""One remedy's story for tests: its rows, and a driver that takes one step of the reconciler as the graph does."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from agent.failpoints import Failpoint, nothing
from agent.steps.apply import apply
from agent.steps.expire import expire
from agent.steps.look import look
from agent.steps.resolve import resolve
from agent.steps.revert import revert
from agent.steps.verify import verify
from agent.verification import VerificationFacts
from agent.walk import PACE, Pace, Step
from store.ledger.ledger import Ledger
from store.model.incident import Incident
from store.model.ports import Clock
from store.model.remedy import (
    Action,
    Check,
    HarmGuard,
    Proposal,
    Remedy,
    Ruling,
    Saving,
    SetRateLimit,
    Verdict,
    Vote,
)
from store.model.usage import Scope, Window
from tests.checks.check_actuator import Gateway
from tests.simulation.hand_clock import START

TARGET = Scope.of(team="search", app="indexer")
LIMIT = SetRateLimit(target=TARGET, requests_per_minute=60)
REMEDY = "rem-1"
HOUR = 3600
USD = 10**9

WORKED = VerificationFacts(
    seconds=3600.0,
    actual_nanos=12 * USD,
    actual_cash_nanos=12 * USD,
    attempts=1000,
    refused=880,
    retries=0,
    unpriced=0,
    before_seconds=3600.0,
    before_nanos=100 * USD,
    before_cash_nanos=100 * USD,
    before_attempts=1000,
    before_refused=0,
    before_retries=0,
    baseline_nanos_per_hour=10 * USD,
    control_ratio=1.0,
    spread=0.1,
    harm_before={"error_share": 0.01},
    harm_after={"error_share": 0.01},
)
NO_EFFECT = WORKED._replace(actual_nanos=99 * USD, actual_cash_nanos=99 * USD, refused=1)
HARMED = WORKED._replace(harm_after={"error_share": 0.4})


def incident() -> Incident:
    """Ninety dollars above ten within an hour."""
    return Incident(
        id="inc-1",
        scope=TARGET,
        opened_at=START,
        started_at=START - timedelta(hours=1),
        seen_until=START,
        revised_at=START,
        excess_nanos=90 * USD,
        baseline_nanos=10 * USD,
        actual_nanos=100 * USD,
        revised_excess_nanos=90 * USD,
    )


def proposal(
    *actions: Action, made_at: datetime = START, base_version: str | None = None, lease_seconds: int = 6 * HOUR
) -> Proposal:
    """A limit on the target for six hours, checked over one."""
    return Proposal(
        remedy_id=REMEDY,
        incident_id="inc-1",
        incident_revision=1,
        scope=TARGET,
        playbook="rate_limit",
        cause="agent_loop",
        confidence=0.9,
        gateway="simulated",
        actions=actions or (LIMIT,),
        base_version=base_version,
        risk="low",
        reversible=True,
        saving=Saving(low=1, mid=2, high=3, cash_mid=2, assumption="as replayed"),
        quality_note="",
        undo_note="restore the limit",
        check=Check(window_seconds=HOUR, min_reduction=0.5, harm=(HarmGuard(metric="error_share", max_rise=0.05),)),
        lease_seconds=lease_seconds,
        made_at=made_at,
        expires_at=made_at + timedelta(hours=24),
    )


def ruling(verdict: Verdict = "ask", *, at: datetime = START, approvers: tuple[str, ...] = ("ann", "bob")) -> Ruling:
    """What the policy says."""
    return Ruling(
        remedy_id=REMEDY,
        revision=1,
        verdict=verdict,
        rule="low_risk",
        policy_version="p1",
        ruled_at=at,
        approvers=approvers,
    )


def vote(person: str, choice: str, at: datetime) -> Vote:
    """One click."""
    return Vote.model_validate({"remedy_id": REMEDY, "revision": 1, "person": person, "choice": choice, "at": at})


class Steps(NamedTuple):
    """The steps of a remedy's walk; a test that wants a broken one puts its own in."""

    apply: Callable[..., Remedy | None] = apply
    resolve: Callable[..., Remedy | None] = resolve
    verify: Callable[..., Remedy | None] = verify
    expire: Callable[..., Remedy | None] = expire
    revert: Callable[..., Remedy | None] = revert


STEPS = Steps()
"""The real ones."""


class Driver(NamedTuple):
    """The remedy graph by hand: look, then the one step that it names."""

    ledger: Ledger
    gateway: Gateway
    clock: Clock
    facts: Callable[[], VerificationFacts | None] = lambda: WORKED
    permit: Callable[[Proposal], Ruling] = lambda _: ruling("apply")
    pace: Pace = PACE
    failpoint: Failpoint = nothing
    owner: str = "worker-1"
    remedy_id: str = REMEDY
    steps: Steps = STEPS

    def step(self) -> Step | None:
        """Take one step, if one can be claimed; its name."""
        ledger, gateway, clock, point, pace = self.ledger, self.gateway, self.clock, self.failpoint, self.pace
        found = look(remedy_id=self.remedy_id, ledger=ledger, owner=self.owner, clock=clock, pace=pace, failpoint=point)
        if found is None:
            return None
        claim = found.claim
        match found.step:
            case "apply":
                self.steps.apply(
                    claim=claim,
                    ledger=ledger,
                    reader=gateway,
                    actuator=gateway,
                    permit=self.permit,
                    clock=clock,
                    pace=pace,
                    failpoint=point,
                )
            case "resolve":
                self.steps.resolve(
                    claim=claim,
                    ledger=ledger,
                    reader=gateway,
                    probe=gateway.probe,
                    clock=clock,
                    pace=pace,
                    failpoint=point,
                )
            case "verify":
                self.steps.verify(
                    claim=claim,
                    ledger=ledger,
                    reader=gateway,
                    measure=self._measure,
                    clock=clock,
                    pace=pace,
                    failpoint=point,
                )
            case "expire":
                self.steps.expire(claim=claim, ledger=ledger, reader=gateway, clock=clock, pace=pace, failpoint=point)
            case "revert":
                self.steps.revert(
                    claim=claim,
                    ledger=ledger,
                    reader=gateway,
                    actuator=gateway,
                    clock=clock,
                    pace=pace,
                    failpoint=point,
                )
        return found.step

    def due(self) -> bool:
        """Whether the scheduler would wake it now."""
        return self.remedy_id in self.ledger.due(self.clock())

    def remedy(self) -> Remedy:
        """Where it stands."""
        found = self.ledger.remedy(self.remedy_id)
        assert found is not None
        return found

    def _measure(self, _: Proposal, remedy: Remedy, window: Window) -> VerificationFacts | None:
        assert remedy.applied_at is not None
        assert window.start >= remedy.applied_at
        return self.facts()
