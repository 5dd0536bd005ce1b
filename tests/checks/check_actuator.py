"""What every gateway adapter must do, fake or real: subclass CheckActuator and give it a `rig` fixture."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import pytest

from store.model.ports import Actuator, Applied, GatewayReader, Unreadable
from store.model.remedy import (
    Action,
    BlockKey,
    SetModelAlias,
    SetOutputCap,
    SetPromptCache,
    SetRateLimit,
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
    SetPromptCache(target=TARGET, ttl="5m"),
    BlockKey(target=Scope.of(api_key_id="key-7")),
)
CAP = EVERY_KIND[1]
OTHER_VALUE: Settings = {"requests_per_minute": 7, "tokens_per_minute": None}
MINE = "rem-1"


class Gateway(GatewayReader, Actuator, Protocol):
    """An adapter that both reads and changes."""


class Rig(NamedTuple):
    """A gateway under test, and what stands around it.

    `edit` changes the slot of an action by hand. `fault` makes the next call of a verb go wrong: lost_answer (the
    change is made, no answer comes), lost_request, garbage, refused, no_effect.
    """

    gateway: Gateway
    clock: HandClock
    edit: Callable[[Action, Settings], None]
    fault: Callable[[str, str], None]

    def set(self, action: Action, *, key: str = "rem-1:1:apply", marker: str = MINE, seconds: int = 3600) -> Applied:
        """Apply as the reconciler does: observe, then send what was seen."""
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

    @pytest.mark.parametrize("action", EVERY_KIND, ids=lambda action: action.kind)
    def test_sets_reads_back_probes_and_restores_every_kind(self, rig: Rig, action: Action) -> None:
        """Nothing is there; then our value under our marker, in force; then nothing again."""
        if action.kind not in rig.gateway.capabilities().handles:
            pytest.skip(f"{rig.gateway.name} does not handle {action.kind}")
        before = rig.gateway.observe(action)
        assert (before.value, before.marker) == ({}, None)
        assert rig.gateway.probe(action, marker=MINE).status == "no"
        assert rig.set(action).status == "done"
        held = rig.gateway.observe(action)
        assert (held.value, held.marker) == (action.to, MINE)
        rig.clock.move(rig.gateway.capabilities().propagation_seconds)
        assert rig.gateway.probe(action, marker=MINE).status == "yes"
        assert rig.unset(action).status == "done"
        after = rig.gateway.observe(action)
        assert (after.value, after.marker) == ({}, None)
        assert rig.gateway.probe(action, marker=MINE).status == "no"

    def test_a_kind_that_it_does_not_handle_is_refused(self, rig: Rig) -> None:
        """It says no instead of pretending."""
        for action in EVERY_KIND:
            if action.kind not in rig.gateway.capabilities().handles:
                assert rig.set(action).status == "refused"

    @pytest.mark.parametrize("key", ["rem-1:1:apply", "rem-1:2:apply"])
    def test_twice_equals_once(self, rig: Rig, key: str) -> None:
        """A repeat, under the same key or another, leaves value, marker and version as they are."""
        assert rig.set(CAP).status == "done"
        once = rig.gateway.observe(CAP)
        assert rig.set(CAP, key=key).status == "done"
        assert rig.gateway.observe(CAP) == once

    def test_values_are_absolute(self, rig: Rig) -> None:
        """A second change replaces the first; nothing adds up."""
        rig.set(CAP)
        lower = SetRateLimit(target=TARGET, requests_per_minute=30, was=CAP.to)
        assert rig.set(lower, key="rem-1:2:apply").status == "done"
        assert rig.gateway.observe(CAP).value == lower.to

    def test_a_repeat_after_a_human_change_does_not_overwrite_it(self, rig: Rig) -> None:
        """A key that was answered grants nothing more."""
        rig.set(CAP)
        rig.edit(CAP, OTHER_VALUE)
        rig.set(CAP)
        assert rig.gateway.observe(CAP).value == OTHER_VALUE

    def test_an_outdated_version_is_a_conflict(self, rig: Rig) -> None:
        """Where there is compare-and-set, a change since the look is never overwritten."""
        if not rig.gateway.capabilities().cas:
            pytest.skip("no compare-and-set here")
        seen = rig.gateway.observe(CAP)
        rig.edit(CAP, OTHER_VALUE)
        answer = rig.gateway.apply(
            CAP, marker=MINE, idempotency_key="k", expected_version=seen.version, expires_at=rig.ends()
        )
        assert answer.status == "conflict"
        assert rig.gateway.observe(CAP).value == OTHER_VALUE

    def test_restores_the_value_that_was_there_before(self, rig: Rig) -> None:
        """Revert brings `was` back, without our marker."""
        rig.edit(CAP, OTHER_VALUE)
        lower = SetRateLimit(target=TARGET, requests_per_minute=3, was=OTHER_VALUE)
        rig.set(lower)
        assert rig.unset(lower).status == "done"
        after = rig.gateway.observe(CAP)
        assert (after.value, after.marker) == (OTHER_VALUE, None)

    def test_leaves_a_human_change_alone_on_revert(self, rig: Rig) -> None:
        """Drift is a conflict, and what the person set stays."""
        rig.set(CAP)
        rig.edit(CAP, OTHER_VALUE)
        assert rig.unset(CAP).status == "conflict"
        assert rig.gateway.observe(CAP).value == OTHER_VALUE

    def test_leaves_another_remedy_alone_on_revert(self, rig: Rig) -> None:
        """The same value under another marker is not ours."""
        rig.set(CAP, key="rem-2:1:apply", marker="rem-2")
        assert rig.unset(CAP).status == "conflict"
        assert rig.gateway.observe(CAP).marker == "rem-2"

    @pytest.mark.parametrize("fault", ["lost_answer", "garbage"])
    def test_a_change_without_an_answer_is_unsure_and_can_be_found(self, rig: Rig, fault: str) -> None:
        """The caller learns that it knows nothing; observing finds the change."""
        rig.fault("apply", fault)
        assert rig.set(CAP).status == "unsure"
        assert rig.gateway.observe(CAP).marker == MINE

    def test_a_lost_request_is_unsure_and_changes_nothing(self, rig: Rig) -> None:
        """The same answer, and nothing there; sending again under the same key works."""
        rig.fault("apply", "lost_request")
        assert rig.set(CAP).status == "unsure"
        assert rig.gateway.observe(CAP).marker is None
        assert rig.set(CAP).status == "done"
        assert rig.gateway.observe(CAP).marker == MINE

    def test_a_revert_without_an_answer_is_unsure(self, rig: Rig) -> None:
        """A lost answer to a revert is no success either; the change is gone all the same."""
        rig.set(CAP)
        rig.fault("revert", "lost_answer")
        assert rig.unset(CAP).status == "unsure"
        assert rig.gateway.observe(CAP).value == {}

    def test_a_refusal_changes_nothing(self, rig: Rig) -> None:
        """No permission: refused, and nothing is there."""
        rig.fault("apply", "refused")
        assert rig.set(CAP).status == "refused"
        assert rig.gateway.observe(CAP).value == {}

    def test_a_success_without_effect_shows_on_reading_back(self, rig: Rig) -> None:
        """A 200 is not an applied change: read-back and probe say so."""
        rig.fault("apply", "no_effect")
        assert rig.set(CAP).status == "done"
        assert rig.gateway.observe(CAP).marker is None
        assert rig.gateway.probe(CAP, marker=MINE).status == "no"

    @pytest.mark.parametrize("fault", ["lost_answer", "garbage", "refused"])
    def test_an_unreadable_gateway_says_so(self, rig: Rig, fault: str) -> None:
        """Reading raises Unreadable, a probe is unsure; neither invents a value."""
        rig.fault("observe", fault)
        with pytest.raises(Unreadable, match="set_rate_limit"):
            rig.gateway.observe(CAP)
        rig.fault("probe", fault)
        assert rig.gateway.probe(CAP, marker=MINE).status == "unsure"

    def test_a_change_is_gone_after_its_end(self, rig: Rig) -> None:
        """The gateway returns what was there before, with nobody's help; a revert then finds nothing of ours."""
        rig.edit(CAP, OTHER_VALUE)
        lower = SetRateLimit(target=TARGET, requests_per_minute=3, was=OTHER_VALUE)
        rig.set(lower, seconds=60)
        rig.clock.move(59)
        assert rig.gateway.observe(CAP).marker == MINE
        rig.clock.move(1)
        after = rig.gateway.observe(CAP)
        assert (after.value, after.marker) == (OTHER_VALUE, None)
        assert rig.unset(lower).status == "conflict"

    def test_two_targets_do_not_meet(self, rig: Rig) -> None:
        """What is set for one target is not set for another."""
        rig.set(CAP)
        other = SetRateLimit(target=Scope.of(team="ads"), requests_per_minute=60)
        assert rig.gateway.observe(other).value == {}

    def test_preview_names_both_values(self, rig: Rig) -> None:
        """People see what it was and what it would be."""
        shown = rig.gateway.preview(SetRateLimit(target=TARGET, requests_per_minute=3, was=OTHER_VALUE))
        assert "7" in shown.before
        assert "3" in shown.after
