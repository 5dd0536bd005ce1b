"""A LiteLLM proxy's admin API as a gateway: the shared checks on keys and on teams, and what is refused and why."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from store.model.ports import Unreadable
from store.model.remedy import Action, BlockKey, SetBudget, SetModelAlias, SetRateLimit, Settings
from store.model.usage import Scope
from tests.checks.check_actuator import MINE, OTHER_VALUE, CheckActuator, Plans, Rig
from tests.servers.json_server import JsonServer, Reply
from tests.servers.litellm_keys import ADMIN, VIEWER, LiteLLMKeys
from tests.simulation.hand_clock import HandClock
from tools.actuators.litellm_admin import LiteLLMAdmin
from tools.actuators.litellm_admin_values import fields_of
from tools.actuators.settings import LiteLLMAdminSettings

KEY, TEAM = Scope.of(api_key_id="search-indexer", team="search", app="indexer"), Scope.of(team="search")
FIVE_USD = 5 * 10**9


def plans(target: Scope, elsewhere: Scope) -> Plans:
    """The same on a key and on a team; only keys are blocked."""
    every: list[Action] = [
        SetRateLimit(target=target, requests_per_minute=60),
        SetBudget(target=target, max_nanos=FIVE_USD, period="day"),
        SetModelAlias(target=target, from_model="big", to_model="small"),
        BlockKey(target=KEY),
    ]
    lower = SetRateLimit(target=target, requests_per_minute=3)
    return Plans(tuple(every), every[0], lower, OTHER_VALUE, SetRateLimit(target=elsewhere, requests_per_minute=60))


@pytest.fixture
def proxy() -> Iterator[JsonServer]:
    keys = LiteLLMKeys()
    search, ads = keys.add_team("search"), keys.add_team("ads")
    keys.add_key("search-indexer", team_id=search, metadata={"app": "indexer", "owner": "ann"})
    keys.add_key("ads-bidder", team_id=ads, metadata={"app": "bidder"})
    server = JsonServer(keys)
    yield server
    server.close()


def gateway_of(proxy: JsonServer, clock: HandClock, *, key: str = ADMIN) -> LiteLLMAdmin:
    settings = LiteLLMAdminSettings(url=proxy.url, admin_key=SecretStr(key))
    return LiteLLMAdmin(settings, clock=clock)


def rig_of(proxy: JsonServer, target: Scope, elsewhere: Scope) -> Rig:
    clock, state = HandClock(), proxy.stand_in
    assert isinstance(state, LiteLLMKeys)

    def edit(action: Action, value: Settings) -> None:
        records = state.keys if "api_key_id" in action.target.as_dict() else state.teams
        record = next(one for one in records.values() if "search" in str(one.get("key_alias") or one["team_alias"]))
        record.update(fields_of(action, value, record), settings_updated_at="by hand")

    return Rig(gateway_of(proxy, clock), clock, edit, proxy.fault, plans(target, elsewhere))


class TestKeys(CheckActuator):
    """What every actuator must do, on a key."""

    @pytest.fixture
    def rig(self, proxy: JsonServer) -> Rig:
        """A key of a team."""
        return rig_of(proxy, KEY, Scope.of(api_key_id="ads-bidder"))


class TestTeams(CheckActuator):
    """The same on a team."""

    @pytest.fixture
    def rig(self, proxy: JsonServer) -> Rig:
        """A whole team."""
        return rig_of(proxy, TEAM, Scope.of(team="ads"))


@pytest.fixture
def rig(proxy: JsonServer) -> Rig:
    return rig_of(proxy, KEY, Scope.of(api_key_id="ads-bidder"))


def _key(proxy: JsonServer, alias: str = "search-indexer") -> dict[str, object]:
    assert isinstance(proxy.stand_in, LiteLLMKeys)
    return next(one for one in proxy.stand_in.keys.values() if one["key_alias"] == alias)


def test_what_the_operator_wrote_stays(proxy: JsonServer, rig: Rig) -> None:
    """Metadata and aliases of others survive our change and its return, to the byte."""
    key = _key(proxy)
    key["aliases"] = {"other": "thing"}
    before = {name: value for name, value in key.items() if name != "settings_updated_at"}
    for action in rig.plans.every:
        plan = rig.plan(action)
        assert rig.set(plan).status == "done"
        assert key["metadata"] != before["metadata"]
        assert rig.unset(plan).status == "done"
    after = {name: value for name, value in key.items() if name != "settings_updated_at"}
    assert after == {**before, "blocked": False}


def test_a_budget_comes_back_as_it_was_written(proxy: JsonServer, rig: Rig) -> None:
    """30d is a month to us and stays 30d; a period without a budget stays a period."""
    for budget, duration in ((2.5, "30d"), (None, "7d"), (7.0, "45d")):
        key = _key(proxy)
        key.update(max_budget=budget, budget_duration=duration)
        plan = rig.plan(SetBudget(target=KEY, max_nanos=10**9, period="day"))
        assert rig.set(plan).status == "done"
        assert (key["max_budget"], key["budget_duration"]) == (1.0, "1d")
        assert rig.unset(plan).status == "done"
        assert (key["max_budget"], key["budget_duration"]) == (budget, duration)


def test_two_remedies_on_one_key_do_not_meet(proxy: JsonServer, rig: Rig) -> None:
    """Each slot has its own mark; another remedy's live change is not replaced."""
    limit, alias = (rig.plan(rig.plans.every[place]) for place in (0, 2))
    assert rig.set(limit, marker="rem-1").status == "done"
    assert rig.set(alias, marker="rem-2").status == "done"
    assert [rig.gateway.observe(one).marker for one in (limit, alias)] == ["rem-1", "rem-2"]
    taken = rig.set(rig.plan(rig.plans.lower), marker="rem-3")
    assert (taken.status, taken.detail) == ("conflict", "rem-1 is in force there")
    tokens = rig.plan(SetRateLimit(target=KEY, tokens_per_minute=9000))
    assert rig.set(tokens, marker="rem-3").status == "conflict", "its own revert would be lost with its mark"
    assert rig.unset(limit).status == "done"
    assert rig.gateway.observe(alias).marker == "rem-2"


