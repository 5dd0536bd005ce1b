"""The same shared checks on a real LiteLLM proxy with PostgreSQL, and when its traffic meets what was set."""

import time
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from store.model.ports import Unreadable
from store.model.remedy import Action, BlockKey, SetBudget, SetModelAlias, SetRateLimit, Settings
from store.model.usage import Scope
from tests.checks.check_actuator import MINE, OTHER_VALUE, CheckActuator, Plans, Rig
from tests.servers.json_server import JsonServer
from tests.servers.litellm_db import LiteLLMWithDatabase, litellm_db
from tests.simulation.hand_clock import HandClock
from tools.actuators.litellm_admin import LiteLLMAdmin
from tools.actuators.litellm_admin_values import fields_of
from tools.actuators.settings import LiteLLMAdminSettings

__all__ = ["litellm_db"]
pytestmark = pytest.mark.exam
BIG, SMALL = "claude-big", "claude-small"


def rig_of(litellm_db: LiteLLMWithDatabase, door: JsonServer, *, keys: bool) -> Rig:
    """A fresh team with a key; `door` passes on what the adapter sends, and may fail on the way."""
    team, team_id = litellm_db.new_team(metadata={"cost_center": "7"})
    key, _ = litellm_db.new_key(team_id=team_id, metadata={"app": "indexer"})
    other, other_id = litellm_db.new_team()
    other_key, _ = litellm_db.new_key(team_id=other_id)
    one_key = Scope.of(api_key_id=key, team=team, app="indexer")
    target = one_key if keys else Scope.of(team=team)
    elsewhere = Scope.of(api_key_id=other_key) if keys else Scope.of(team=other)
    every: tuple[Action, ...] = (
        SetRateLimit(target=target, requests_per_minute=60),
        SetBudget(target=target, max_nanos=5 * 10**9, period="day"),
        SetModelAlias(target=target, from_model=BIG, to_model=SMALL),
        BlockKey(target=one_key),
    )
    lower = SetRateLimit(target=target, requests_per_minute=3)
    plans = Plans(every, every[0], lower, OTHER_VALUE, SetRateLimit(target=elsewhere, requests_per_minute=60))
    clock = HandClock()
    settings = LiteLLMAdminSettings(url=door.url, admin_key=SecretStr(litellm_db.master_key))

    def edit(action: Action, value: Settings) -> None:
        if keys:
            [record] = litellm_db.admin("GET", "/key/list", key_alias=key, return_full_object="true")["keys"]
            place = {"key": record["token"]}
        else:
            record = litellm_db.admin("GET", "/team/info", team_id=team_id)["team_info"]
            place = {"team_id": team_id}
        litellm_db.admin("POST", "/key/update" if keys else "/team/update", place | fields_of(action, value, record))

    return Rig(LiteLLMAdmin(settings, clock=clock), clock, edit, door.fault, plans)


@pytest.fixture
def door(litellm_db: LiteLLMWithDatabase) -> Iterator[JsonServer]:
    server = JsonServer(litellm_db)
    yield server
    server.close()


class TestKeys(CheckActuator):
    """What every actuator must do, on keys of a real proxy."""

    @pytest.fixture
    def rig(self, litellm_db: LiteLLMWithDatabase, door: JsonServer) -> Rig:
        """A fresh key."""
        return rig_of(litellm_db, door, keys=True)


class TestTeams(CheckActuator):
    """The same on teams."""

    @pytest.fixture
    def rig(self, litellm_db: LiteLLMWithDatabase, door: JsonServer) -> Rig:
        """A fresh team."""
        return rig_of(litellm_db, door, keys=False)


def test_the_next_call_of_a_key_meets_what_was_set(litellm_db: LiteLLMWithDatabase, door: JsonServer) -> None:
    """Limit, alias and block of a key that was just used: in force at once, and gone at once after the revert."""
    rig = rig_of(litellm_db, door, keys=True)
    _, team_id = litellm_db.new_team()
    alias, secret = litellm_db.new_key(team_id=team_id)
    target = Scope.of(api_key_id=alias)
    assert litellm_db.chat(secret, BIG).status_code == 200
    swap = SetModelAlias(target=target, from_model=BIG, to_model=SMALL)
    rig.set(swap)
    assert litellm_db.chat(secret, BIG).headers["x-litellm-model-group"] == SMALL
    rig.unset(swap)
    assert litellm_db.chat(secret, BIG).headers["x-litellm-model-group"] == BIG
    block = BlockKey(target=target)
    rig.set(block)
    assert litellm_db.chat(secret, BIG).status_code == 401
    rig.unset(block)
    limit = SetRateLimit(target=target, requests_per_minute=1)
    rig.set(limit)
    assert [litellm_db.chat(secret, BIG).status_code for _ in range(3)][-1] == 429
    rig.unset(limit)
    assert litellm_db.chat(secret, BIG).status_code == 200


def test_a_teams_alias_is_stored_at_once_and_met_within_a_minute(
    litellm_db: LiteLLMWithDatabase, door: JsonServer
) -> None:
    """Read-back alone would lie for 60 s: the probe says no for so long, and traffic meets it when it says yes."""
    rig = rig_of(litellm_db, door, keys=False)
    team, team_id = litellm_db.new_team()
    _, secret = litellm_db.new_key(team_id=team_id)
    assert litellm_db.chat(secret, BIG).status_code == 200
    swap = SetModelAlias(target=Scope.of(team=team), from_model=BIG, to_model=SMALL)
    assert rig.set(swap).status == "done"
    assert rig.gateway.observe(swap).marker == MINE
    assert rig.gateway.probe(swap, marker=MINE).status == "no"
    assert litellm_db.chat(secret, BIG).headers["x-litellm-model-group"] == BIG
    began = time.monotonic()
    while litellm_db.chat(secret, BIG).headers["x-litellm-model-group"] == BIG:
        assert time.monotonic() - began < 66, "later than propagation_seconds says"
        time.sleep(2)  # nothing tells when a proxy forgets what it remembers of a key
    rig.clock.move(rig.gateway.capabilities().propagation_seconds)
    assert rig.gateway.probe(swap, marker=MINE).status == "yes"


def test_a_plan_in_the_providers_words_meets_traffic(litellm_db: LiteLLMWithDatabase, door: JsonServer) -> None:
    """The proxy's own list of deployments tells which groups are meant; a group of the same model makes it refuse."""
    rig = rig_of(litellm_db, door, keys=True)
    _, team_id = litellm_db.new_team()
    alias, secret = litellm_db.new_key(team_id=team_id)
    swap = SetModelAlias(target=Scope.of(api_key_id=alias), from_model="claude-opus-4-5", to_model="claude-haiku-4-5")
    plan = rig.plan(swap)
    assert rig.set(plan).status == "done"
    assert litellm_db.chat(secret, BIG).headers["x-litellm-model-group"] == SMALL
    assert (rig.gateway.observe(plan).value, rig.gateway.observe(plan).marker) == (plan.to, MINE)
    twin = {"model_name": "haiku-twin", "litellm_params": {"model": "anthropic/claude-haiku-4-5", "api_key": "x"}}
    made = litellm_db.admin("POST", "/model/new", twin)
    assert rig.unset(plan).status == "done"
    assert litellm_db.chat(secret, BIG).headers["x-litellm-model-group"] == BIG
    with pytest.raises(Unreadable, match="answers the model groups claude-small, haiku-twin"):
        rig.gateway.observe(swap)
    litellm_db.admin("POST", "/model/delete", {"id": str(made["model_info"]["id"])})
