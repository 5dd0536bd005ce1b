"""The simulated gateway: the shared checks of every actuator, and what it does to traffic."""

from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest

from evals.world.gateway import SimulatedGateway
from evals.world.gateway_enforcer import Admission, Request
from evals.world.gateway_state import Fault, GatewayState, Verb
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
from tests.checks.check_actuator import CAP, MINE, TARGET, CheckActuator, Rig
from tests.simulation.hand_clock import HandClock


def rig_of(*, cas: bool = True, propagation_seconds: int = 0) -> Rig:
    clock = HandClock()
    gateway = SimulatedGateway(clock=clock, cas=cas, propagation_seconds=propagation_seconds)

    def edit(action: Action, value: Settings) -> None:
        gateway.edit(action, value, who="ann")

    def fault(verb: str, name: str) -> None:
        gateway.script(cast(Verb, verb), cast(Fault, name))

    return Rig(gateway, clock, edit, fault)


class TestWithCompareAndSet(CheckActuator):
    """The shared checks, as it comes."""

    @pytest.fixture
    def rig(self) -> Rig:
        """A fresh gateway."""
        return rig_of()


class TestWithoutCompareAndSet(CheckActuator):
    """The shared checks, with compare-and-set off."""

    @pytest.fixture
    def rig(self) -> Rig:
        """A fresh gateway."""
        return rig_of(cas=False)


class TestWithPropagation(CheckActuator):
    """The shared checks, where a change takes a minute to reach traffic."""

    @pytest.fixture
    def rig(self) -> Rig:
        """A fresh gateway."""
        return rig_of(propagation_seconds=60)


Ask = Callable[..., Admission]


@pytest.fixture
def rig() -> Rig:
    return rig_of()


@pytest.fixture
def gateway(rig: Rig) -> SimulatedGateway:
    return cast(SimulatedGateway, rig.gateway)


@pytest.fixture
def ask(rig: Rig, gateway: SimulatedGateway) -> Ask:
    def send(**dims: str | int) -> Admission:
        fields: dict[str, object] = {"team": "search", "app": "indexer", "session_id": "s1", "model": "big", **dims}
        return gateway.admit(Request(at=rig.clock(), **fields))  # type: ignore[arg-type]  # dims are named by tests

    return send


def test_traffic_passes_untouched_without_rules(ask: Ask) -> None:
    """No rule, no change."""
    assert ask() == Admission("ok", "big")


def test_a_rate_limit_counts_by_the_minute(rig: Rig, ask: Ask) -> None:
    """Two a minute: the third is refused under our marker, the next minute begins anew, others are not touched."""
    rig.set(SetRateLimit(target=TARGET, requests_per_minute=2))
    verdicts = [ask().verdict for _ in range(3)]
    assert verdicts == ["ok", "ok", "refused"]
    assert ask().remedy_id == MINE
    assert ask(app="chat").verdict == "ok"
    rig.clock.move(60)
    assert ask().verdict == "ok"


def test_a_token_limit_counts_tokens(rig: Rig, ask: Ask) -> None:
    """A request that would pass the limit is refused and counts nothing."""
    rig.set(SetRateLimit(target=TARGET, tokens_per_minute=100))
    assert [ask(tokens=n).verdict for n in (60, 60, 40, 1)] == ["ok", "refused", "ok", "refused"]


def test_a_session_cap_counts_from_when_it_took_effect(rig: Rig, ask: Ask) -> None:
    """Calls before do not count; each session has its own count; calls without a session pass."""
    for _ in range(5):
        ask()
    rig.set(SetSessionCap(target=TARGET, max_calls=2))
    assert [ask().verdict for _ in range(3)] == ["ok", "ok", "refused"]
    assert ask(session_id="s2").verdict == "ok"
    assert ask(session_id="(none)").verdict == "ok"


def test_an_alias_changes_only_its_model(rig: Rig, ask: Ask) -> None:
    """Requests for the named model are answered by the other one; the most specific alias wins."""
    rig.set(SetModelAlias(target=Scope.of(team="search"), from_model="big", to_model="middle"))
    rig.set(SetModelAlias(target=TARGET, from_model="big", to_model="small"), key="k2")
    assert ask() == Admission("ok", "small", remedy_id=MINE)
    assert ask(app="chat").model == "middle"
    assert ask(model="other") == Admission("ok", "other")