def test_what_would_break_every_call_is_refused(proxy: JsonServer, rig: Rig) -> None:
    """LiteLLM takes an alias to a model that the key may not use, and a spent budget; then nothing works any more."""
    key = _key(proxy)
    key.update(models=["big"], spend=9.5)
    alias = rig.set(SetModelAlias(target=KEY, from_model="big", to_model="small"))
    assert (alias.status, alias.detail) == (
        "refused",
        "the key search-indexer may not use small: every call would fail",
    )
    key["models"] = ["all-team-models"]
    assert isinstance(proxy.stand_in, LiteLLMKeys)
    team = next(one for one in proxy.stand_in.teams.values() if one["team_alias"] == "search")
    team["models"] = ["big"]
    teams = rig.set(SetModelAlias(target=KEY, from_model="big", to_model="small"))
    assert (teams.status, teams.detail) == ("refused", "the team search may not use small: every call would fail")
    team["models"] = ["s*"]
    assert rig.set(SetModelAlias(target=KEY, from_model="big", to_model="small")).status == "done"
    team["models"] = []
    with pytest.raises(Unreadable, match="the proxy has no model tiny"):
        rig.gateway.observe(SetModelAlias(target=KEY, from_model="other", to_model="tiny"))
    spent = rig.set(SetBudget(target=KEY, max_nanos=FIVE_USD, period="day"))
    assert spent.status == "refused"
    assert "would block it at once" in spent.detail


OPUS, HAIKU = "claude-opus-4-5", "claude-haiku-4-5"
SWAP = SetModelAlias(target=KEY, from_model=OPUS, to_model=HAIKU)


