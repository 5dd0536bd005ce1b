"""Scheduled pulls against stand-ins of the providers: due windows, cursors, limits, faults, and the last truth."""

import base64
import random
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from agent.pulls import Pulls, PullState, ping_pull, state_of
from agent.settings import SourceSettings
from store.model.amendment import AS_SAID
from store.model.usage import Intake, Window
from store.prices import PriceBook
from store.usage.duckdb import DuckDBWarehouse, open_duckdb
from tests.servers.litellm_admin import KEY, LiteLLMAdmin, spend_row
from tests.servers.serving import serving
from tests.tools.sources.report_server import ANTHROPIC_KEY, OPENAI_KEY, AdminStandIn, Fault, admin_api
from tools.sources.pulling import lookback_of
from tools.sources.report_pages import AskedToWait
from tools.sources.settings import PullSettings

START = datetime(2026, 11, 18, 10, 30, tzinfo=UTC)
EVER = Window(start=START - timedelta(days=400), end=START + timedelta(days=400))


class Rig:
    """Pulls of one stand-in, with a clock that is turned by hand and a patience of 30 seconds."""

    def __init__(self, sources: list[SourceSettings], *, budget: float = 3_600) -> None:
        self.now = START
        self.heard: list[str] = []
        self.counts: list[Intake] = []
        self.warehouse: DuckDBWarehouse = open_duckdb(None, clock=lambda: self.now)
        self.pulls = Pulls(
            sources=sources,
            warehouse=self.warehouse,
            prices=PriceBook(),
            amendment=AS_SAID,
            clock=lambda: self.now,
            wait=self.wait,
            say=self.heard.append,
            counted=self.counts.append,
            budget=timedelta(seconds=budget),
        )

    def wait(self, seconds: float) -> None:
        if seconds > 30:
            raise AskedToWait("later", seconds)
        self.now += timedelta(seconds=seconds)

    def look(self, minutes: float = 0) -> list[str]:
        self.now += timedelta(minutes=minutes)
        return self.pulls.run_due()

    def state(self, name: str = "anthropic") -> PullState:
        return state_of(self.warehouse.pulls().get(name))

    def sum(self, column: str = "output", role: Any = "metered") -> int:
        return int(self.warehouse.records(EVER, role=role).column(column).sum())


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def rig(stack: ExitStack, stand_in: AdminStandIn, kind: str = "anthropic", budget: float = 3_600, **more: Any) -> Rig:
    url = stack.enter_context(admin_api(stand_in))
    key = SecretStr({"anthropic": ANTHROPIC_KEY, "openai": OPENAI_KEY}[kind])
    base = f"{url}/v1" if kind == "openai" else url
    pull = PullSettings(base_url=url if kind == "openai" else base, key=key, history_days=1, lookback_hours=3, **more)
    made = Rig([SourceSettings.model_validate({"name": kind, "format": kind, "pull": pull})], budget=budget)
    stack.callback(made.warehouse.close)
    return made


@pytest.mark.parametrize("kind", ["anthropic", "openai"])
def test_an_open_hour_pulled_five_times_ends_in_the_last_truth(stack: ExitStack, kind: str) -> None:
    """Each pull says more of the hour; rows and sums end as the last said, and nothing is asked before it is due."""
    stand_in = AdminStandIn(page_buckets=24)
    here = rig(stack, stand_in, kind)
    for pull in range(5):
        stand_in.output_tokens = 10 * (pull + 1)
        assert here.look() == [kind]
        assert here.look(minutes=5) == []
        here.now += timedelta(minutes=10)
    hours = 24 + 1 + 1  # a day back, the open hour, and the hour that came
    found = here.warehouse.records(EVER, columns=["operation", "output"])
    chats = found.column("operation") == "chat"
    assert int(chats.sum()) == hours
    # Hours keep what was said of them last: before the lookback, when it moved on, and now.
    assert sorted(set(found.column("output")[chats].tolist())) == [10, 30, 50]
    here.warehouse.roll_up()
    cube = here.warehouse.cube(EVER, bucket_seconds=3600, dims=())
    assert cube.total("output") == here.sum()
    assert sum(here.counts, Intake()) == here.warehouse.taken()
    assert (here.state(kind).says, here.state(kind).error, here.heard) == ("ok", None, [])
    states = {one.account: one for one in here.warehouse.statements()}
    assert any(one.provisional == 1 for one in states.values()), "the open hour or day"