def test_a_blocked_key_answers_nothing(rig: Rig, ask: Ask) -> None:
    """Only that key is refused."""
    rig.set(BlockKey(target=Scope.of(api_key_id="k7")))
    assert ask(api_key_id="k7").verdict == "refused"
    assert ask(api_key_id="k8").verdict == "ok"


def test_output_caps_and_the_cache_breakpoint_ride_along(rig: Rig, ask: Ask) -> None:
    """The smallest cap holds, the breakpoint is set."""
    rig.set(SetOutputCap(target=TARGET, max_tokens=2000))
    rig.set(SetOutputCap(target=Scope.of(team="search"), max_tokens=500), key="k2")
    rig.set(SetPromptCache(target=TARGET, ttl="1h"), key="k3")
    assert ask() == Admission("ok", "big", "1h", 500, MINE)


def test_rules_reach_traffic_after_the_propagation_and_leave_at_their_end() -> None:
    """Not before, and not after; the request's own time counts."""
    rig = rig_of(propagation_seconds=60)
    gateway = cast(SimulatedGateway, rig.gateway)
    block = BlockKey(target=Scope.of(api_key_id="k7"))
    rig.set(block, seconds=600)
    start = rig.clock()
    asked = [
        gateway.admit(Request(at=start + timedelta(seconds=s), api_key_id="k7")).verdict for s in (59, 60, 599, 600)
    ]
    assert asked == ["ok", "refused", "refused", "ok"]
    assert [one.what for one in gateway.log] == ["apply", "expire"]


def test_a_late_request_lands_later_and_respects_compare_and_set(rig: Rig, gateway: SimulatedGateway) -> None:
    """No answer now, a change 20 s later; after somebody else's change it does nothing."""
    rig.fault("apply", "late")
    assert rig.set(CAP).status == "unsure"
    assert rig.gateway.observe(CAP).marker is None
    rig.clock.move(20)
    assert rig.gateway.observe(CAP).marker == MINE
    assert rig.unset(CAP).status == "done"
    rig.fault("apply", "late")
    rig.set(CAP, key="again")
    rig.edit(CAP, {"requests_per_minute": 5})
    rig.clock.move(20)
    assert rig.gateway.observe(CAP).value == {"requests_per_minute": 5}


def test_a_silent_reset_drops_the_change(rig: Rig, gateway: SimulatedGateway, ask: Ask) -> None:
    """The answer was yes, and it is gone."""
    rig.fault("apply", "silent_reset")
    assert rig.set(CAP).status == "done"
    assert rig.gateway.observe(CAP).marker is None
    assert [one.what for one in gateway.log] == ["apply", "reset"]


def test_a_stored_rule_that_is_not_enforced_shows_in_the_probe(rig: Rig, ask: Ask) -> None:
    """Read-back is right, the live path is not."""
    rig.fault("apply", "not_enforced")
    rig.set(SetRateLimit(target=TARGET, requests_per_minute=1))
    assert rig.gateway.observe(CAP).marker == MINE
    assert rig.gateway.probe(SetRateLimit(target=TARGET, requests_per_minute=1), marker=MINE).status == "no"
    assert [ask().verdict for _ in range(3)] == ["ok", "ok", "ok"]


def test_a_gateway_survives_its_process() -> None:
    """State, versions, log and answered keys come back from what was kept."""
    kept: list[str] = []
    clock = HandClock()
    first = SimulatedGateway(clock=clock, on_change=lambda state: kept.append(state.model_dump_json()))
    rig = Rig(first, clock, lambda *_: None, lambda *_: None)
    rig.set(CAP)
    second = SimulatedGateway(clock=clock, state=GatewayState.model_validate_json(kept[-1]))
    assert second.observe(CAP) == first.observe(CAP)
    assert second.log == first.log
    assert second.admit(Request(at=clock(), team="search", app="indexer", model="big")).verdict == "ok"
    rig.unset(CAP)
    third = SimulatedGateway(clock=clock, state=GatewayState.model_validate_json(kept[-1]))
    replay = third.apply(CAP, marker=MINE, idempotency_key="rem-1:1:apply", expected_version="2", expires_at=rig.ends())
    assert (replay.status, third.observe(CAP).value) == ("done", {})