@pytest.mark.parametrize("small", [HAIKU, f"anthropic/{HAIKU}", f"anthropic/{HAIKU}-20251001", f"bedrock/eu/{HAIKU}"])
def test_a_plan_may_name_what_providers_call_a_model(proxy: JsonServer, rig: Rig, small: str) -> None:
    """The alias leads between the proxy's own groups, and reads as the plan says; a group of two models is neither."""
    state, key = proxy.stand_in, _key(proxy)
    assert isinstance(state, LiteLLMKeys)
    state.behind = [("big", f"anthropic/{OPUS}"), ("small", small), ("mixed", f"anthropic/{HAIKU}"), ("mixed", "x/y")]
    plan = rig.plan(SWAP)
    assert rig.set(plan).status == "done"
    assert key["aliases"] == {"big": "small"}
    assert (rig.gateway.observe(plan).value, rig.gateway.observe(plan).marker) == (plan.to, MINE)
    assert rig.set(plan, key="rem-1:2:apply").status == "done"
    # The operator names a second group of it, or takes the first one away: what we set is known all the same.
    state.behind = [*state.behind, ("tiny", f"anthropic/{HAIKU}")] if small == HAIKU else []
    assert rig.gateway.observe(plan).value == plan.to
    assert rig.unset(plan).status == "done"
    assert key["aliases"] == {}


def test_an_alias_that_stands_there_comes_back(proxy: JsonServer, rig: Rig) -> None:
    """A person's own alias of the same group, in the proxy's words."""
    state, key = proxy.stand_in, _key(proxy)
    assert isinstance(state, LiteLLMKeys)
    state.behind, key["aliases"] = [("big", OPUS), ("small", HAIKU)], {"big": "middle"}
    plan = rig.plan(SWAP)
    assert plan.was == {"from_model": OPUS, "to_model": "middle", "percent": None}
    assert rig.set(plan).status == "done"
    assert key["aliases"] == {"big": "small"}
    assert rig.unset(plan).status == "done"
    assert key["aliases"] == {"big": "middle"}


@pytest.mark.parametrize(
    ("behind", "why"),
    [
        ([("small", HAIKU), ("tiny", HAIKU)], f"{HAIKU} answers the model groups small, tiny"),
        ([("big", OPUS), ("huge", OPUS), ("small", HAIKU)], f"{OPUS} answers the model groups big, huge"),
        ([("mixed", HAIKU), ("mixed", OPUS)], f"the proxy has no model {HAIKU}"),
    ],
)
def test_an_ambiguous_model_is_refused(proxy: JsonServer, rig: Rig, behind: list[tuple[str, str]], why: str) -> None:
    """When the plan is made and when it is sent; nothing is changed."""
    state = proxy.stand_in
    assert isinstance(state, LiteLLMKeys)
    state.behind = behind
    with pytest.raises(Unreadable, match=why):
        rig.gateway.observe(SWAP)
    sent = rig.gateway.apply(SWAP, marker=MINE, idempotency_key="k", expected_version=None, expires_at=rig.ends())
    assert (sent.status, why in sent.detail, _key(proxy)["aliases"]) == ("refused", True, {})


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (SetRateLimit(target=Scope.of(end_user="u1"), requests_per_minute=1), "cannot tell end_user"),
        (SetRateLimit(target=Scope.of(app="indexer"), requests_per_minute=1), "cannot tell app"),
        (SetRateLimit(target=Scope.of(), requests_per_minute=1), "names no key and no team"),
        (SetRateLimit(target=Scope.of(team="(none)"), requests_per_minute=1), "traffic that has none"),
        (BlockKey(target=Scope.of(team="search")), "names no key"),
        (SetModelAlias(target=TEAM, from_model="big", to_model="small", percent=10), "a share of the sessions"),
    ],
)
def test_what_it_cannot_hit_alone_is_not_taken(rig: Rig, action: Action, why: str) -> None:
    """A target that is not exactly a key's or a team's traffic is for the guard."""
    assert isinstance(rig.gateway, LiteLLMAdmin)
    assert not rig.gateway.takes(action)
    answer = rig.gateway.apply(action, marker=MINE, idempotency_key="k", expected_version=None, expires_at=rig.ends())
    assert answer.status == "refused"
    assert why in answer.detail


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (Scope.of(api_key_id="search-indexer", app="crawler"), "is not only of app crawler"),
        (Scope.of(api_key_id="search-indexer", team="ads"), "is not a key of team ads"),
        (Scope.of(api_key_id="nobody"), "no keys have the alias nobody"),
        (Scope.of(team="search", environment="production"), "is not only of environment production"),
        (Scope.of(team="sales"), "404"),
        (Scope.of(api_key_id="0" * 64), "404"),
    ],
)
def test_more_than_was_meant_is_never_changed(rig: Rig, target: Scope, why: str) -> None:
    """A key that other apps use too is wider than the target."""
    with pytest.raises(Unreadable, match=why):
        rig.gateway.observe(SetRateLimit(target=target, requests_per_minute=1))