def test_a_group_that_a_later_pull_no_longer_has_is_gone(stack: ExitStack) -> None:
    """The bucket is replaced whole, the empty one too."""
    stand_in = AdminStandIn(page_buckets=24)
    here = rig(stack, stand_in)
    here.look()
    before = here.sum()
    stand_in.empty = True
    here.look(minutes=15)
    assert here.sum() == before - 7 * 4  # three hours back and the open one
    assert sum(one.withdrawn for one in here.warehouse.statements()) > 0


def test_a_limit_does_not_hold_up_the_round(stack: ExitStack) -> None:
    """A long Retry-After ends the round; it goes on from its cursor when the time is over, not before."""
    stand_in = AdminStandIn(page_buckets=10)
    here = rig(stack, stand_in)
    stand_in.after = {1: Fault(429, retry_after="300")}
    here.look()
    assert here.state().says == "failing"
    assert len(here.heard) == 1
    assert here.heard[0].endswith("/v1/organizations/usage_report/messages: answered 429; later")
    assert here.state().cursor is not None
    assert here.state().due_at == here.now + timedelta(seconds=300)
    asked = len(stand_in.queries)
    assert here.look(minutes=4) == []
    assert here.look(minutes=1) == ["anthropic"]
    assert here.state().says == "ok"
    assert stand_in.queries[asked][1]["page"], "it went on from the page"
    assert here.sum() == 25 * 7


def test_a_short_limit_is_waited_for(stack: ExitStack) -> None:
    """Within the patience."""
    stand_in = AdminStandIn(faults=[Fault(429, retry_after="20"), Fault(503)])
    here = rig(stack, stand_in)
    here.look()
    assert here.state().says == "ok"
    assert here.now > START + timedelta(seconds=20)


def test_a_spent_budget_lets_the_others_have_their_turn(stack: ExitStack) -> None:
    """One page a round, until the window is read; each round is due at once."""
    stand_in = AdminStandIn(page_buckets=10)
    here = rig(stack, stand_in, budget=0)
    rounds = 0
    while here.state().says != "ok":
        assert here.look() == ["anthropic"]
        rounds += 1
    assert rounds == 4  # three pages of hours, one of days
    assert here.sum() == 25 * 7
    pages = [asked.get("page") for _, asked in stand_in.queries]
    assert len(pages) == len(set(pages) | {None}) + 1, "no page was read twice, and two reports began"


def test_a_lost_cursor_and_a_lost_state_cost_time_only(stack: ExitStack) -> None:
    """The report, or the whole history, is read again: the same rows are duplicates."""
    stand_in = AdminStandIn(page_buckets=10)
    here = rig(stack, stand_in, budget=0)
    here.look()
    cursor = here.state().cursor
    assert cursor is not None
    assert cursor.page is not None
    stand_in.lost_pages.add(cursor.page)
    here.look()
    stand_in.lost_pages.clear()
    while here.state().says != "ok":
        here.look()
    assert here.sum() == 25 * 7
    here.warehouse.keep_pull("anthropic", "what another version wrote")
    assert here.state() == PullState()
    while here.state().says != "ok":
        here.look()
    assert here.sum() == 25 * 7
    assert here.warehouse.taken().superseded == 0


