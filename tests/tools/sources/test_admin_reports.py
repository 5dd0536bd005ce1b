"""Provider reports: what a page says, and how pages are pulled through limits, faults and lost cursors."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from agent.steps.collect import take_in
from store.errors import BadInput
from store.model.amendment import Amendment
from store.model.currency import CurrencyRate
from store.model.usage import Intake, Quarantined, UsageRecord, Window, iso
from store.prices import PriceBook
from store.usage.duckdb import open_duckdb
from tests.checks.check_source import EVER, at
from tests.tools.sources.report_server import ANTHROPIC_KEY, OPENAI_KEY, AdminStandIn, Fault, admin_api
from tools.http import Host, NoAnswer
from tools.sources.anthropic_admin import open_anthropic
from tools.sources.anthropic_admin_pull import pull_anthropic
from tools.sources.openai_admin import open_openai
from tools.sources.openai_admin_pull import pull_openai
from tools.sources.report_pages import PullCursor, ReportPuller

_START = datetime(2026, 11, 18, tzinfo=UTC)
_DAY = Window(start=_START, end=_START + timedelta(days=1))


class _Rig:
    """A puller of a stand-in, and how long it waited."""

    def __init__(self, stand_in: AdminStandIn, host: Host, provider: str, key: str | None, seconds: float) -> None:
        self.stand_in = stand_in
        self.waits: list[float] = []
        pulls: dict[str, Callable[..., ReportPuller]] = {"anthropic": pull_anthropic, "openai": pull_openai}
        known = key or {"anthropic": ANTHROPIC_KEY, "openai": OPENAI_KEY}[provider]
        self.puller = pulls[provider](host=host, admin_key=known, clock=at(seconds), wait=self.waits.append)

    def records(self, window: Window = _DAY, cursor: PullCursor | None = None) -> list[UsageRecord]:
        """All rows of a pull, which must all be records."""
        rows = [row for pulled in self.puller.pull(window, cursor) for row in pulled.rows]
        assert not [row for row in rows if isinstance(row, Quarantined)]
        return [row for row in rows if isinstance(row, UsageRecord)]


@contextmanager
def _rig(
    provider: str, stand_in: AdminStandIn | None = None, key: str | None = None, seconds: float = 0
) -> Iterator[_Rig]:
    api = stand_in or AdminStandIn()
    with admin_api(api) as url, closing(Host(url)) as host:
        yield _Rig(api, host, provider, key, seconds)


def test_anthropic_usage_and_costs() -> None:
    """Five classes as reported, the batch tier, a daily cost in cents; tokens and money each stand once."""
    with _rig("anthropic") as rig:
        found = rig.records()
    usage = [one for one in found if one.operation == "chat"]
    (cost,) = [one for one in found if one.operation == "cost_report"]
    assert len(usage) == 24
    one = usage[0]
    assert (one.input_uncached, one.cache_read, one.cache_write_5m, one.cache_write_1h) == (1_500, 200, 500, 1_000)
    assert (one.output, one.service_tier, one.period_seconds, one.requests) == (7, "batch", 3_600, 1)
    assert (one.api_key_id, dict(one.tags)["workspace_id"], one.grade) == ("apikey_1", "wrkspc_1", "attested")
    assert (cost.billed_nanos, cost.period_seconds, cost.model) == (1_234_567_800, 86_400, "claude-opus-4-5")
    assert (cost.input_uncached, cost.output, dict(cost.tags)["cost_type"]) == (0, 0, "tokens")


def test_openai_usage_and_costs() -> None:
    """Cached and written tokens come out of the input; requests are counted; costs are USD by line item."""
    with _rig("openai") as rig:
        found = rig.records()
    kinds = [one.operation for one in found]
    assert (kinds.count("chat"), kinds.count("embeddings"), kinds.count("cost_report")) == (24, 24, 1)
    one = found[0]
    assert (one.input_uncached, one.cache_read, one.cache_write_5m, one.output) == (600, 300, 100, 7)
    assert (one.requests, one.service_tier, one.end_user) == (5, "batch", "user_1")
    assert (found[-1].billed_nanos, found[-1].model) == (60_000_000, "gpt-4o-mini-2024-07-18")


@pytest.mark.parametrize(("provider", "reports"), [("anthropic", 2), ("openai", 3)])
def test_the_question_is_the_published_one(provider: str, reports: int) -> None:
    """Bucket width, its largest limit, group-by; costs by whole days; each page once and in order."""
    part = Window(start=_START + timedelta(hours=2), end=_START + timedelta(hours=30))
    with _rig(provider) as rig:
        rig.records(part)
    paths = dict.fromkeys(path for path, _ in rig.stand_in.queries)
    assert len(paths) == reports
    usage = [asked for path, asked in rig.stand_in.queries if path == next(iter(paths))]
    assert [asked.get("page") is None for asked in usage] == [True, False, False]
    assert (usage[0]["bucket_width"], usage[0]["limit"]) == ("1h", "168")
    assert "model" in usage[0]["group_by[]"]
    _, costs = rig.stand_in.queries[-1]
    assert costs["bucket_width"] == "1d"
    asked = [costs[name] for name in ("starting_at", "ending_at", "start_time", "end_time") if name in costs]
    days = [_START, _START + timedelta(days=2)]
    assert asked in ([iso(day) for day in days], [str(int(day.timestamp())) for day in days])


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_an_open_hour_pulled_again_ends_in_the_last_truth(provider: str) -> None:
    """Five pulls of one day, each saying more: one row per bucket, with what was said last."""
    warehouse = open_duckdb(None, clock=at())
    rows = []
    for pull in range(5):
        with _rig(provider, AdminStandIn(page_buckets=24, output_tokens=10 * (pull + 1)), seconds=60 * pull) as rig:
            rows = rig.records()
        took = take_in(rows=rows, warehouse=warehouse, prices=PriceBook())
        if pull == 0:
            assert took == Intake(accepted=len(rows))
        else:
            assert (took.accepted, took.superseded) == (0, 24)
    found = warehouse.records(EVER)
    assert found.rows == len(rows)
    assert found.column("output").sum() == 24 * 50
    warehouse.close()


def test_a_pull_goes_on_where_it_stopped() -> None:
    """After any page the cursor, kept as JSON, gives the rest: nothing is lost, and no page is read twice."""
    with _rig("openai") as rig:
        whole = {row.record_id for row in rig.records()}
        steps = sum(1 for _ in rig.puller.pull(_DAY))
        for stop in range(1, steps):
            pages = rig.puller.pull(_DAY)
            before = [next(pages) for _ in range(stop)]
            kept = before[-1].cursor
            assert kept is not None
            after = rig.records(_DAY, PullCursor.model_validate_json(kept.model_dump_json()))
            ids = [row.record_id for page in before for row in page.rows if isinstance(row, UsageRecord)]
            assert len(ids) + len(after) == len(whole) == len({*ids, *(row.record_id for row in after)})


def test_a_lost_cursor_begins_its_report_anew() -> None:
    """The provider forgot the page: the report is read from its start, other reports are not."""
    with _rig("anthropic") as rig:
        pages = rig.puller.pull(_DAY)
        next(pages)
        cursor = next(pages).cursor
        assert cursor is not None
        assert cursor.page is not None
        rig.stand_in.lost_pages.add(cursor.page)
        rig.stand_in.page_buckets = 24
        assert len(rig.records(_DAY, cursor)) == 25
        other = Window(start=_START - timedelta(days=1), end=_START)
        assert {row.occurred_us // 86_400_000_000 for row in rig.records(other, cursor)} == {
            int(other.start.timestamp()) // 86_400
        }


def test_limits_and_faults_are_waited_out() -> None:
    """Retry-After in seconds and as a date is kept to; faults without it are waited for longer and longer."""
    faults = [Fault(429, "7"), Fault(429, "Fri, 20 Nov 2026 00:00:30 GMT"), Fault(503), Fault(529, "soon")]
    with _rig("anthropic", AdminStandIn(faults=faults)) as rig:
        assert len(rig.records()) == 25
        assert rig.waits == [7.0, 30.0, 4.0, 8.0]


def test_what_cannot_be_waited_out_is_told() -> None:
    """Too long a wait, too many faults, no JSON: no answer. A wrong key or question: bad input."""
    with _rig("anthropic", AdminStandIn(faults=[Fault(429, "3600")])) as rig:
        with pytest.raises(NoAnswer, match="asks to wait 3600 s"):
            rig.records()
        rig.stand_in.faults += [Fault(500)] * 6
        with pytest.raises(NoAnswer, match="answered 500; 6 tries"):
            rig.records()
        rig.stand_in.faults += [Fault(200, body="<html>")]
        with pytest.raises(NoAnswer, match="not JSON"):
            rig.records()
        rig.stand_in.faults += [Fault(200, body="[" * 100_000)]
        with pytest.raises(NoAnswer, match="not JSON"):
            rig.records()
        rig.stand_in.faults += [Fault(200, body="[]")]
        with pytest.raises(NoAnswer, match="not a page"):
            rig.records()
        rig.stand_in.faults += [Fault(404)]
        with pytest.raises(BadInput, match="answered 404"):
            rig.records()
    with _rig("openai", key="sk-user-key") as rig, pytest.raises(BadInput, match="takes an Admin key"):
        rig.records()


def test_a_long_context_bucket_keeps_its_tier() -> None:
    """The report counts no requests: their smallest number keeps the average in the context window it names."""
    result = {"model": "claude-sonnet-4-5", "uncached_input_tokens": 1_000_001, "output_tokens": 1}
    times = {"starting_at": "2026-11-18T00:00:00Z", "ending_at": "2026-11-19T00:00:00Z"}

    def requests(window: str | None) -> int:
        page = {"data": [{**times, "results": [{**result, "context_window": window}]}]}
        (found,) = open_anthropic(name="anthropic", clock=at()).parse([page])
        assert isinstance(found, UsageRecord)
        return found.requests

    assert (requests("200k-1M"), requests("0-200k"), requests(None)) == (2, 6, 6)


def test_units_that_are_no_tokens_and_other_currencies() -> None:
    """Images are passed over with a reason; amounts in euro stay as they are, and become USD by a dated rate."""
    bucket = {"start_time": 1_763_424_000, "end_time": 1_763_510_400}
    images = {"object": "organization.usage.images.result", "images": 3, "num_model_requests": 1}
    euro = {"object": "organization.costs.result", "amount": {"value": 1.5, "currency": "eur"}}
    source = open_openai(name="openai", clock=at())
    (found,) = source.parse([{"data": [{**bucket, "results": [images, euro]}]}])
    _in_euro(found, "1.5")
    assert sum(source.skipped.values()) == 1
    day = {"starting_at": "2026-11-18T00:00:00Z", "ending_at": "2026-11-19T00:00:00Z"}
    page = {"data": [{**day, "results": [{"currency": "EUR", "amount": "5"}]}]}
    (found,) = open_anthropic(name="anthropic", clock=at()).parse([page])
    _in_euro(found, "0.05")
    wrong = {"data": [{**day, "results": [{"currency": "EUR", "amount": "-5"}]}]}
    (found,) = open_anthropic(name="anthropic", clock=at()).parse([wrong])
    assert isinstance(found, Quarantined)


def _in_euro(found: object, amount: str) -> None:
    assert isinstance(found, UsageRecord)
    tags = dict(found.tags)
    assert (found.billed_nanos, tags["billing_currency"], tags["billed_cost"]) == (None, "EUR", amount)
    rate = CurrencyRate(currency="EUR", effective_from=datetime(2025, 1, 1, tzinfo=UTC), usd=Decimal("1.25"))
    assert Amendment((), (rate,)).record(found).billed_nanos == round(float(amount) * 1.25e9)