def test_a_persons_undo_within_the_lease_is_seen(proxy: JsonServer, rig: Rig) -> None:
    """The value is as it was before, and the mark tells that we were there: it is not sent again. After it: gone."""
    limit = rig.plan(rig.plans.cap)
    rig.set(limit)
    rig.edit(limit, {})
    assert (rig.gateway.observe(limit).value, rig.gateway.observe(limit).marker) == ({}, MINE)
    assert rig.set(limit).status == "conflict"
    rig.clock.move(3600)
    assert rig.gateway.observe(limit).marker is None


def test_a_damaged_mark_is_no_mark(proxy: JsonServer, rig: Rig) -> None:
    """Whatever a person made of our metadata, nothing fails and nothing is taken for ours."""
    kept = {"remedy": MINE, "set": {"requests_per_minute": 60, "tokens_per_minute": None}, "before": {}}
    naive = {**kept, "at": "2026-11-02T09:00:00", "ends": "2026-11-02T10:00:00"}
    for damaged in (
        "x",
        ["x"],
        {"set_rate_limit": None},
        {"set_rate_limit": {**kept, "at": "never"}},
        {"set_rate_limit": naive},
    ):
        limit = rig.plan(rig.plans.cap)
        assert rig.set(limit).status == "done"
        _key(proxy)["metadata"] = {"app": "indexer", "bursar_remedies": damaged}
        assert rig.gateway.observe(limit).marker is None
        assert rig.unset(limit).status == "conflict"
        rig.edit(limit, {})
        _key(proxy)["metadata"] = {"app": "indexer"}


def test_ping_says_what_the_key_may_do(proxy: JsonServer) -> None:
    """It asks for a change of what does not exist, which changes nothing and tells."""
    clock = HandClock()
    assert gateway_of(proxy, clock).ping().startswith("ok, may read and change keys and teams")
    assert "may read keys and not change keys" in gateway_of(proxy, clock, key=VIEWER).ping()
    assert "401" in gateway_of(proxy, clock, key="sk-wrong").ping()
    assert isinstance(proxy.stand_in, LiteLLMKeys)
    assert proxy.stand_in.changes == 0
    proxy.write_faults.extend([Reply(500, {}), "lost_request"])
    assert "500" in gateway_of(proxy, clock).ping()


def test_a_busy_proxy_is_unsure_and_not_a_no(proxy: JsonServer, rig: Rig) -> None:
    """429 and 5xx say nothing about the change: it is looked at again, and sent again if it is not there."""
    for status in (429, 500, 503):
        proxy.write_faults.append(Reply(status, {"error": {"message": "busy"}}))
        assert rig.set(rig.plan(rig.plans.cap)).status == "unsure"
        assert rig.gateway.observe(rig.plans.cap).marker is None


def test_no_message_holds_the_key(proxy: JsonServer) -> None:
    """Refusals and failures name the address and never the secret."""
    gateway = gateway_of(proxy, HandClock(), key="sk-secret-of-the-operator")
    limit = SetRateLimit(target=KEY, requests_per_minute=1)
    answer = gateway.apply(
        limit,
        marker=MINE,
        idempotency_key="k",
        expected_version=None,
        expires_at=HandClock()() + timedelta(hours=1),
    )
    assert (answer.status, "sk-secret" in answer.detail) == ("refused", False)
