"""Decisions and the walk under any order of words, clocks, deaths and zombies (I2, I3, I14, I17, I18, I36)."""

from datetime import timedelta
from functools import cache
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from store.ledger.ledger import Ledger, open_ledger
from store.model.remedy import Choice, Claim, Decision, DecisionOutcome, Proposal, Remedy, RemedyState, Ruling, Verdict
from tests.store.ledger.examples import (
    T0,
    HandClock,
    a_decision,
    a_proposal,
    a_ruling,
    a_vote,
    an_application,
    moved,
)

NUMBERS = count(1)
PEOPLE = ("ann", "ben", "cleo", "dan")
NEXT_STATES: tuple[RemedyState, ...] = ("verifying", "unknown", "kept", "closed", "reverting", "paging")


class Life(RuleBasedStateMachine):
    """One remedy, a few people, two workers that may sleep beyond their lease, and a schedule window."""

    @initialize(
        verdict=st.sampled_from(("observe", "ask", "ask", "ask", "apply")),
        approvers=st.sets(st.sampled_from(PEOPLE), max_size=3),
        quorum=st.integers(1, 3),
        made_by=st.sampled_from(("bursar", "ann")),
    )
    def open(self, verdict: Verdict, approvers: set[str], quorum: int, made_by: str) -> None:
        self.clock, self.ledger = shared_ledger()
        self.clock.now = T0
        self.name = f"rem-{next(NUMBERS)}"
        self.filed: dict[int, tuple[Proposal, Ruling]] = {}
        self.seen: dict[int, Decision] = {}
        self.claims: list[tuple[Claim, Remedy]] = []
        self.finished = 0
        self.file(verdict, approvers, quorum, made_by)

    def file(self, verdict: Verdict, approvers: set[str], quorum: int, made_by: str) -> None:
        revision = max(self.filed, default=0) + 1
        proposal = a_proposal(self.name, revision, made_at=self.clock.now, made_by=made_by, limit=60 + revision)
        ruling = a_ruling(proposal, verdict, approvers=tuple(sorted(approvers)), quorum=quorum)
        if self.ledger.file(proposal, ruling).revision == revision:
            self.filed[revision] = (proposal, ruling)

    @precondition(lambda self: len(self.filed) < 3)
    @rule(verdict=st.sampled_from(("ask", "apply")), people=st.sets(st.sampled_from(PEOPLE)), quorum=st.integers(1, 2))
    def propose_anew(self, verdict: Verdict, people: set[str], quorum: int) -> None:
        self.file(verdict, people, quorum, "bursar")

    @rule(
        person=st.sampled_from((*PEOPLE, "mallory")),
        choice=st.sampled_from(("approve", "approve", "reject")),
        back=st.integers(0, 2),
        age_hours=st.integers(0, 30),
    )
    def click(self, person: str, choice: Choice, back: int, age_hours: int) -> None:
        revision = max(1, max(self.filed) - back)
        at = self.clock.now - timedelta(hours=age_hours)
        answer = self.ledger.cast(a_vote(person, choice, name=self.name, revision=revision, at=at))
        if answer.status == "decided":
            assert revision not in self.seen
            assert self.clock.now < self.filed[revision][0].expires_at

    @rule(outcome=st.sampled_from(("approved", "rejected", "withdrawn", "stale")))
    def decide(self, outcome: DecisionOutcome) -> None:
        proposal, _ = self.filed[max(self.filed)]
        if outcome != "approved":  # approvals come by votes and rules only
            self.ledger.decide(a_decision(proposal, outcome, by="bursar"))

    @rule(hours=st.sampled_from((0, 1, 7, 13, 25, -1)))
    def turn_the_clock(self, hours: int) -> None:
        self.clock.turn(hours=hours)

    @rule()
    def tick(self) -> None:
        self.ledger.expire_due(self.clock.now)
        for remedy in self.ledger.remedies(states={"pending"}):
            assert self.filed[remedy.revision][0].expires_at > self.clock.now

    @rule(owner=st.sampled_from(("w1", "w2")), lease=st.sampled_from((60, 7200)))
    def claim(self, owner: str, lease: int) -> None:
        claimed = self.ledger.claim(self.name, owner=owner, lease_seconds=lease)
        if claimed is not None:
            assert all(claimed[0].fence > earlier.fence for earlier, _ in self.claims)
            assert not any(self.ledger.holds(earlier) for earlier, _ in self.claims)
            self.claims.append(claimed)

    @precondition(lambda self: self.claims)
    @rule(which=st.integers(0, 5), revision=st.integers(1, 3), verb=st.sampled_from(("apply", "apply", "revert")))
    def intend(self, which: int, revision: int, verb: str) -> None:
        claim, remedy = self.claims[-1 - which % len(self.claims)]
        proposal, _ = self.filed.get(revision, self.filed[1])
        held, before = self.ledger.holds(claim), self.ledger.applications(self.name)
        intent = an_application(proposal, claim, at=self.clock.now, verb=verb)
        if self.ledger.intend(claim, intent, moved(remedy, state="applying")):
            assert held
            assert claim == self.claims[-1][0]
        else:
            assert self.ledger.applications(self.name) == before

    @precondition(lambda self: self.claims)
    @rule(which=st.integers(0, 5), state=st.sampled_from(NEXT_STATES))
    def conclude(self, which: int, state: RemedyState) -> None:
        claim, remedy = self.claims[-1 - which % len(self.claims)]
        before = self.ledger.remedy(self.name)
        if self.ledger.conclude(claim, moved(remedy, state=state, due_at=self.clock.now)):
            assert claim == self.claims[-1][0]
        else:
            assert self.ledger.remedy(self.name) == before

    @rule()
    def undo(self) -> None:
        self.ledger.request_revert(self.name, by="ann", reason="I said so")

    @rule(owner=st.sampled_from(("w1", "w2")), finish=st.booleans())
    def weekly(self, owner: str, finish: bool) -> None:
        claimed = self.ledger.claim_window("weekly", self.name, T0, owner=owner, lease_seconds=3600)
        assert not (claimed and self.finished)
        if finish:
            self.finished += self.ledger.finish_window("weekly", self.name, T0, owner=owner)
        assert self.finished <= 1

    @invariant()
    def decisions_never_change_and_are_lawful(self) -> None:
        for revision, (proposal, ruling) in self.filed.items():
            decision = self.ledger.decision(self.name, revision)
            assert self.seen.get(revision, decision) == decision
            if decision is None:
                continue
            self.seen[revision] = decision
            if decision.outcome == "approved":
                assert decision.plan_hash == proposal.plan_hash
                assert _lawful(decision, proposal, ruling)

    @invariant()
    def no_effect_without_its_decision(self) -> None:
        for application in self.ledger.applications(self.name):
            decision = self.ledger.decision(self.name, application.revision)
            assert decision is not None
            assert (decision.outcome, decision.plan_hash) == ("approved", application.plan_hash)

    def teardown(self) -> None:
        self.clock.turn(days=30)
        self.tick()
        assert self.ledger.remedies(states={"pending"}) == []


@cache
def shared_ledger() -> tuple[HandClock, Ledger]:
    """One ledger for all examples, each with a remedy of its own: opening is the dear part."""
    clock = HandClock()
    return clock, open_ledger("sqlite://", clock=clock)


def _lawful(decision: Decision, proposal: Proposal, ruling: Ruling) -> bool:
    if ruling.verdict == "apply":
        return decision.decided_by == (f"policy:{ruling.rule}",)
    people = set(decision.decided_by)
    return people <= set(ruling.approvers) - {proposal.made_by} and len(people) >= ruling.quorum


Life.TestCase.settings = settings(max_examples=300, stateful_step_count=20, deadline=None)


class TestLife(Life.TestCase):  # type: ignore[misc, valid-type]  # Hypothesis makes the class at run time
    """Every example leaves its rows in one audit chain."""

    @classmethod
    def tearDownClass(cls) -> None:
        """Whatever happened, the chain holds."""
        _, ledger = shared_ledger()
        report = ledger.verify_audit()
        ledger.close()
        assert report.ok, report.problem
        assert report.rows > 0
