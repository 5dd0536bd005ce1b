"""One remedy's history under way, and what is told of it afterwards."""

import random
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.verification import VerificationFacts
from agent.walk import Step
from store.model.remedy import (
    Application,
    Choice,
    Decision,
    Proposal,
    Remedy,
    Ruling,
    SetRateLimit,
    Verdict,
    Verification,
)
from tests.simulation.faulty_gateway import FaultyGateway, Seen
from tests.simulation.flaky_ledger import FlakyLedger
from tests.simulation.story import LIMIT, TARGET, Driver, Steps, incident, proposal, ruling, vote
from tests.simulation.world import PACE, Ground

LEASE_SECONDS = 3600
CHECK_SECONDS = 600
APPROVERS = ("ann", "bob")


class Planned(NamedTuple):
    """A plan, and the length of the gateway's log when it was made."""

    plan: Proposal
    known: int


@dataclass
class Course:
    """One remedy's history under way."""

    ground: Ground
    gateway: FaultyGateway
    dice: random.Random
    lots: random.Random
    seen: Seen
    remedy_id: str
    facts: VerificationFacts | None
    verdict: Verdict
    quorum: int
    steps: Steps
    revision: int = 1
    plans: dict[int, Planned] = field(default_factory=dict)
    """What was really planned, by revision."""
    heard: set[tuple[int, str, Choice]] = field(default_factory=set)
    """(revision, person, choice) of every click that was made."""
    stopped: bool = False
    """Whether somebody has thrown the kill switch."""
    broken: list[str] = field(default_factory=list)
    """What was seen to go wrong on the way."""

    @property
    def ledger(self) -> FlakyLedger:
        """One of the replicas; not by the history's own dice, so that it plays alike on one ledger and on several."""
        return self.lots.choice(self.ground.replicas)

    def file(self, revision: int, limit: int) -> None:
        """Plan a limit on what the gateway holds now, and put it before the policy."""
        held = self.gateway.look(LIMIT)
        action = SetRateLimit(target=TARGET, requests_per_minute=limit, was=held.value)
        plan = proposal(action, made_at=self.ground.clock(), base_version=held.version, lease_seconds=LEASE_SECONDS)
        check = plan.check.model_copy(update={"window_seconds": CHECK_SECONDS})
        plan = plan.model_copy(update={"remedy_id": self.remedy_id, "revision": revision, "check": check})
        self.ledger.save_incident(incident())
        standing = self.ledger.file(plan, self.ruled(plan, self.verdict, phase="proposal"))
        if standing.revision == revision:
            self.revision, self.plans[revision] = revision, Planned(plan, len(self.gateway.log))

    def ruled(self, plan: Proposal, verdict: Verdict, *, phase: str = "apply") -> Ruling:
        """What the policy says of it."""
        said = {"remedy_id": plan.remedy_id, "revision": plan.revision, "quorum": self.quorum, "phase": phase}
        return ruling(verdict, at=self.ground.clock(), approvers=APPROVERS).model_copy(update=said)

    def click(self, person: str, choice: Choice) -> None:
        """One word on the revision that stands."""
        self.heard.add((self.revision, person, choice))
        said = vote(person, choice, self.ground.clock())
        self.ledger.cast(said.model_copy(update={"remedy_id": self.remedy_id, "revision": self.revision}))

    def driver(self, owner: str) -> Driver:
        """A reconciler on one of the replicas."""
        return Driver(
            self.ledger,
            self.gateway,
            self.ground.clock,
            facts=lambda: self.facts,
            permit=lambda plan: self.ruled(plan, "apply"),
            pace=PACE,
            owner=owner,
            remedy_id=self.remedy_id,
            steps=self.steps,
        )

    def saw(self, remedy: Remedy) -> None:
        """Count where the remedy stands."""
        self.seen[f"state:{remedy.state}"] += 1
        self.seen[f"outcome:{remedy.outcome}"] += 1

    def saw_step(self, step: Step | None) -> None:
        """Count what a worker did; None: nothing, or somebody else held it."""
        self.seen[f"step:{step}"] += 1


@dataclass(frozen=True)
class Ended:
    """How a history ended: what the ledger says, what the gateway's own log says, and what happened on the way."""

    remedy: Remedy
    decisions: dict[int, Decision]
    applications: tuple[Application, ...]
    verifications: tuple[Verification, ...]
    course: Course

    @property
    def gateway(self) -> FaultyGateway:
        """The gateway as the history left it."""
        return self.course.gateway

    @property
    def seen(self) -> Seen:
        """What really occurred."""
        return self.course.seen
