"""Scheduled pulls from LiteLLM's own code on a real PostgreSQL: calls as they are made, and the days beside them."""

import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.pulls import Pulls, ping_pull, state_of
from agent.settings import SourceSettings
from store.model.amendment import AS_SAID
from store.model.usage import Role, Window
from store.prices import PriceBook
from store.usage.duckdb import DuckDBWarehouse, open_duckdb

RIG = Path(__file__).parents[2] / ".." / "shared" / "rigs" / "litellm_db"
Json = dict[str, Any]


@pytest.fixture
def rig() -> Iterator[Json]:
    if not (RIG / "start.sh").exists():
        pytest.skip("the rig litellm_db is not beside the repository")
    with subprocess.Popen([str(RIG / "start.sh")], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                pytest.skip("the rig litellm_db did not start; it needs node >= 20, npm and PostgreSQL")
            yield json.loads(line)
        finally:
            process.terminate()


def _now() -> datetime:
    return datetime.now(UTC)


def _source(rig: Json, name: str, role: Role, grain: str) -> SourceSettings:
    pull = {"base_url": rig["url"], "key": rig["master_key"], "history_days": 1, "lookback_hours": 1, "grain": grain}
    return SourceSettings.model_validate({"name": name, "format": "litellm", "role": role, "pull": pull})


def _calls(client: httpx.Client, key: str, count: int) -> None:
    body = {"model": "claude-big", "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]}
    for _ in range(count):
        assert client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}).is_success


def _pull_until(pulls: Pulls, warehouse: DuckDBWarehouse, calls: int) -> None:
    """Pull as if always due: LiteLLM writes spend in batches of two seconds."""
    for _ in range(60):
        for source in pulls.sources:
            kept = state_of(warehouse.pulls().get(source.name))
            warehouse.keep_pull(source.name, kept.model_copy(update={"due_at": None}).model_dump_json())
        pulls.run_due()
        if _requests(warehouse, "metered") == _requests(warehouse, "reference") == calls:
            return
        time.sleep(1)


def _requests(warehouse: DuckDBWarehouse, role: Role) -> int:
    window = Window(start=_now() - timedelta(days=3), end=_now() + timedelta(days=1))
    return int(warehouse.records(window, role=role).column("requests").sum())


@pytest.mark.exam
def test_calls_and_days_are_pulled_again_and_again(rig: Json) -> None:
    """Each pull adds what is new and counts nothing twice; both grains agree on the money."""
    heard: list[str] = []
    warehouse = open_duckdb(None, clock=_now)
    pulls = Pulls(
        sources=[_source(rig, "gateway", "metered", "calls"), _source(rig, "days", "reference", "days")],
        warehouse=warehouse,
        prices=PriceBook(),
        amendment=AS_SAID,
        clock=_now,
        wait=time.sleep,
        say=heard.append,
        counted=lambda _: None,
    )
    assert ping_pull(pulls.sources[0], clock=_now).startswith("ok, ")
    with httpx.Client(base_url=rig["url"], timeout=60, trust_env=False) as client:
        admin = {"authorization": f"Bearer {rig['master_key']}"}
        team = client.post("/team/new", json={"team_alias": "search"}, headers=admin).json()["team_id"]
        wanted = {"team_id": team, "key_alias": "indexer"}
        key = client.post("/key/generate", json=wanted, headers=admin).json()["key"]
        for calls in (5, 9):
            _calls(client, key, calls - _requests(warehouse, "metered"))
            _pull_until(pulls, warehouse, calls)
            assert (_requests(warehouse, "metered"), _requests(warehouse, "reference"), heard) == (calls, calls, [])
    window = Window(start=_now() - timedelta(days=3), end=_now() + timedelta(days=1))
    single, daily = (warehouse.records(window, role=role) for role in ("metered", "reference"))
    assert set(single.column("team").tolist()) == set(daily.column("team").tolist()) == {"search"}
    assert abs(int(single.column("billed_nanos").sum()) - int(daily.column("billed_nanos").sum())) <= 10
    warehouse.close()
