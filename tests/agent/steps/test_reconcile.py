"""The reconciler's steps over the real ledger and the simulated gateway: every outcome of a remedy's walk."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Literal

import pytest

from agent.failpoints import Failpoint, nothing
from agent.verification import VerificationFacts
from agent.walk import Step
from evals.world.gateway import SimulatedGateway
from evals.world.gateway_state import Fault
from store.ledger.ledger import Ledger, open_ledger
from store.model.remedy import Notify, Proposal, Remedy, SetModelAlias, SetOutputCap, Verdict
from tests.simulation.hand_clock import START, HandClock
from tests.simulation.story import (
    HARMED,
    HOUR,
    LIMIT,
    NO_EFFECT,
    REMEDY,
    TARGET,
    WORKED,
    Driver,
    incident,
    proposal,
    ruling,
    vote,
)


class Scene:
    """One approved remedy, a clock, a gateway, and a driver whose parts can be exchanged."""

    def __init__(self, *, cas: bool = True, propagation_seconds: int = 0) -> None:
        self.clock = HandClock()
        self.ledger: Ledger = open_ledger("sqlite://", clock=self.clock)
        self.gateway = SimulatedGateway(clock=self.clock, cas=cas, propagation_seconds=propagation_seconds)
        self.facts: VerificationFacts | None = WORKED
        self.verdict: Verdict = "apply"
        self.failpoint: Failpoint = nothing

    def file(self, plan: Proposal | None = None, *, by: Literal["policy", "people"] = "policy") -> "Scene":
        self.ledger.save_incident(incident())
        self.ledger.file(plan or proposal(), ruling("apply" if by == "policy" else "ask"))
        if by == "people":
            self.ledger.cast(vote("ann", "approve", self.clock()))
        return self

    @property
    def driver(self) -> Driver:
        return Driver(
            self.ledger,
            self.gateway,
            self.clock,
            facts=lambda: self.facts,
            permit=lambda _: ruling(self.verdict, at=self.clock()),
            failpoint=self.failpoint,
        )

    def walk(self, until: Callable[[Remedy], bool] = lambda _: False, hours: float = 12) -> list[Step]:
        """Tick every minute until nothing can come any more; the steps that were taken."""
        taken: list[Step] = []
        end = self.clock() + timedelta(hours=hours)
        while self.clock() < end:
            while self.driver.due():
                step = self.driver.step()
                assert step is not None
                taken.append(step)
                if until(self.remedy):
                    return taken
            if self.remedy.due_at is None:
                break
            self.clock.move(60)
        return taken

    @property
    def remedy(self) -> Remedy:
        return self.driver.remedy()

    @property
    def ending(self) -> tuple[str, str | None]:
        return self.remedy.state, self.remedy.outcome

    @property
    def effects(self) -> list[str]:
        return [one.what for one in self.gateway.log]


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    assert made.ledger.verify_audit().ok
    made.ledger.close()


LOST: tuple[Fault, ...] = ("lost_request",) * 9


def settled(remedy: Remedy) -> bool:
    return remedy.state in {"verifying", "kept", "closed", "paging"}


def test_a_remedy_that_works_is_kept_measured_and_returned(scene: Scene) -> None:
    """Applied once, kept while it works, measured every window without overlap, returned at the end of its lease."""
    steps = scene.file().walk()
    assert steps[:2] == ["apply", "verify"]
    assert steps[-1] == "expire"
    assert scene.ending == ("closed", "returned")
    assert scene.effects == ["apply", "expire"]
    found = scene.ledger.verifications(REMEDY)
    assert [one.outcome for one in found] == ["worked"] * len(found)
    assert len(found) == 5
    assert all(one.window.end <= two.window.start for one, two in pairwise(found))
    assert found[0].saved_mid_nanos == (100 - 12) * 10**9


def test_one_that_does_nothing_is_taken_back(scene: Scene) -> None:
    """no_effect: reverted at once, and the ledger keeps why."""
    scene.facts = NO_EFFECT
    assert scene.file().walk() == ["apply", "verify", "revert"]
    assert scene.ending == ("closed", "no_effect")
    assert scene.effects == ["apply", "revert"]
    assert [one.outcome for one in scene.ledger.applications(REMEDY)] == ["applied", "reverted"]


def test_one_that_does_harm_is_taken_back_once(scene: Scene) -> None:
    """A broken guard reverts, whatever was saved."""
    scene.facts = HARMED
    assert scene.file().walk() == ["apply", "verify", "revert"]
    assert scene.ending == ("closed", "harmed")
    assert scene.remedy.reverts == 1


@pytest.mark.parametrize("facts", [None, WORKED._replace(spread=float("nan")), WORKED._replace(unpriced=500)])
def test_no_data_is_never_success(scene: Scene, facts: VerificationFacts | None) -> None:
    """Nothing measured, NaN, no prices: held, measured again, returned at the end; never kept."""
    scene.facts = facts
    seen: list[str] = []

    def note(remedy: Remedy) -> bool:
        seen.append(remedy.state)
        return False

    scene.file().walk(until=note)
    assert "kept" not in seen
    assert scene.ending == ("closed", "returned")
    assert {one.outcome for one in scene.ledger.verifications(REMEDY)} == {"inconclusive"}
    assert all(one.saved_mid_nanos == 0 for one in scene.ledger.verifications(REMEDY))


def test_one_that_worked_is_not_reverted_when_the_spike_is_over(scene: Scene) -> None:
    """After success, nothing left to save is no failure; harm still is."""
    scene.file().walk(until=lambda remedy: remedy.state == "kept")
    scene.facts = NO_EFFECT
    scene.walk(hours=2)
    assert scene.remedy.state == "kept"
    scene.facts = HARMED
    scene.walk()
    assert scene.ending == ("closed", "harmed")


@pytest.mark.parametrize("fault", ["lost_answer", "error_after_apply", "garbage", "late"])
@pytest.mark.parametrize("cas", [True, False])
def test_a_change_without_an_answer_is_found_and_not_sent_again(fault: Fault, cas: bool) -> None:
    """unknown, then observed, then verifying; the gateway saw one effect."""
    scene = Scene(cas=cas)
    scene.gateway.script("apply", fault)
    assert scene.file().walk(until=settled) == ["apply", "resolve"]
    assert scene.ending == ("verifying", "applied")
    assert scene.effects == ["apply"]


def test_a_lost_request_is_sent_again_only_after_a_look(scene: Scene) -> None:
    """unknown, observed as not made, approved again, applied."""
    scene.gateway.script("apply", "lost_request")
    assert scene.file().walk(until=settled) == ["apply", "resolve", "apply"]
    assert scene.effects == ["apply"]


def test_a_request_that_never_arrives_ends_as_failed(scene: Scene) -> None:
    """Sent three times and no more."""
    scene.gateway.script("apply", *LOST)
    steps = scene.file().walk()
    assert steps.count("apply") == 4
    assert scene.ending == ("closed", "failed")
    assert scene.effects == []


def test_a_gateway_that_never_answers_again_calls_a_person(scene: Scene) -> None:
    """Three looks in vain: undecidable, paging, and nothing is due."""
    scene.gateway.script("apply", "lost_answer")
    scene.gateway.script("observe", "ok", *LOST)
    assert scene.file().walk() == ["apply", "resolve", "resolve", "resolve"]
    assert scene.ending == ("paging", "undecidable")
    assert scene.remedy.due_at is None


def test_a_gateway_that_cannot_be_read_first_is_not_touched(scene: Scene) -> None:
    """No look, no call; the approval stands and is carried out when the gateway is back."""
    scene.gateway.script("observe", "lost_request", "lost_request")
    assert scene.file().walk(until=settled) == ["apply", "apply", "apply"]
    assert scene.effects == ["apply"]


def test_a_refusal_fails_and_changes_nothing(scene: Scene) -> None:
    """No permission: closed as failed."""
    scene.gateway.script("apply", "refused")
    assert scene.file().walk() == ["apply"]
    assert scene.ending == ("closed", "failed")
    assert scene.effects == []


def test_a_success_without_effect_is_found_by_reading_back(scene: Scene) -> None:
    """The gateway said yes and holds nothing: sent again later."""
    scene.gateway.script("apply", "no_effect")
    assert scene.file().walk(until=settled) == ["apply", "apply"]
    assert scene.effects == ["apply"]


def test_a_stored_change_that_traffic_never_meets_is_taken_back(scene: Scene) -> None:
    """Read-back says yes, the probe says no for three looks: reverted, failed."""
    scene.gateway.script("apply", "not_enforced")
    assert scene.file().walk() == ["apply", "resolve", "resolve", "resolve", "revert"]
    assert scene.ending == ("closed", "failed")
    assert scene.effects == ["apply", "revert"]


def test_a_silent_reset_right_after_the_change_is_stale(scene: Scene) -> None:
    """The value is back and the version moved: propose anew."""
    scene.gateway.script("apply", "silent_reset")
    scene.file().walk()
    assert scene.ending == ("closed", "stale")


def test_a_change_that_takes_time_to_spread_is_not_unknown() -> None:
    """Stored, not in force yet: applying, then verifying; the window begins when it has spread."""
    scene = Scene(propagation_seconds=60)
    assert scene.file().walk(until=settled) == ["apply", "resolve"]
    assert scene.remedy.applied_at == START
    scene.walk()
    assert scene.ledger.verifications(REMEDY)[0].window.start == START + timedelta(minutes=5)


@pytest.mark.parametrize("cas", [True, False])
def test_a_human_change_since_the_plan_makes_it_stale(cas: bool) -> None:
    """Nothing is overwritten."""
    scene = Scene(cas=cas)
    scene.gateway.edit(LIMIT, {"requests_per_minute": 5}, who="ann")
    assert scene.file().walk() == ["apply"]
    assert scene.ending == ("closed", "stale")
    assert scene.effects == ["edit"]


def test_a_value_that_moved_and_came_back_is_stale_too(scene: Scene) -> None:
    """The version tells."""
    scene.gateway.edit(LIMIT, {"requests_per_minute": 5}, who="ann")
    scene.gateway.edit(LIMIT, {}, who="ann")
    scene.file().walk()
    assert scene.ending == ("closed", "stale")


def test_a_plan_on_a_value_that_was_set_restores_it(scene: Scene) -> None:
    """`was` and the version of the plan are met; revert brings the old limit back."""
    old = {"requests_per_minute": 500, "tokens_per_minute": None}
    scene.gateway.edit(LIMIT, {**old}, who="ann")
    scene.facts = NO_EFFECT
    scene.file(proposal(LIMIT.model_copy(update={"was": old}), base_version="1")).walk()
    assert scene.ending == ("closed", "no_effect")
    assert scene.gateway.observe(LIMIT).value == old


def test_a_human_change_after_ours_is_left_alone(scene: Scene) -> None:
    """drifted: seen at the next verification, not reverted."""
    scene.file().walk(until=settled)
    scene.gateway.edit(LIMIT, {"requests_per_minute": 5}, who="ann")
    scene.walk()
    assert scene.ending == ("closed", "drifted")
    assert scene.effects == ["apply", "edit"]


def test_undo_by_a_person_reverts_at_once_even_under_the_kill_switch(scene: Scene) -> None:
    """The kill switch stops new effects; what was lent can still be returned."""
    scene.file().walk(until=settled)
    scene.ledger.set_kill_switch(True, by="bob", reason="drill")
    scene.ledger.request_revert(REMEDY, by="ann", reason="not now")
    assert scene.walk() == ["revert"]
    assert scene.ending == ("closed", "returned")


def test_an_undo_of_an_unknown_change_looks_first() -> None:
    """Made: found, then reverted. Not made: closed, and not sent again."""
    cases: tuple[tuple[Fault, list[str]], ...] = (("lost_answer", ["apply", "revert"]), ("lost_request", []))
    for fault, effects in cases:
        scene = Scene().file()
        scene.gateway.script("apply", fault)
        scene.walk(until=lambda remedy: remedy.state == "unknown")
        scene.ledger.request_revert(REMEDY, by="ann", reason="not now")
        scene.walk()
        assert scene.ending == ("closed", "returned")
        assert scene.effects == effects


def test_a_refused_revert_calls_a_person_and_is_not_repeated(scene: Scene) -> None:
    """revert_failed: paging, nothing due."""
    scene.facts = HARMED
    scene.gateway.script("revert", "refused")
    assert scene.file().walk() == ["apply", "verify", "revert"]
    assert scene.ending == ("paging", "revert_failed")


def test_a_revert_without_an_answer_is_observed(scene: Scene) -> None:
    """A lost answer to the revert: reading back finds it done."""
    scene.facts = HARMED
    scene.gateway.script("revert", "lost_answer")
    scene.file().walk()
    assert scene.ending == ("closed", "harmed")
    assert scene.effects == ["apply", "revert"]


def test_a_revert_that_never_arrives_calls_a_person(scene: Scene) -> None:
    """Three tries, each after a look."""
    scene.facts = HARMED
    scene.gateway.script("revert", *LOST)
    assert scene.file().walk() == ["apply", "verify", "revert", "revert", "revert"]
    assert scene.ending == ("paging", "revert_failed")


def test_the_lease_ends_actively_where_the_gateway_has_not_dropped_it(scene: Scene) -> None:
    """Still ours after the end: expire asks, revert returns it."""
    scene.file(proposal(lease_seconds=HOUR)).walk(until=settled)
    state = scene.gateway.state()
    state.rules = [(slot, rule.model_copy(update={"expires_at": None})) for slot, rule in state.rules]
    scene.gateway = SimulatedGateway(clock=scene.clock, state=state)
    assert scene.walk()[-2:] == ["expire", "revert"]
    assert scene.ending == ("closed", "returned")


def test_a_plan_that_changed_after_the_decision_is_refused_loudly(scene: Scene) -> None:
    """The decision binds to the hash of the actions; another plan under its name calls a person."""
    scene.file(by="people")
    other = proposal(LIMIT.model_copy(update={"requests_per_minute": 1}))
    swapped = scene.driver._replace(ledger=_Swapped(scene.ledger, other))  # type: ignore[arg-type]  # a ledger whose row was changed
    swapped.step()
    assert scene.ending == ("paging", "failed")
    assert scene.effects == []


class _Swapped:
    """The ledger, with another proposal in the place of the approved one."""

    def __init__(self, ledger: Ledger, other: Proposal) -> None:
        self._ledger, self._other = ledger, other

    def proposal(self, *_: object) -> Proposal:
        return self._other

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)


@pytest.mark.parametrize(
    ("by", "verdict", "applied"),
    [
        ("policy", "apply", True),
        ("policy", "ask", False),
        ("policy", "observe", False),
        ("people", "apply", True),
        ("people", "ask", True),
        ("people", "observe", False),
    ],
)
def test_the_policy_is_asked_again(
    scene: Scene, by: Literal["policy", "people"], verdict: Verdict, applied: bool
) -> None:
    """A rule's decision needs apply, people's needs ask; else the plan is stale. The ruling is kept."""
    scene.verdict = verdict
    scene.file(by=by).walk(until=settled)
    assert scene.ending == (("verifying", "applied") if applied else ("closed", "stale"))
    assert scene.effects == (["apply"] if applied else [])
    assert [one.phase for one in scene.ledger.rulings(REMEDY)] == ["proposal", "apply"]


def test_the_kill_switch_holds_an_approved_remedy(scene: Scene) -> None:
    """Nothing is sent while it is on; afterwards the approval is carried out."""
    scene.file().ledger.set_kill_switch(True, by="bob", reason="drill")
    scene.walk(hours=0.5)
    assert (scene.ending, scene.effects) == (("approved", "approved"), [])
    scene.ledger.set_kill_switch(False, by="bob", reason="drill over")
    scene.walk(until=settled)
    assert scene.effects == ["apply"]


def test_the_kill_switch_is_read_again_just_before_the_call(scene: Scene) -> None:
    """Thrown after the intent: still no effect."""

    def throw(name: str) -> None:
        if name == "apply.observed":
            scene.ledger.set_kill_switch(True, by="bob", reason="drill")

    scene.failpoint = throw
    scene.file().walk(hours=0.5)
    assert (scene.ending, scene.effects) == (("approved", "approved"), [])


def test_an_old_approval_is_not_carried_out(scene: Scene) -> None:
    """Held for more than a day: propose anew."""
    scene.file().ledger.set_kill_switch(True, by="bob", reason="drill")
    scene.walk(hours=0.1)
    scene.clock.move(25 * HOUR)
    scene.walk()
    assert (scene.ending, scene.effects) == (("closed", "stale"), [])


def test_a_rejected_remedy_is_never_walked(scene: Scene) -> None:
    """No claim, no step, no effect."""
    scene.ledger.save_incident(incident())
    scene.ledger.file(proposal(), ruling("ask"))
    scene.ledger.cast(vote("bob", "reject", scene.clock()))
    assert scene.walk() == []
    assert (scene.driver.step(), scene.effects) == (None, [])


def test_a_notice_changes_nothing_at_a_gateway(scene: Scene) -> None:
    """It is told through the outbox and closed as applied."""
    scene.file(proposal(Notify(target=TARGET, message="look at the loop"))).walk()
    assert (scene.ending, scene.effects) == (("closed", "applied"), [])
    assert any("look at the loop" in str(row.payload) for row in scene.ledger.outbox_pending())


CAP = SetOutputCap(target=TARGET, max_tokens=500)


def test_the_actions_of_a_plan_are_applied_in_order_and_returned_together(scene: Scene) -> None:
    """Two effects, two returns."""
    scene.facts = NO_EFFECT
    scene.file(proposal(LIMIT, CAP)).walk()
    assert scene.ending == ("closed", "no_effect")
    assert [(one.what, one.slot[0]) for one in scene.gateway.log] == [
        ("apply", "set_rate_limit"),
        ("apply", "set_output_cap"),
        ("revert", "set_output_cap"),
        ("revert", "set_rate_limit"),
    ]


@pytest.mark.parametrize("fault", ["refused", "lost_request"])
def test_a_later_action_that_fails_takes_the_earlier_ones_back(scene: Scene, fault: Fault) -> None:
    """Half a plan is no plan: failed, and nothing of it is left."""
    scene.gateway.script("apply", "ok", fault)
    scene.file(proposal(LIMIT, CAP)).walk()
    assert scene.ending == ("closed", "failed")
    assert scene.effects == ["apply", "revert"]


def test_a_plan_for_what_the_gateway_cannot_do_fails_before_any_call(scene: Scene) -> None:
    """An alias is handled; the plan as a whole must be."""
    limited = _Limited(scene.gateway)
    scene.file(proposal(SetModelAlias(target=TARGET, from_model="big", to_model="small")))
    scene.driver._replace(gateway=limited).step()  # type: ignore[arg-type]  # a gateway that handles less
    assert (scene.ending, scene.effects) == (("closed", "failed"), [])


class _Limited:
    """A gateway that handles rate limits only."""

    def __init__(self, gateway: SimulatedGateway) -> None:
        self._gateway = gateway

    def capabilities(self) -> object:
        handles = frozenset({"set_rate_limit"})
        return self._gateway.capabilities().model_copy(update={"handles": handles})

    def __getattr__(self, name: str) -> object:
        return getattr(self._gateway, name)


def test_two_workers_do_not_share_a_remedy(scene: Scene) -> None:
    """While one holds the lease the other gets nothing; after it the second takes over and the first is refused."""
    scene.file()
    others: list[Step | None] = []

    def meanwhile(name: str) -> None:
        if name == "apply.intended":
            second = scene.driver._replace(owner="worker-2", failpoint=nothing)
            others.append(second.step())
            scene.clock.move(121)
            others.extend(second.step() for _ in range(2))

    scene.failpoint = meanwhile
    assert scene.driver.step() == "apply"
    assert others == [None, "resolve", "apply"]
    assert scene.effects == ["apply"]
    assert scene.ending == ("verifying", "applied")


def test_a_new_revision_of_a_stale_plan_begins_anew(scene: Scene) -> None:
    """Its own intents, lease and tries; what the old revision did does not count."""
    scene.gateway.edit(LIMIT, {"requests_per_minute": 90, "tokens_per_minute": None}, who="ann")
    scene.file().walk()
    assert scene.ending == ("closed", "stale")
    scene.clock.move(8 * HOUR)
    held = scene.gateway.observe(LIMIT)
    plan = proposal(LIMIT.model_copy(update={"was": held.value}), made_at=scene.clock(), base_version=held.version)
    again = ruling("apply", at=scene.clock()).model_copy(update={"revision": 2})
    scene.gateway.script("apply", "lost_answer")
    scene.ledger.file(plan.model_copy(update={"revision": 2}), again)
    fresh = scene.driver._replace(permit=lambda _: again)
    assert [fresh.step(), fresh.step()] == ["apply", "resolve"]
    assert scene.ending == ("verifying", "applied")
    assert scene.remedy.lease_ends_at == scene.clock() + timedelta(hours=6)


def test_a_change_that_came_and_went_unseen_is_not_called_stale(scene: Scene) -> None:
    """No answer, nobody looked until after its end: failed, and said so."""
    scene.gateway.script("apply", "lost_answer")
    scene.file(proposal(lease_seconds=HOUR)).walk(until=lambda remedy: remedy.state == "unknown")
    scene.clock.move(2 * HOUR)
    assert scene.walk() == ["resolve"]
    assert scene.ending == ("closed", "failed")
    assert scene.effects == ["apply", "expire"]
