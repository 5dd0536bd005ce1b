"""What every ledger must do with proposals, votes and decisions; a part of LedgerChecks."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from store.errors import BadInput
from store.ledger.ledger import Cast, Ledger
from store.model.remedy import Choice, Verdict
from tests.store.ledger.examples import (
    T0,
    WAIT,
    HandClock,
    a_decision,
    a_proposal,
    a_ruling,
    a_vote,
    audited,
    claimed,
    filed,
    moved,
)


class DecisionChecks:
    """From filing to the one decision."""

    # --- filing

    @pytest.mark.parametrize(
        ("verdict", "state", "told"),
        [
            ("observe", "observed", ["observed"]),
            ("ask", "pending", ["approval_requested"]),
            ("apply", "approved", ["applied_by_rule"]),
        ],
    )
    def test_a_filed_remedy_stands_where_the_verdict_says(
        self, ledger: Ledger, verdict: Verdict, state: str, told: list[str]
    ) -> None:
        """Observe is recorded, ask waits, apply is decided by its rule."""
        proposal = a_proposal()
        ruling = a_ruling(proposal, verdict)
        remedy = ledger.file(proposal, ruling, alternatives=[a_proposal("rem-2")])
        assert remedy.state == state
        assert remedy == ledger.remedy("rem-1")
        assert ledger.proposal("rem-1") == proposal
        assert ledger.rulings("rem-1") == [ruling]
        assert ledger.alternatives("inc-1") == [a_proposal("rem-2")]
        assert [row.kind for row in ledger.outbox_pending()] == told
        decision = ledger.decision("rem-1", 1)
        assert (decision is not None) == (verdict == "apply")
        assert decision is None or decision.decided_by == ("policy:default",)
        assert ledger.due(T0) == (["rem-1"] if verdict == "apply" else [])

    def test_filing_twice_is_filing_once(self, ledger: Ledger) -> None:
        """The second call returns the row that stands and writes nothing, whatever it says."""
        proposal = a_proposal()
        first = ledger.file(proposal, a_ruling(proposal))
        rows = ledger.anchor()
        assert ledger.file(a_proposal(limit=1), a_ruling(proposal, "apply")) == first
        assert ledger.anchor() == rows
        assert ledger.proposals("inc-1") == [proposal]

    def test_a_newer_revision_withdraws_a_waiting_one(self, ledger: Ledger) -> None:
        """Both rows stay; the older one has the decision "withdrawn" and cannot be decided any more."""
        filed(ledger)
        newer = filed(ledger, revision=2)
        assert (newer.revision, newer.state) == (2, "pending")
        withdrawn = ledger.decision("rem-1", 1)
        assert withdrawn is not None
        assert withdrawn.outcome == "withdrawn"
        assert ledger.cast(a_vote("ann")).status == "stale_revision"
        assert [p.revision for p in ledger.proposals("inc-1")] == [1, 2]

    def test_a_remedy_under_way_is_not_replaced(self, ledger: Ledger) -> None:
        """A newer revision waits until the change of the older one is walked to its end."""
        filed(ledger, verdict="apply")
        assert filed(ledger, revision=2).revision == 1
        claim, remedy = claimed(ledger)
        assert ledger.conclude(claim, moved(remedy, state="closed", outcome="stale", due_at=None))
        again = filed(ledger, revision=2)
        assert (again.revision, again.state, again.outcome) == (2, "pending", None)
        assert again.fence > claim.fence

    def test_a_ruling_on_something_else_is_refused(self, ledger: Ledger) -> None:
        """Filing needs the ruling on this very revision; a later ruling needs a filed proposal."""
        with pytest.raises(BadInput, match="rule the proposal first"):
            ledger.file(a_proposal(), a_ruling(a_proposal(revision=2)))
        with pytest.raises(BadInput, match="not filed"):
            ledger.record_ruling(a_ruling(a_proposal()))
        assert ledger.remedy("rem-1") is None

    # --- votes and decisions

    def test_one_approval_decides_where_one_is_enough(self, ledger: Ledger, clock: HandClock) -> None:
        """The remedy is approved, due now, and bound to the plan."""
        filed(ledger)
        clock.turn(hours=1)
        answer = ledger.cast(a_vote("ann", at=clock.now))
        assert answer.status == "decided"
        assert answer.decision == ledger.decision("rem-1", 1)
        assert answer.decision is not None
        assert answer.decision.plan_hash == a_proposal().plan_hash
        remedy = ledger.remedy("rem-1")
        assert remedy is not None
        assert (remedy.state, remedy.outcome, remedy.due_at) == ("approved", "approved", clock.now)

    def test_a_quorum_counts_distinct_people(self, ledger: Ledger) -> None:
        """One person's second vote changes nothing, not even to the contrary."""
        filed(ledger, quorum=2)
        assert ledger.cast(a_vote("ann")).status == "counted"
        assert ledger.cast(a_vote("ann")).status == "counted"
        assert ledger.cast(a_vote("ann", "reject")).status == "counted"
        assert ledger.decision("rem-1", 1) is None
        assert ledger.votes("rem-1", 1) == [a_vote("ann")]
        answer = ledger.cast(a_vote("ben"))
        assert answer.status == "decided"
        assert answer.decision is not None
        assert answer.decision.decided_by == ("ann", "ben")

    def test_one_rejection_closes_it(self, ledger: Ledger) -> None:
        """Whatever the quorum; later words hear who decided and when."""
        filed(ledger, quorum=3)
        ledger.cast(a_vote("ann"))
        assert ledger.cast(a_vote("ben", "reject")).status == "decided"
        remedy = ledger.remedy("rem-1")
        assert remedy is not None
        assert (remedy.state, remedy.outcome, remedy.due_at) == ("closed", "rejected", None)
        late = ledger.cast(a_vote("cleo"))
        assert late.status == "already_decided"
        assert "rejected by ben at 2026-11-23T08:00:00Z" in late.says
        assert ledger.claim("rem-1", owner="w", lease_seconds=60) is None

    @pytest.mark.parametrize(
        ("approvers", "made_by", "person"),
        [((), "bursar", "ann"), (("ben",), "bursar", "ann"), (("ann", "ben"), "ann", "ann")],
        ids=["nobody", "not listed", "own proposal"],
    )
    def test_who_may_not_decide_is_told_so(
        self, ledger: Ledger, approvers: tuple[str, ...], made_by: str, person: str
    ) -> None:
        """An empty list means nobody; nobody decides on their own proposal; refusals are audited."""
        proposal = a_proposal(made_by=made_by)
        ledger.file(proposal, a_ruling(proposal, approvers=approvers))
        for choice in ("approve", "reject"):
            assert ledger.cast(a_vote(person, choice)).status == "not_allowed"
        assert ledger.votes("rem-1", 1) == []
        assert ledger.decision("rem-1", 1) is None
        assert audited(ledger)[-2:] == ["vote_refused", "vote_refused"]

    def test_a_recorded_remedy_asks_nobody(self, ledger: Ledger) -> None:
        """In shadow mode no vote leads to an effect."""
        filed(ledger, verdict="observe")
        assert ledger.cast(a_vote("ann")).status == "not_allowed"
        assert ledger.decision("rem-1", 1) is None

    @pytest.mark.parametrize("late_by", ["vote", "clock"])
    def test_a_late_approval_is_refused_and_ends_the_wait(self, ledger: Ledger, clock: HandClock, late_by: str) -> None:
        """At expires_at it is over, by the voter's time or by ours."""
        filed(ledger)
        if late_by == "clock":
            clock.now = T0 + WAIT
        answer = ledger.cast(a_vote("ann", at=T0 + WAIT if late_by == "vote" else T0))
        assert answer.status == "expired"
        decision = ledger.decision("rem-1", 1)
        assert decision is not None
        assert decision.outcome == "approval_expired"
        remedy = ledger.remedy("rem-1")
        assert remedy is not None
        assert (remedy.state, remedy.outcome) == ("closed", "approval_expired")

    def test_votes_on_the_unknown_and_the_outdated(self, ledger: Ledger) -> None:
        """Neither writes a vote."""
        assert ledger.cast(a_vote("ann")).status == "unknown"
        filed(ledger)
        assert ledger.cast(a_vote("ann", revision=2)).status == "stale_revision"
        assert ledger.votes("rem-1", 1) == []

    def test_the_first_decision_stands(self, ledger: Ledger) -> None:
        """A second one comes back as the first."""
        filed(ledger)
        first = ledger.decide(a_decision(a_proposal(), "rejected"))
        assert ledger.decide(a_decision(a_proposal(), "approved", by="ben")) == first
        remedy = ledger.remedy("rem-1")
        assert remedy is not None
        assert remedy.outcome == "rejected"

    def test_a_decision_binds_to_the_filed_plan(self, ledger: Ledger) -> None:
        """Another plan's hash, or an unfiled proposal, is refused."""
        with pytest.raises(BadInput, match="not filed"):
            ledger.decide(a_decision(a_proposal()))
        filed(ledger)
        with pytest.raises(BadInput, match="bound to plan"):
            ledger.decide(a_decision(a_proposal(limit=61)))
        assert ledger.decision("rem-1", 1) is None

    def test_waiting_escalates_twice_and_ends(self, ledger: Ledger, clock: HandClock) -> None:
        """At 25 and 50 % of the time, once each, then approval_expired, once."""
        filed(ledger)
        ended = []
        for _ in range(30):
            clock.turn(hours=1)
            ended += ledger.expire_due(clock.now)
        assert [decision.outcome for decision in ended] == ["approval_expired"]
        assert ended[0].decided_at == T0 + WAIT
        told = [(row.kind, row.payload.get("share_percent"), row.created_at) for row in ledger.outbox_pending()]
        assert told == [
            ("approval_requested", None, T0),
            ("escalation", 25, T0 + WAIT / 4),
            ("escalation", 50, T0 + WAIT / 2),
            ("remedy_changed", None, T0 + WAIT),
        ]

    def test_fifty_clicks_make_one_decision(self, ledger: Ledger) -> None:
        """Approve and reject mixed, by many threads at once: one decides, all others hear so."""
        people = tuple(f"p{n}" for n in range(50))
        proposal = a_proposal()
        ledger.file(proposal, a_ruling(proposal, approvers=people))

        def click(n: int) -> Cast:
            choice: Choice = "approve" if n % 2 else "reject"
            return ledger.cast(a_vote(people[n], choice))

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(click, range(50)))
        assert sorted(answer.status for answer in answers) == ["already_decided"] * 49 + ["decided"]
        assert {answer.decision for answer in answers} == {ledger.decision("rem-1", 1)}
        assert len(ledger.votes("rem-1", 1)) == 1
