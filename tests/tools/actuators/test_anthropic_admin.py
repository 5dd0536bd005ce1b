"""Anthropic's Admin API as a gateway: the shared checks, and what it cannot do."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from store.model.ports import Unreadable
from store.model.remedy import Action, BlockKey, SetRateLimit, Settings
from store.model.usage import Scope
from tests.checks.check_actuator import MINE, OTHER_VALUE, CheckActuator, Plans, Rig
from tests.servers.anthropic_admin import ADMIN_KEY, READ_KEY, WORKSPACE, AnthropicOrganisation
from tests.servers.json_server import JsonServer
from tests.simulation.hand_clock import HandClock
from tests.tools.actuators.books import Books
from tools.actuators.anthropic_admin import AnthropicAdmin
from tools.actuators.settings import AnthropicAdminSettings

OPUS = Scope.of({"tags.workspace_id": WORKSPACE, "model": "claude-opus-4-5", "provider": "anthropic"})
HAIKU = Scope.of({"tags.workspace_id": WORKSPACE, "model": "claude-haiku-4-5"})
LIMIT, BLOCK = SetRateLimit(target=OPUS, requests_per_minute=60), BlockKey(target=Scope.of(api_key_id="apikey_01"))
PLANS = Plans(
    every=(LIMIT, BLOCK),
    cap=LIMIT,
    lower=SetRateLimit(target=OPUS, requests_per_minute=3),
    by_hand=OTHER_VALUE,
    elsewhere=SetRateLimit(target=HAIKU, requests_per_minute=60),
)


@pytest.fixture
def server() -> Iterator[JsonServer]:
    found = JsonServer(AnthropicOrganisation())
    yield found
    found.close()


def gateway_of(server: JsonServer, clock: HandClock, books: Books, *, key: str = ADMIN_KEY) -> AnthropicAdmin:
    settings = AnthropicAdminSettings(url=server.url, admin_key=SecretStr(key))
    return AnthropicAdmin(settings, mark_of=books.mark_of, clock=clock)


@pytest.fixture
def rig(server: JsonServer) -> Rig:
    clock = HandClock()
    books = Books(clock)
    organisation = server.stand_in
    assert isinstance(organisation, AnthropicOrganisation)

    def edit(action: Action, value: Settings) -> None:
        assert action.kind == "set_rate_limit"
        organisation.limits[WORKSPACE, "rl_1"] = {"requests_per_minute": int(value["requests_per_minute"] or 0)}

    return Rig(gateway_of(server, clock, books), clock, edit, server.fault, PLANS, books.intend)


class TestSharedChecks(CheckActuator):
    """What every actuator must do."""

    @pytest.fixture
    def rig(self, rig: Rig) -> Rig:
        """A workspace's limit."""
        return rig


def test_other_limits_stay(server: JsonServer, rig: Rig) -> None:
    """Only requests per minute change; the output limit that a person set is still there afterwards."""
    assert isinstance(server.stand_in, AnthropicOrganisation)
    limits = server.stand_in.limits
    limits[WORKSPACE, "rl_1"] = {"output_tokens_per_minute": 9000}
    rig.set(LIMIT)
    assert limits[WORKSPACE, "rl_1"] == {"output_tokens_per_minute": 9000, "requests_per_minute": 60}
    rig.unset(LIMIT)
    assert limits[WORKSPACE, "rl_1"] == {"output_tokens_per_minute": 9000}


def test_it_takes_an_hour(rig: Rig) -> None:
    """Stored at once; the probe says no until the hour has passed, and verification begins after it."""
    rig.set(LIMIT)
    rig.clock.move(3599)
    assert rig.gateway.probe(LIMIT, marker=MINE).status == "no"
    rig.clock.move(1)
    assert rig.gateway.probe(LIMIT, marker=MINE).status == "yes"
    assert rig.gateway.capabilities().propagation_seconds == 3600


def test_nothing_is_ever_done_there_without_a_person(rig: Rig) -> None:
    """No marker, no probe, no compare-and-set: what the policy asks of autonomy is not there."""
    can = rig.gateway.capabilities()
    assert (can.marker, can.probe, can.cas, can.idempotency, can.expiry) == (False, False, False, False, False)


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (SetRateLimit(target=Scope.of({"tags.workspace_id": WORKSPACE}), requests_per_minute=1), "not one workspace"),
        (SetRateLimit(target=Scope.of(team="search"), requests_per_minute=1), "not one workspace"),
        (SetRateLimit(target=OPUS, requests_per_minute=1, tokens_per_minute=5), "input and output tokens apart"),
        (BlockKey(target=Scope.of(api_key_id="apikey_01", app="indexer")), "not one key"),
        (BlockKey(target=Scope.of(api_key_id="(none)")), "not one key"),
    ],
)
def test_what_it_cannot_hit_alone_is_not_taken(rig: Rig, action: Action, why: str) -> None:
    """A target that is not exactly what the API limits is refused, before anything is asked."""
    answer = rig.gateway.apply(action, marker=MINE, idempotency_key="k", expected_version=None, expires_at=rig.ends())
    assert (answer.status, why in answer.detail) == ("refused", True)


def test_a_key_that_cannot_come_back_is_left_alone(rig: Rig) -> None:
    """Archived is for ever."""
    with pytest.raises(Unreadable, match="archived"):
        rig.gateway.observe(BlockKey(target=Scope.of(api_key_id="apikey_02")))


def test_ping_says_what_the_key_may_do(server: JsonServer) -> None:
    """Reading is tried; writing shows at the first change."""
    clock = HandClock()
    books = Books(clock)
    assert gateway_of(server, clock, books).ping().startswith("ok, may read the limits of Acme")
    assert "401" in gateway_of(server, clock, books, key="wrong").ping()
    reader = gateway_of(server, clock, books, key=READ_KEY)
    answer = reader.apply(
        LIMIT,
        marker=MINE,
        idempotency_key="k",
        expected_version=reader.observe(LIMIT).version,
        expires_at=clock(),
    )
    assert (answer.status, "403" in answer.detail) == ("refused", True)
