"""What every gateway adapter must do, fake or real: subclass CheckActuator and give it a `rig` fixture."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, get_args

import pytest

from store.model.ports import Actuator, Applied, GatewayReader, Unreadable
from store.model.remedy import (
    Action,
    ActionKind,
    BlockKey,
    OpenIssue,
    OpenPullRequest,
    SetBudget,
    SetContextCap,
    SetModelAlias,
    SetOutputCap,
    SetPromptCache,
    SetRateLimit,
    SetReasoningEffort,
    SetServiceTier,
    SetSessionCap,
    Settings,
)
from store.model.usage import Scope
from tests.simulation.hand_clock import HandClock

TARGET = Scope.of(team="search", app="indexer")

EVERY_KIND: tuple[Action, ...] = (
    SetModelAlias(target=TARGET, from_model="big", to_model="small"),
    SetRateLimit(target=TARGET, requests_per_minute=60),
    SetSessionCap(target=Scope.of(team="search", app="indexer", session_id="s1"), max_calls=40),
    SetOutputCap(target=TARGET, max_tokens=2000),
    SetContextCap(target=TARGET, max_input_tokens=50_000),
    SetReasoningEffort(target=TARGET, effort="low"),
    SetServiceTier(target=TARGET),
    SetBudget(target=TARGET, max_nanos=5 * 10**9, period="day"),
    SetPromptCache(target=TARGET, ttl="5m"),
    BlockKey(target=Scope.of(api_key_id="key-7")),
    OpenIssue(target=TARGET, repository="acme/indexer", title="Cache broken", body="See the finding."),
    OpenPullRequest(
        target=TARGET, repository="acme/indexer", path="prompts/a.md", content="fixed\n", title="Mend", body="Why."
    ),
)
CAP = EVERY_KIND[1]
OTHER_VALUE: Settings = {"requests_per_minute": 7, "tokens_per_minute": None}
MINE = "rem-1"


class Gateway(GatewayReader, Actuator, Protocol):
    """An adapter that both reads and changes."""


class Plans(NamedTuple):
    """What is done to a gateway under test.

    `cap` and `lower` set one slot to two values, `by_hand` is a third that a person sets, `elsewhere` is another slot
    of the kind. `from_nothing`: a slot holds nothing before our change, so that no person's value can be there first.
    """

    every: tuple[Action, ...] = EVERY_KIND
    cap: Action = CAP
    lower: Action = SetRateLimit(target=TARGET, requests_per_minute=3)
    by_hand: Settings = OTHER_VALUE
    elsewhere: Action = SetRateLimit(target=Scope.of(team="ads"), requests_per_minute=60)
    from_nothing: bool = False


class Rig(NamedTuple):
    """A gateway under test, and what stands around it.

    `edit` changes the slot of an action by hand. `fault` makes the next call of a verb go wrong: lost_answer (the
    change is made, no answer comes), lost_request, garbage, refused, no_effect. `intend` notes who is about to change
    what, for gateways that have no place for a marker.
    """

    gateway: Gateway
    clock: HandClock
    edit: Callable[[Action, Settings], None]
    fault: Callable[[str, str], None]
    plans: Plans = Plans()
    intend: Callable[[Action, str], None] = lambda _action, _marker: None

    def plan(self, action: Action) -> Action:
        """The action with what it would replace."""
        return action.model_copy(update={"was": self.gateway.observe(action).value})

    def set(self, action: Action, *, key: str = "rem-1:1:apply", marker: str = MINE, seconds: int = 3600) -> Applied:
        """Apply as the reconciler does: note it, observe, then send what was seen."""
        self.intend(action, marker)
        return self.gateway.apply(
            action,
            marker=marker,
            idempotency_key=key,
            expected_version=self.gateway.observe(action).version,
            expires_at=self.ends(seconds),
        )

    def unset(self, action: Action, *, key: str = "rem-1:1:revert") -> Applied:
        """Revert as the reconciler does."""
        version = self.gateway.observe(action).version
        return self.gateway.revert(action, marker=MINE, idempotency_key=key, expected_version=version)

    def ends(self, seconds: int = 3600) -> datetime:
        """So many seconds from now."""
        return self.clock() + timedelta(seconds=seconds)


class CheckActuator:
    """The checks; none of them knows whose gateway it is."""

    @pytest.mark.parametrize("kind", [kind for kind in get_args(ActionKind) if kind != "notify"])
    def test_sets_reads_back_probes_and_restores_every_kind(self, rig: Rig, kind: ActionKind) -> None:
        """What was there; then our value under our marker, in force; then what was there again."""
        planned = [action for action in rig.plans.every if action.kind == kind]
        if kind not in rig.gateway.capabilities().handles or not planned:
            pytest.skip(f"{rig.gateway.name} does not handle {kind}")
        for action in map(rig.plan, planned):
            assert rig.gateway.observe(action).marker is None
            assert rig.gateway.probe(action, marker=MINE).status == "no"
            assert rig.set(action).status == "done"
            held = rig.gateway.observe(action)
            assert (held.value, held.marker) == (action.to, MINE)
            rig.clock.move(rig.gateway.capabilities().propagation_seconds)
            assert rig.gateway.probe(action, marker=MINE).status == "yes"
            assert rig.unset(action).status == "done"
            after = rig.gateway.observe(action)
            assert (after.value, after.marker) == (action.was, None)
            assert rig.gateway.probe(action, marker=MINE).status == "no"

    def test_every_kind_that_it_handles_is_checked(self, rig: Rig) -> None:
        """No kind is claimed and never tried."""
        assert rig.gateway.capabilities().handles <= {action.kind for action in rig.plans.every}

    def test_a_kind_that_it_does_not_handle_is_refused(self, rig: Rig) -> None:
        """It says no instead of pretending."""
        for action in EVERY_KIND:
            if action.kind not in rig.gateway.capabilities().handles:
                answer = rig.gateway.apply(
                    action, marker=MINE, idempotency_key="k", expected_version=None, expires_at=rig.ends()
                )
                assert answer.status == "refused"

    @pytest.mark.parametrize("key", ["rem-1:1:apply", "rem-1:2:apply"])
    def test_twice_equals_once(self, rig: Rig, key: str) -> None:
        """A repeat, under the same key or another, leaves value, marker and version as they are."""
        cap = rig.plan(rig.plans.cap)
        assert rig.set(cap).status == "done"
        once = rig.gateway.observe(cap)
        assert rig.set(cap, key=key).status == "done"
        assert rig.gateway.observe(cap) == once

    def test_values_are_absolute(self, rig: Rig) -> None:
        """A second change replaces the first; nothing adds up."""
        rig.set(rig.plan(rig.plans.cap))
        lower = rig.plan(rig.plans.lower)
        assert rig.set(lower, key="rem-1:2:apply").status == "done"
        assert rig.gateway.observe(lower).value == lower.to

    def test_a_repeat_after_a_human_change_does_not_overwrite_it(self, rig: Rig) -> None:
        """What was answered, or is marked as ours, grants nothing more."""
        can = rig.gateway.capabilities()
        if not (can.idempotency or can.marker):
            pytest.skip("neither keys nor marks here: the reconciler sees that the value is not the planned one")
        cap = rig.plan(rig.plans.cap)
        rig.set(cap)
        rig.edit(cap, rig.plans.by_hand)
        rig.set(cap)
        assert rig.gateway.observe(cap).value == rig.plans.by_hand

    def test_an_outdated_version_is_a_conflict(self, rig: Rig) -> None:
        """With compare-and-set, or with a look just before the write, a change since the plan is not overwritten."""
        if rig.plans.from_nothing:
            pytest.skip("nothing can be there first")
        cap = rig.plan(rig.plans.cap)
        seen = rig.gateway.observe(cap)
        rig.edit(cap, rig.plans.by_hand)
        answer = rig.gateway.apply(
            cap, marker=MINE, idempotency_key="k", expected_version=seen.version, expires_at=rig.ends()
        )
        if rig.gateway.capabilities().cas:
            assert answer.status == "conflict"
        if answer.status == "conflict":
            assert rig.gateway.observe(cap).value == rig.plans.by_hand

    def test_restores_the_value_that_was_there_before(self, rig: Rig) -> None:
        """Revert brings `was` back, without our marker."""
        if rig.plans.from_nothing:
            pytest.skip("nothing can be there first")
        rig.edit(rig.plans.cap, rig.plans.by_hand)
        lower = rig.plan(rig.plans.lower)
        assert lower.was == rig.plans.by_hand
        rig.set(lower)
        assert rig.unset(lower).status == "done"
        after = rig.gateway.observe(lower)
        assert (after.value, after.marker) == (rig.plans.by_hand, None)

    def test_leaves_a_human_change_alone_on_revert(self, rig: Rig) -> None:
        """Drift is a conflict, and what the person set stays and shows."""
        cap = rig.plan(rig.plans.cap)
        rig.set(cap)
        rig.edit(cap, rig.plans.by_hand)
        assert rig.gateway.observe(cap).value == rig.plans.by_hand
        assert rig.gateway.probe(cap, marker=MINE).status == "no"
        assert rig.unset(cap).status == "conflict"
        assert rig.gateway.observe(cap).value == rig.plans.by_hand

    def test_leaves_another_remedy_alone_on_revert(self, rig: Rig) -> None:
        """The same value under another marker is not ours."""
        cap = rig.plan(rig.plans.cap)
        rig.set(cap, key="rem-2:1:apply", marker="rem-2")
        assert rig.unset(cap).status == "conflict"
        assert rig.gateway.observe(cap).marker == "rem-2"

    @pytest.mark.parametrize("fault", ["lost_answer", "garbage"])
    def test_a_change_without_an_answer_is_unsure_and_can_be_found(self, rig: Rig, fault: str) -> None:
        """The caller learns that it knows nothing; observing finds the change."""
        cap = rig.plan(rig.plans.cap)
        rig.fault("apply", fault)
        assert rig.set(cap).status == "unsure"
        assert rig.gateway.observe(cap).marker == MINE

    def test_a_lost_request_is_unsure_and_changes_nothing(self, rig: Rig) -> None:
        """The same answer, and nothing there; sending again under the same key works."""
        cap = rig.plan(rig.plans.cap)
        rig.fault("apply", "lost_request")
        assert rig.set(cap).status == "unsure"
        assert rig.gateway.observe(cap).marker is None
        assert rig.set(cap).status == "done"
        assert rig.gateway.observe(cap).marker == MINE

    def test_a_revert_without_an_answer_is_unsure(self, rig: Rig) -> None:
        """A lost answer to a revert is no success either; the change is gone all the same."""
        cap = rig.plan(rig.plans.cap)
        rig.set(cap)
        rig.fault("revert", "lost_answer")
        assert rig.unset(cap).status == "unsure"
        assert rig.gateway.observe(cap).value == cap.was

    def test_a_refusal_changes_nothing(self, rig: Rig) -> None:
        """No permission: refused, and all is as it was."""
        cap = rig.plan(rig.plans.cap)
        rig.fault("apply", "refused")
        assert rig.set(cap).status == "refused"
        assert rig.gateway.observe(cap).value == cap.was

    def test_a_success_without_effect_shows_on_reading_back(self, rig: Rig) -> None:
        """A 200 is not an applied change: read-back and probe say so."""
        cap = rig.plan(rig.plans.cap)
        rig.fault("apply", "no_effect")
        assert rig.set(cap).status == "done"
        assert rig.gateway.observe(cap).marker is None
        assert rig.gateway.probe(cap, marker=MINE).status == "no"

    @pytest.mark.parametrize("fault", ["lost_answer", "garbage", "refused"])
    def test_an_unreadable_gateway_says_so(self, rig: Rig, fault: str) -> None:
        """Reading raises Unreadable, a probe is unsure; neither invents a value."""
        rig.fault("observe", fault)
        with pytest.raises(Unreadable, match=rig.plans.cap.kind):
            rig.gateway.observe(rig.plans.cap)
        rig.fault("probe", fault)
        assert rig.gateway.probe(rig.plans.cap, marker=MINE).status == "unsure"

    def test_a_change_is_gone_after_its_end(self, rig: Rig) -> None:
        """A gateway with expiry returns what was there before, with nobody's help; a revert then finds nothing.

        Without it our change stays, still known as ours, until it is taken back.
        """
        if not rig.plans.from_nothing:
            rig.edit(rig.plans.cap, rig.plans.by_hand)
        lower = rig.plan(rig.plans.lower)
        rig.set(lower, seconds=60)
        rig.clock.move(59)
        assert rig.gateway.observe(lower).marker == MINE
        rig.clock.move(1)
        after = rig.gateway.observe(lower)
        if rig.gateway.capabilities().expiry:
            assert (after.value, after.marker) == (lower.was, None)
            assert rig.unset(lower).status == "conflict"
        else:
            assert (after.value, after.marker) == (lower.to, MINE)
            assert rig.unset(lower).status == "done"
            assert rig.gateway.observe(lower).value == lower.was

    def test_two_targets_do_not_meet(self, rig: Rig) -> None:
        """What is set for one target is not set for another."""
        before = rig.gateway.observe(rig.plans.elsewhere)
        rig.set(rig.plan(rig.plans.cap))
        assert rig.gateway.observe(rig.plans.elsewhere).value == before.value

    def test_preview_names_both_values(self, rig: Rig) -> None:
        """People see what it was and what it would be."""
        lower = rig.plans.lower.model_copy(update={"was": rig.plans.by_hand})
        shown = rig.gateway.preview(lower)
        assert str(next(iter(rig.plans.by_hand.values()))) in shown.before
        assert str(next(iter(lower.to.values()))) in shown.after
        assert shown.before != shown.after
