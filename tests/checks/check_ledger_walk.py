"""What every ledger must do with claims, intents, outcomes and wishes; a part of LedgerChecks."""

from datetime import timedelta

from store.ledger.ledger import Ledger
from tests.store.ledger.examples import (
    SCOPE,
    T0,
    HandClock,
    a_proposal,
    an_application,
    audited,
    claimed,
    filed,
    moved,
    walked_to,
)


class WalkChecks:
    """From an approved remedy to its end."""

    # --- the walk

    def test_a_claim_excludes_others_until_its_lease_ends(self, ledger: Ledger, clock: HandClock) -> None:
        """Then the fence rises, and the first holder's words are refused."""
        filed(ledger, verdict="apply")
        claim, remedy = claimed(ledger)
        assert (claim.fence, remedy.fence, remedy.lease_owner) == (1, 1, "w1")
        assert ledger.claim("rem-1", owner="w2", lease_seconds=60) is None
        assert ledger.due(clock.now) == []
        assert ledger.holds(claim)
        clock.turn(seconds=60)
        assert not ledger.holds(claim)
        assert ledger.due(clock.now) == ["rem-1"]
        other = ledger.claim("rem-1", owner="w2", lease_seconds=60)
        assert other is not None
        assert other[0].fence == 2
        proposal = a_proposal()
        assert not ledger.intend(claim, an_application(proposal, claim), moved(remedy, state="applying"))
        assert not ledger.conclude(claim, moved(remedy, state="closed"))
        assert ledger.applications("rem-1") == []
        standing = ledger.remedy("rem-1")
        assert standing is not None
        assert standing.state == "approved"

    def test_a_zombie_of_the_same_owner_is_refused(self, ledger: Ledger, clock: HandClock) -> None:
        """The fence tells two claims of one worker apart."""
        filed(ledger, verdict="apply")
        stale, remedy = claimed(ledger)
        clock.turn(seconds=61)
        fresh, _ = claimed(ledger)
        assert (ledger.holds(stale), ledger.holds(fresh)) == (False, True)
        assert not ledger.intend(stale, an_application(a_proposal(), stale), moved(remedy, state="applying"))
        assert not ledger.conclude(stale, moved(remedy, state="closed"))
        assert ledger.conclude(fresh, moved(remedy, state="closed", due_at=None))

    def test_the_walk_from_intent_to_outcome(self, ledger: Ledger, clock: HandClock) -> None:
        """Two audit rows for the effect, the lease let go, people told of the outcome."""
        filed(ledger, verdict="apply")
        claim, remedy = claimed(ledger)
        intent = an_application(a_proposal(), claim)
        assert ledger.intend(claim, intent, moved(remedy, state="applying"))
        assert ledger.effects_since(T0) == [(T0, "rem-1", SCOPE)]
        assert ledger.effects_since(T0 + timedelta(seconds=1)) == []
        outcome = intent.model_copy(update={"outcome": "applied", "outcome_at": T0})
        after = moved(remedy, state="verifying", outcome="applied", due_at=T0 + timedelta(hours=1), applied_at=T0)
        assert ledger.conclude(claim, after, application=outcome)
        assert not ledger.conclude(claim, after, application=outcome)
        assert ledger.applications("rem-1") == [outcome]
        standing = ledger.remedy("rem-1")
        assert standing == moved(after, lease_owner=None)
        assert audited(ledger)[-3:] == ["apply_intent", "apply_outcome", "remedy_changed"]
        assert [row.kind for row in ledger.outbox_pending()] == ["applied_by_rule", "remedy_changed"]
        clock.turn(hours=1)
        assert ledger.due(clock.now) == ["rem-1"]

    def test_an_outcome_is_kept_although_the_lease_ran_out(self, ledger: Ledger, clock: HandClock) -> None:
        """As long as nobody else took the remedy, what a call did is not forgotten."""
        filed(ledger, verdict="apply")
        claim, remedy = claimed(ledger)
        assert ledger.intend(claim, an_application(a_proposal(), claim), moved(remedy, state="applying"))
        clock.turn(hours=1)
        assert ledger.conclude(claim, moved(remedy, state="verifying"))

    def test_no_intent_without_a_decision_on_that_very_plan(self, ledger: Ledger) -> None:
        """Another plan, another revision, or a revert of nothing is refused and audited."""
        filed(ledger, verdict="apply")
        claim, remedy = claimed(ledger)
        applying = moved(remedy, state="applying")
        for wrong in (
            an_application(a_proposal(limit=61), claim),
            an_application(a_proposal(revision=2), claim),
            an_application(a_proposal(), claim, verb="revert"),
        ):
            assert not ledger.intend(claim, wrong, applying)
        assert ledger.applications("rem-1") == []
        assert audited(ledger)[-3:] == ["intent_refused"] * 3
        assert ledger.intend(claim, an_application(a_proposal(), claim), applying)

    def test_a_person_may_undo_a_change_at_work(self, ledger: Ledger, clock: HandClock) -> None:
        """It is due at once, and a walk that began before cannot overwrite the wish."""
        assert ledger.request_revert("rem-1", by="ann", reason="").status == "unknown"
        walked_to(ledger, "kept")
        claim, remedy = claimed(ledger)
        clock.turn(hours=5)
        assert ledger.request_revert("rem-1", by="ann", reason="too slow").status == "decided"
        assert not ledger.conclude(claim, moved(remedy, due_at=None))
        standing = ledger.remedy("rem-1")
        assert standing is not None
        assert (standing.revert_reason, standing.due_at) == ("too slow", clock.now)
        assert ledger.due(clock.now) == ["rem-1"]

    def test_what_is_not_at_work_cannot_be_undone(self, ledger: Ledger) -> None:
        """A waiting remedy is rejected, not reverted."""
        filed(ledger)
        assert ledger.request_revert("rem-1", by="ann", reason="").status == "not_allowed"
        assert ledger.extend("rem-1", by="ann", until=None).status == "not_allowed"

    def test_a_change_is_extended_or_handed_over(self, ledger: Ledger) -> None:
        """Only to a later end; what is made permanent has no end, and can still be undone."""
        walked_to(ledger, "kept")
        assert ledger.extend("rem-1", by="ann", until=T0).status == "not_allowed"
        later = T0 + timedelta(days=3)
        assert ledger.extend("rem-1", by="ann", until=later).status == "decided"
        standing = ledger.remedy("rem-1")
        assert standing is not None
        assert (standing.state, standing.outcome, standing.lease_ends_at) == ("kept", "extended", later)
        assert ledger.extend("rem-1", by="ann", until=None).status == "decided"
        standing = ledger.remedy("rem-1")
        assert standing is not None
        assert (standing.state, standing.outcome, standing.lease_ends_at) == ("kept", "made_permanent", None)
        assert ledger.request_revert("rem-1", by="ann", reason="").status == "decided"
        assert ledger.extend("rem-1", by="ann", until=None).status == "not_allowed"

    def test_an_extension_takes_as_many_as_the_approval(self, ledger: Ledger) -> None:
        """Different people for one and the same end; a word said of an older end does not count for the next."""
        walked_to(ledger, "kept", quorum=2)
        soon, later = T0 + timedelta(days=2), T0 + timedelta(days=3)
        for who, until in (("ann", soon), ("ann", soon), ("ben", later), ("cleo", None)):
            assert ledger.extend("rem-1", by=who, until=until).status == "counted"
        standing = ledger.remedy("rem-1")
        assert standing is not None
        assert standing.lease_ends_at == T0 + timedelta(days=1)
        assert ledger.extend("rem-1", by="ben", until=soon).status == "decided"
        assert ledger.extend("rem-1", by="ann", until=later).status == "counted", "ben's word was of another end"
        assert ledger.extend("rem-1", by="ben", until=later).status == "decided"
        standing = ledger.remedy("rem-1")
        assert standing is not None
        assert standing.lease_ends_at == later
        assert {"extension_vote", "extended"} <= set(audited(ledger))

    def test_remedies_are_found_by_state_and_incident(self, ledger: Ledger) -> None:
        """In the order of filing."""
        filed(ledger, name="rem-2")
        filed(ledger, name="rem-1", verdict="apply")
        assert [r.remedy_id for r in ledger.remedies()] == ["rem-2", "rem-1"]
        assert [r.remedy_id for r in ledger.remedies(states={"approved"}, incident_id="inc-1")] == ["rem-1"]
        assert ledger.remedies(incident_id="inc-9") == []
