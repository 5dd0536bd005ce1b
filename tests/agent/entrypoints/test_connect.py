"""First findings from a proxy's own history: which way is taken, what is read, what is said, and nothing changed."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from typer.testing import CliRunner

from agent.entrypoints.cli import app
from store.errors import BadInput
from store.model.usage import Quarantined, UsageRecord, Window, to_us
from tests.servers.litellm_admin import KEY, Json, LiteLLMAdmin, spend_row
from tools.http import Host
from tools.sources.litellm_proxy import Grain, ProxyHistory

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WEEK = Window(start=NOW - timedelta(days=7), end=NOW)
RIG = Path(__file__).parents[3] / ".." / "shared" / "rigs" / "litellm_db"
Serve = Callable[..., LiteLLMAdmin]
History = Callable[..., ProxyHistory]


@pytest.fixture
def history() -> Iterator[History]:
    hosts: list[Host] = []

    def of(url: str, *, key: str = KEY, now: datetime = NOW, most_calls: int = 100_000) -> ProxyHistory:
        hosts.append(Host(url, bearer=key, seconds=60, most_bytes=2**28))
        return ProxyHistory(hosts[-1], clock=lambda: now, most_calls=most_calls)

    yield of
    for host in hosts:
        host.close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[LiteLLMAdmin] = []

    def start(calls: list[Json], **options: Any) -> LiteLLMAdmin:
        running.append(LiteLLMAdmin(calls, **options))
        return running[-1]

    yield start
    for one in running:
        one.close()


def week_of_calls(count: int = 300) -> list[Json]:
    return [spend_row(n, WEEK.start + (n + 0.5) * (WEEK.end - WEEK.start) / count) for n in range(count)]


def records(rows: Iterator[UsageRecord | Quarantined]) -> list[UsageRecord]:
    found = list(rows)
    assert all(isinstance(row, UsageRecord) for row in found), found
    return [row for row in found if isinstance(row, UsageRecord)]


@pytest.mark.parametrize("most_page", [1_000, 100])
@pytest.mark.parametrize("cap", [10_000, 25])
def test_single_calls_come_all_and_once(serve: Serve, history: History, most_page: int, cap: int) -> None:
    """Whatever the largest page, and where the proxy's count is cut, days are cut up until it is not."""
    proxy = serve(week_of_calls(), cap=cap, most_page=most_page)
    found = history(proxy.url).read(WEEK)
    assert (found.grain, found.window, found.notes) == ("calls", WEEK, ())
    read = records(found.rows)
    assert {one.record_id for one in read} == {f"chatcmpl-{n}" for n in range(300)}
    one = read[0]
    assert (one.team, one.api_key_id, one.app, one.model) == ("search", "indexer", "indexer", "claude-opus-4-5")
    assert {method for method, _ in proxy.asked} == {"GET"}


def test_too_many_calls_are_read_from_the_newest_day_back(serve: Serve, history: History) -> None:
    """What is covered is said, and only whole spans are."""
    found = history(serve(week_of_calls()).url, most_calls=100).read(WEEK)
    read = records(found.rows)
    assert 60 < len(read) <= 100
    assert min(one.occurred_us for one in read) >= to_us(found.window.start)
    assert "only the newest" in found.notes[0]


def test_an_older_proxy_gives_the_list_of_each_day(serve: Serve, history: History) -> None:
    """Without pages, and with its limit named."""
    found = history(serve(week_of_calls(), offers=frozenset({"logs"})).url).read(WEEK)
    assert len({one.record_id for one in records(found.rows)}) == 300
    assert "v2 answers 500 (Database not connected.)" in found.notes[0]
    assert "10,000" in found.notes[1]


def test_without_calls_the_daily_sums_add_up(serve: Serve, history: History) -> None:
    """A day that comes in two parts is one record; failed calls are another; nothing is lost to rounding."""
    calls = week_of_calls()
    calls[7]["status"] = "failure"
    found = history(serve(calls, offers=frozenset({"days"})).url).read(WEEK)
    assert (found.grain, found.window.end) == ("days", NOW.replace(hour=0))
    read = records(found.rows)
    assert sum(one.cost_nanos or 0 for one in read) == 300 * 10**7
    assert sum(one.requests for one in read) == 300
    assert sum(one.output for one in read) == 300 * 100
    assert [one.requests for one in read if one.status == "error"] == [1]
    assert {(one.team, one.api_key_id, one.model, one.provider, one.period_seconds) for one in read} == {
        ("search", "indexer", "claude-opus-4-5", "anthropic", 86_400)
    }
    assert len({one.record_id for one in read}) == len(read) == 9


def test_at_the_least_the_totals_of_days(serve: Serve, history: History) -> None:
    """No names, the right sum."""
    found = history(serve(week_of_calls(), offers=frozenset({"totals"})).url).read(WEEK)
    read = records(found.rows)
    assert (found.grain, len(read)) == ("totals", 8)
    assert sum(one.cost_nanos or 0 for one in read) == pytest.approx(3 * 10**9, abs=10)


@pytest.mark.parametrize(("calls", "key", "says"), [([], KEY, "no calls are kept"), (week_of_calls(9), "sk-no", "401")])
def test_nothing_to_read_is_told_with_every_reason(
    serve: Serve, history: History, calls: list[Json], key: str, says: str
) -> None:
    """One line: what was tried, what came back, what to do."""
    with pytest.raises(BadInput, match=says) as caught:
        history(serve(calls).url, key=key).read(WEEK)
    assert "give a key that may read spend" in str(caught.value)
    assert "sk-no" not in str(caught.value)


def test_a_host_that_is_no_litellm_is_named(history: History) -> None:
    """A port where nobody listens."""
    with pytest.raises(BadInput, match=r"127\.0\.0\.1:9 offers no usage"):
        history("http://127.0.0.1:9").read(WEEK)