def test_a_failing_source_says_so_and_the_others_go_on(stack: ExitStack) -> None:
    """A wrong key is told with what it takes; the next try comes when the next pull would be due."""
    good = rig(stack, AdminStandIn(), "openai")
    [source] = good.pulls.sources
    assert source.pull is not None
    wrong = source.model_copy(
        update={"name": "wrong", "pull": source.pull.model_copy(update={"key": SecretStr("sk-ordinary")})}
    )
    here = Rig([wrong, source])
    stack.callback(here.warehouse.close)
    assert here.look() == ["wrong", "openai"]
    assert (here.state("wrong").says, here.state("openai").says) == ("failing", "ok")
    assert "Admin key" in str(here.state("wrong").error)
    assert "sk-ordinary" not in str(here.state("wrong"))
    assert here.state("wrong").due_at == START + timedelta(minutes=15)


def test_each_source_is_pinged(stack: ExitStack) -> None:
    """One page says whether the key and the URL are right."""
    here = rig(stack, AdminStandIn())
    [source] = here.pulls.sources
    assert ping_pull(source, clock=lambda: START).startswith("ok, 1 rows")
    assert source.pull is not None
    nowhere = source.model_copy(
        update={"pull": source.pull.model_copy(update={"base_url": "http://127.0.0.1:9", "key": SecretStr("k")})}
    )
    assert "127.0.0.1:9" in ping_pull(nowhere, clock=_now)
    file = source.model_copy(update={"pull": source.pull.model_copy(update={"base_url": "ftp://x"})})
    assert "not a URL" in ping_pull(file, clock=_now)


def _now() -> datetime:
    return START


def test_observations_of_langfuse_are_single_calls(stack: ExitStack) -> None:
    """By key pair and cursor; nothing is restated, and a pull that overlaps the last adds nothing."""
    asked: list[tuple[str, str | None]] = []

    def observations(request: Request) -> JSONResponse:
        kind, cursor = request.query_params["type"], request.query_params.get("cursor")
        asked.append((kind, cursor))
        assert request.headers["authorization"] == "Basic " + base64.b64encode(b"pk:sk").decode()
        number = int(cursor or 0)
        ended = (START - timedelta(minutes=number + 1)).isoformat()
        row = {"id": f"{number}", "traceId": "t", "type": kind, "startTime": ended, "endTime": ended, "model": "gpt-4o"}
        usage = {"usageDetails": {"input": 10, "output": 1, "total": 11}}
        rows = [{**row, **usage}] if kind == "GENERATION" else []
        return JSONResponse({"data": rows, "meta": {"cursor": "1" if rows and number == 0 else None}})

    api = FastAPI()
    api.get("/api/public/v2/observations")(observations)
    url = stack.enter_context(serving(api))
    pull = {"base_url": url, "public_key": "pk", "key": "sk"}
    here = Rig([SourceSettings.model_validate({"name": "traces", "format": "langfuse", "pull": pull})])
    stack.callback(here.warehouse.close)
    here.look()
    assert here.look(minutes=15) == ["traces"]
    others = [(kind, None) for kind in ("EMBEDDING", "AGENT", "TOOL", "CHAIN", "SPAN")]
    assert asked == [("GENERATION", None), ("GENERATION", "1"), *others] * 2
    assert (here.sum(), here.warehouse.taken(), here.heard) == (2, Intake(accepted=2, duplicate=2), [])
    assert here.warehouse.statements() == []


def litellm(stack: ExitStack, grain: str = "calls") -> tuple[LiteLLMAdmin, Rig]:
    proxy = LiteLLMAdmin([spend_row(n, START - timedelta(hours=30 - n)) for n in range(25)], cap=7)
    stack.callback(proxy.close)
    role = "reference" if grain == "days" else "metered"
    pull = {"base_url": proxy.url, "key": KEY, "lookback_hours": 1, "history_days": 3, "grain": grain}
    here = Rig([SourceSettings.model_validate({"name": "gateway", "format": "litellm", "role": role, "pull": pull})])
    stack.callback(here.warehouse.close)
    return proxy, here


