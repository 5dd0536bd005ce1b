"""OpenAI's Admin API as a gateway: the shared checks, and what it cannot do."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from store.model.ports import Unreadable
from store.model.remedy import Action, BlockKey, SetBudget, SetRateLimit, Settings
from store.model.usage import Scope
from tests.checks.check_actuator import MINE, OTHER_VALUE, CheckActuator, Plans, Rig
from tests.servers.json_server import JsonServer
from tests.servers.openai_admin import ADMIN_KEY, PROJECT, READ_KEY, OpenAIOrganisation
from tests.simulation.hand_clock import HandClock
from tests.tools.actuators.books import Books
from tools.actuators.openai_admin import OpenAIAdmin
from tools.actuators.settings import OpenAIAdminSettings

GPT = Scope.of({"tags.project_id": PROJECT, "model": "gpt-5-nano"})
LIMIT = SetRateLimit(target=GPT, requests_per_minute=60)
BUDGET = SetBudget(target=Scope.of({"tags.project_id": PROJECT}), max_nanos=250 * 10**9, period="month")
PLANS = Plans(
    every=(LIMIT, BUDGET),
    cap=LIMIT,
    lower=SetRateLimit(target=GPT, requests_per_minute=3),
    by_hand=OTHER_VALUE,
    elsewhere=SetRateLimit(target=Scope.of({"tags.project_id": "proj_ads", "model": "gpt-5"}), requests_per_minute=60),
)


@pytest.fixture
def server() -> Iterator[JsonServer]:
    found = JsonServer(OpenAIOrganisation())
    yield found
    found.close()


def gateway_of(server: JsonServer, clock: HandClock, books: Books, *, key: str = ADMIN_KEY) -> OpenAIAdmin:
    settings = OpenAIAdminSettings(url=f"{server.url}/v1", admin_key=SecretStr(key))
    return OpenAIAdmin(settings, mark_of=books.mark_of, clock=clock)


@pytest.fixture
def rig(server: JsonServer) -> Rig:
    clock = HandClock()
    books = Books(clock)
    organisation = server.stand_in
    assert isinstance(organisation, OpenAIOrganisation)

    def edit(action: Action, value: Settings) -> None:
        assert action.kind == "set_rate_limit"
        organisation.projects[PROJECT][2]["max_requests_per_1_minute"] = value["requests_per_minute"]

    return Rig(gateway_of(server, clock, books), clock, edit, server.fault, PLANS, books.intend)


class TestSharedChecks(CheckActuator):
    """What every actuator must do."""

    @pytest.fixture
    def rig(self, rig: Rig) -> Rig:
        """A limit on the second page of a project's."""
        return rig


def test_only_the_limit_that_is_meant_changes(server: JsonServer, rig: Rig) -> None:
    """The model's token limit and the other models stay as they are."""
    assert isinstance(server.stand_in, OpenAIOrganisation)
    before = [dict(one) for one in server.stand_in.projects[PROJECT]]
    rig.set(rig.plan(LIMIT))
    assert server.stand_in.projects[PROJECT] == [*before[:2], {**before[2], "max_requests_per_1_minute": 60}]


def test_a_spend_limit_comes_and_goes(server: JsonServer, rig: Rig) -> None:
    """Where there was none there is none again; where there was one it is back."""
    assert isinstance(server.stand_in, OpenAIOrganisation)
    spend = server.stand_in.spend
    rig.set(BUDGET)
    assert spend == {PROJECT: 25_000}
    rig.unset(BUDGET)
    assert spend == {}
    spend[PROJECT] = 90_000
    plan = rig.plan(BUDGET)
    rig.set(plan)
    rig.unset(plan)
    assert spend == {PROJECT: 90_000}


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (SetRateLimit(target=Scope.of({"tags.project_id": PROJECT}), requests_per_minute=1), "not one project"),
        (BUDGET.model_copy(update={"period": "day"}), "for a month"),
        (BUDGET.model_copy(update={"max_nanos": 10**9 + 1}), "whole cents"),
        (SetBudget(target=GPT, max_nanos=10**9, period="month"), "not one project"),
        (BlockKey(target=Scope.of(api_key_id="key_1")), "does not handle block_key"),
    ],
)
def test_what_it_cannot_hit_alone_is_not_taken(rig: Rig, action: Action, why: str) -> None:
    """A deleted key never comes back, so it is not offered; other targets are not what the API limits."""
    answer = rig.gateway.apply(action, marker=MINE, idempotency_key="k", expected_version=None, expires_at=rig.ends())
    assert (answer.status, why in answer.detail) == ("refused", True)


def test_an_unknown_project_or_model_is_said(rig: Rig) -> None:
    """The message names it."""
    for dims, why in (
        ({"tags.project_id": "proj_none", "model": "gpt-5"}, "proj_none"),
        ({"tags.project_id": PROJECT, "model": "gpt-9"}, "no limit for gpt-9"),
    ):
        with pytest.raises(Unreadable, match=why):
            rig.gateway.observe(SetRateLimit(target=Scope.of(dims), requests_per_minute=1))


def test_ping_says_what_the_key_may_do(server: JsonServer) -> None:
    """Reading is tried; writing shows at the first change."""
    clock = HandClock()
    books = Books(clock)
    assert gateway_of(server, clock, books).ping().startswith("ok, may read projects")
    assert "401" in gateway_of(server, clock, books, key="wrong").ping()
    reader = gateway_of(server, clock, books, key=READ_KEY)
    version = reader.observe(LIMIT).version
    answer = reader.apply(LIMIT, marker=MINE, idempotency_key="k", expected_version=version, expires_at=clock())
    assert (answer.status, "403" in answer.detail) == ("refused", True)
