"""A limit at a LiteLLM proxy that bites is found to work: what the proxy turns away is a saving and no harm."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.app import assemble
from agent.bursar import Bursar
from agent.policy import Policy
from agent.settings import Settings
from store.ledger.ledger import open_ledger
from store.model.remedy import SetRateLimit
from store.model.usage import Scope, UsageRecord, iso
from tests.servers.json_server import JsonServer
from tests.servers.litellm_keys import ADMIN, LiteLLMKeys
from tests.simulation.hand_clock import START, HandClock
from tests.simulation.story import TARGET, incident, proposal, ruling
from tests.store.ledger.examples import a_decision
from tools.actuators.settings import LiteLLMAdminSettings
from tools.sources.litellm import LiteLLMSource

MINUTE = timedelta(minutes=1)
LIMITED = {"error_code": "429", "error_rate_limit_category": "litellm_rate_limit"}
COST = 10**9 // 6


def calls(minute: datetime, *, served: int, refused: int) -> list[UsageRecord]:
    """One minute of the target's calls, as LiteLLM logs them: 1/6 USD for each that was served."""
    rows = [
        {
            "request_id": f"{iso(minute)}-{i}",
            "spend": 0.0,
            "call_type": "acompletion",
            "model": "anthropic/claude-sonnet-4-5",
            "custom_llm_provider": "anthropic",
            "startTime": iso(minute),
            "endTime": iso(minute + timedelta(seconds=1)),
            "status": "success" if i < served else "failure",
            "prompt_tokens": 50_000,
            "completion_tokens": 0,
            "metadata": {
                "user_api_key_team_alias": "search",
                "user_api_key_auth_metadata": {"app": "indexer"},
                "error_information": {} if i < served else LIMITED,
            },
        }
        for i in range(served + refused)
    ]
    records = LiteLLMSource(name="litellm", clock=HandClock()).parse(rows)
    return [one._replace(cost_nanos=COST * (one.status == "ok")) for one in records if isinstance(one, UsageRecord)]


@pytest.fixture
def proxy() -> Iterator[JsonServer]:
    keys = LiteLLMKeys()
    keys.add_key("search-indexer", team_id=keys.add_team("search"), metadata={"app": "indexer"})
    server = JsonServer(keys)
    yield server
    server.close()


@pytest.fixture
def bursar(proxy: JsonServer, tmp_path: Path) -> Iterator[Bursar]:
    clock = HandClock()
    settings = Settings(
        data_dir=tmp_path,
        policy=Policy(mode="ask", approvers=("ann",)),
        litellm_admin=LiteLLMAdminSettings(url=proxy.url, admin_key=SecretStr(ADMIN)),
    )
    ledger = open_ledger("sqlite://", clock=clock)
    made = assemble(settings, clock=clock, owner="test", ledger=ledger, checkpointed=False)
    yield made
    made.close()


def test_a_limit_that_bites_is_kept_and_taken_back_at_its_end(proxy: JsonServer, bursar: Bursar) -> None:
    """Ten dollars an hour instead of a hundred, nine calls of ten turned away: worked, and no error share rose."""
    clock, ledger = bursar.clock, bursar.ledger
    assert isinstance(clock, HandClock)
    assert isinstance(proxy.stand_in, LiteLLMKeys)
    [key] = proxy.stand_in.keys.values()
    limit = SetRateLimit(target=Scope.of(TARGET.as_dict(), api_key_id=str(key["token"])), requests_per_minute=1)
    plan = proposal(limit).model_copy(update={"gateway": "litellm_admin"})
    ledger.save_incident(incident())
    ledger.file(plan, ruling())
    ledger.decide(a_decision(plan).model_copy(update={"decided_at": START}))
    for minute in range(60):
        bursar.warehouse.append(calls(START - (60 - minute) * MINUTE, served=10, refused=0))
    bursar.reconcile()
    assert key["rpm_limit"] == 1
    for minute in range(90):
        bursar.warehouse.append(calls(START + minute * MINUTE, served=1, refused=9))
    bursar.warehouse.roll_up()
    clock.move(60)
    bursar.reconcile()
    clock.move(80 * 60)
    bursar.reconcile()
    kept = ledger.remedy("rem-1")
    assert kept is not None
    assert (kept.state, kept.outcome) == ("kept", "worked"), ledger.verifications("rem-1")
    [found] = ledger.verifications("rem-1")
    assert found.saved_mid_nanos > 80 * 10**9
    assert found.harm.get("error_share", 0.0) <= 0.0
    clock.move(6 * 3600)
    bursar.reconcile()
    bursar.reconcile()
    ended = ledger.remedy("rem-1")
    assert ended is not None
    assert (ended.state, ended.outcome, key["rpm_limit"]) == ("closed", "returned", None)