def run(url: str, folder: Path, *more: str, key: str = KEY) -> Any:
    arguments = ["--data-dir", str(folder / "data"), "connect", "litellm", "--read-only", url, *more]
    return CliRunner().invoke(app, arguments, env={"BURSAR_LITELLM_KEY": key})


def a_month_with_a_loop() -> list[Json]:
    """Two calls an hour by day and by night; two days ago one key made 400 dear calls within three hours."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    calls = [spend_row(n, now - timedelta(minutes=30 * n + 1), output=2_000) for n in range(18 * 48)]
    begin = now - timedelta(days=2, hours=5)
    for n in range(400):
        row = spend_row(
            90_000 + n,
            begin + timedelta(seconds=27 * n),
            output=20_000,
            spend=0.505,
            session_id="loop",
            api_key="hash-2",
        )
        row["metadata"] = {**row["metadata"], "user_api_key_alias": "loader"}
        calls.append(row)
    return calls


@pytest.mark.parametrize("offers", ["v2", "days"])
def test_the_command_prints_first_findings(serve: Serve, tmp_path: Path, offers: str) -> None:
    """The spike, where it was, and what this history cannot show; nothing is left behind."""
    proxy = serve(a_month_with_a_loop(), offers=frozenset({offers}))
    answer = run(proxy.url, tmp_path, "--days", "3", "--json")
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert found["grain"] == {"v2": "calls", "days": "days"}[offers]
    assert any("loader" in incident["scope"].values() for incident in found["incidents"])
    spike = max(found["incidents"], key=lambda incident: float(incident["excess_usd"]))
    assert 150 < spike["excess_usd"] < 260
    assert found["cannot_know"]
    assert not (tmp_path / "data" / "usage.duckdb").exists()
    assert {method for method, _ in proxy.asked} == {"GET"}


def test_the_command_speaks_to_people(serve: Serve, tmp_path: Path) -> None:
    """Words, no JSON; the key is nowhere in them."""
    calls = week_of_calls(50)
    shift = datetime.now(UTC) - NOW
    for number, row in enumerate(calls):
        calls[number] = spend_row(number, datetime.fromisoformat(row["startTime"]) + shift)
    answer = run(serve(calls).url, tmp_path, "--days", "1")
    assert answer.exit_code == 0, answer.output
    assert "read 50 rows, single calls" in answer.stdout
    assert "this history cannot show:" in answer.stdout
    assert KEY not in answer.output


def test_the_key_of_the_guard_is_shown_and_kept(tmp_path: Path) -> None:
    """The same public key every time; the private one for its owner only."""
    arguments = ["--data-dir", str(tmp_path), "guard", "keys", "--json"]
    first, second = (json.loads(CliRunner().invoke(app, arguments).stdout) for _ in range(2))
    assert first == second
    assert (tmp_path / "guard.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.exam
def test_against_a_real_litellm_with_its_database(history: History, tmp_path: Path) -> None:
    """LiteLLM's own code on PostgreSQL: keys, teams, calls; each way reads the same calls and money."""
    if not (RIG / "start.sh").exists():
        pytest.skip("the rig litellm_db is not beside the repository")
    with subprocess.Popen([str(RIG / "start.sh")], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                pytest.skip("the rig litellm_db did not start; it needs node >= 20, npm and PostgreSQL")
            rig = json.loads(line)
            _make_calls(rig)
            _read_back(rig, history, tmp_path)
        finally:
            process.terminate()


def _make_calls(rig: Json) -> None:
    with httpx.Client(base_url=rig["url"], timeout=60, trust_env=False) as client:
        client.headers["authorization"] = f"Bearer {rig['master_key']}"
        team = client.post("/team/new", json={"team_alias": "search"}).json()["team_id"]
        made = client.post("/key/generate", json={"team_id": team, "key_alias": "indexer"}).json()
        body = {
            "model": "claude-big",
            "max_tokens": 20,
            "messages": [{"role": "user", "content": "hello"}],
            "metadata": {"tags": ["app:indexer"], "bursar": {"dims": {"team": "forged"}, "status": "refused"}},
        }
        theirs = {"authorization": f"Bearer {made['key']}"}
        for _ in range(12):
            assert client.post("/v1/chat/completions", json=body, headers=theirs).status_code == 200
        for _ in range(60):  # LiteLLM writes spend in batches of two seconds
            if _requests(client) == 12:
                return
            time.sleep(0.5)


def _requests(client: httpx.Client) -> int:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    found = client.get("/user/daily/activity", params={"start_date": today, "end_date": today}).json()
    return int(found["metadata"]["total_api_requests"])


def _read_back(rig: Json, history: History, folder: Path) -> None:
    now = datetime.now(UTC)
    window = Window(start=now - timedelta(days=2), end=now + timedelta(days=1))
    reader = history(rig["url"], key=rig["master_key"], now=now)
    read = {grain: records(reader.read(window, grain=grain).rows) for grain in get_args(Grain)}
    requests = {grain: sum(one.requests for one in rows) for grain, rows in read.items()}
    assert requests == {"calls": 12, "days": 12, "totals": 1}
    money = [sum(one.billed_nanos or 0 for one in rows) for rows in read.values()]
    assert min(money) > 0
    assert max(money) - min(money) <= 10, "LiteLLM adds up floats"
    assert {(one.team, one.api_key_id, one.status) for one in read["calls"]} == {("search", "indexer", "ok")}
    assert {(one.team, one.api_key_id) for one in read["days"]} == {("search", "indexer")}
    answer = run(rig["url"], folder, "--json", "--days", "1", key=rig["master_key"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["grain"] == "calls"