def test_calls_of_a_litellm_proxy(stack: ExitStack) -> None:
    """All calls, however few the proxy counts at once; later ones by later pulls; read twice counts once."""
    proxy, here = litellm(stack)
    here.look()
    assert (here.state("gateway").says, here.heard) == ("ok", [])
    assert here.sum("requests") == 25
    proxy.calls.append(spend_row(98, START - timedelta(minutes=30)))
    proxy.calls.append(spend_row(99, START + timedelta(minutes=14)))
    here.look(minutes=15)
    assert here.sum("requests") == 27
    assert here.warehouse.taken().accepted == 27
    assert {method for method, _ in proxy.asked} == {"GET"}


def test_days_of_a_litellm_proxy_are_a_reference(stack: ExitStack) -> None:
    """Each day is restated whole; nothing of it is counted as metered."""
    proxy, here = litellm(stack, "days")
    here.look()
    assert here.sum("requests", "reference") == 25
    assert here.sum("requests") == 0
    assert here.state("gateway").covered_until == START
    del proxy.calls[-5:]
    here.look(minutes=15)
    assert here.sum("requests", "reference") == 20
    assert [one.account for one in here.warehouse.statements()] == ["/user/daily/activity"]


def test_single_calls_are_not_read_again_for_days() -> None:
    """Buckets grow for two days; of a busy gateway only the last hours are asked for again."""
    pull = PullSettings(key=SecretStr("k"), base_url="http://x", public_key="pk")
    kinds = ("anthropic", "openai", "langfuse", "litellm")
    assert [lookback_of(kind, pull) // timedelta(hours=1) for kind in kinds] == [48, 48, 2, 2]
    assert lookback_of("litellm", pull.model_copy(update={"grain": "days"})) == timedelta(hours=48)
    assert lookback_of("litellm", pull.model_copy(update={"lookback_hours": 5})) == timedelta(hours=5)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, "either `paths` or `pull`"),
        ({"paths": ["x"], "pull": {"key": "k"}}, "either `paths` or `pull`"),
        ({"format": "otlp", "pull": {"key": "k"}}, "otlp is not pulled"),
        ({"format": "litellm", "pull": {"key": "k"}}, "the proxy's `base_url`"),
        ({"format": "langfuse", "pull": {"key": "k"}}, "`public_key`"),
    ],
)
def test_what_cannot_be_pulled_is_told_at_once(more: dict[str, Any], says: str) -> None:
    """With the configuration."""
    with pytest.raises(ValidationError, match=says):
        SourceSettings.model_validate({"name": "one", "format": "anthropic", **more})


def _pulled_in_any_order(outputs: list[int], seed: int, extra: int) -> None:
    """Pulls by several processes, some late: what the newest said holds."""
    mixed, stand_in = random.Random(seed), AdminStandIn(page_buckets=24)
    with admin_api(stand_in) as url:
        pull = {"base_url": url, "key": ANTHROPIC_KEY, "history_days": 1, "lookback_hours": 1}
        source = SourceSettings.model_validate({"name": "anthropic", "format": "anthropic", "pull": pull})
        here = Rig([source])
        order = [*range(len(outputs)), *(mixed.randrange(len(outputs)) for _ in range(extra))]
        mixed.shuffle(order)
        for at in order:
            stand_in.output_tokens = outputs[at]
            here.now = START + timedelta(minutes=at)
            here.warehouse.keep_pull("anthropic", "")
            here.look()
            if mixed.random() < 0.5:
                here.warehouse.roll_up()
        assert here.sum() == 25 * outputs[-1]
        here.warehouse.roll_up()
        cube = here.warehouse.cube(EVER, bucket_seconds=3600, dims=())
        assert (cube.total("output"), cube.total("requests")) == (25 * outputs[-1], 25 + 2)
        assert here.warehouse.taken().total == sum(one.total for one in here.counts) == len(order) * (25 + 2)
        here.warehouse.close()


@settings(max_examples=3, deadline=None)
@given(outputs=st.lists(st.integers(1, 5), min_size=5, max_size=5), seed=st.integers(0, 2**16))
def test_pulls_in_any_order_end_in_the_last_truth(outputs: list[int], seed: int) -> None:
    """I34 for pulls: five pulls of the open hour, in any order, some twice."""
    _pulled_in_any_order(outputs, seed, extra=1)
