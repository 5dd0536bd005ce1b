"""Small worlds for the analyst: two apps over two and a half weeks, and one thing that goes wrong on a Tuesday."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from agent.steps.investigate import investigate
from store.model.incident import Finding, Incident
from store.model.ports import Warehouse
from store.model.prices import Price, PriceKey, PriceTable, Rates
from store.model.usage import Scope, UsageRecord, Window, to_us
from store.usage.duckdb import open_duckdb

START = datetime(2026, 11, 2, tzinfo=UTC)
WINDOW = Window(start=datetime(2026, 11, 17, 13, tzinfo=UTC), end=datetime(2026, 11, 17, 16, tzinfo=UTC))
NIGHT = Window(start=datetime(2026, 11, 17, 1, tzinfo=UTC), end=datetime(2026, 11, 17, 4, tzinfo=UTC))
SCOPE = Scope.of(team="support", app="assist")
SMALL, LARGE, LONG = "small-1", "large-1", "long-1"

Calls = list[UsageRecord]
Fault = Callable[[Calls, np.random.Generator], Calls]
"""Gets the app's calls of the window and gives those that happened instead."""


def rates(into: int, out: int) -> Rates:
    """Rates in USD per million tokens, with the usual cache prices."""
    usd = 10**9
    return Rates(
        input_uncached=into * usd,
        cache_read=into * usd // 10,
        cache_write_5m=into * usd * 5 // 4,
        cache_write_1h=into * usd * 2,
        output=out * usd,
    )


def price(into: int, out: int, *, since: datetime = START - timedelta(days=300)) -> Price:
    """A price from a date on; fast speed costs six times as much."""
    return Price(effective_from=since, rates=rates(into, out), multipliers={"fast": "6"})


def tiered(into: int, out: int) -> Price:
    """A price that doubles above 200,000 tokens of input."""
    return price(into, out).model_copy(update={"tiers": ((200_000, rates(2 * into, 2 * out)),)})


PRICES = PriceTable(
    prices={
        PriceKey("acme", SMALL): (price(3, 15),),
        PriceKey("acme", LARGE): (price(15, 75),),
        PriceKey("acme", LONG): (tiered(3, 15),),
    }
)
DEARER = PriceTable(
    prices={PriceKey("acme", SMALL): (price(3, 15), price(5, 24, since=datetime(2026, 11, 15, tzinfo=UTC)))}
)


def call(at_us: int, number: int, *, app: str = "assist", draw: np.random.Generator) -> UsageRecord:
    """An ordinary call of an app: a cached prefix, a short question, a short answer."""
    fresh = int(draw.integers(300, 500))
    output = int(draw.integers(200, 400))
    return UsageRecord(
        record_id=f"{app}-{at_us}-{number}",
        source="gateway",
        observed_us=at_us,
        occurred_us=at_us,
        provider="acme",
        model=SMALL,
        requested_model=SMALL,
        region="eu",
        finish_reason="stop",
        latency_ms=2000,
        session_id=f"s-{app}-{at_us // 3_600_000_000}-{number // 4}",
        team="support" if app == "assist" else "search",
        app=app,
        environment="prod",
        api_key_id=f"key-{app}",
        end_user=f"u{number % 12}",
        release="v1",
        input_uncached=fresh,
        cache_read=3000,
        cache_write_5m=100,
        output=output,
        reasoning=output // 5,
        prompt_hash=f"h-{app}-{at_us}-{number}",
        prompt_chars=4 * (fresh + 3100),
        n_tools=5,
        prefix_hash=f"prefix-{app}",
        prefix_tokens=3000,
    )


def hour_of(hour: datetime, *, app: str, draw: np.random.Generator) -> Calls:
    """The calls of one hour: many at midday, when incidents of the day begin, fewer by day, few at night."""
    by_day = 40 if 13 <= hour.hour < 16 else 9
    count = by_day if 7 <= hour.hour < 19 else 2
    moments = np.sort(draw.integers(0, 3_600_000_000, count)).tolist()
    return [call(to_us(hour) + at, i, app=app, draw=draw) for i, at in enumerate(moments)]


@cache
def usual_calls() -> tuple[UsageRecord, ...]:
    """What happens when nothing goes wrong, unpriced."""
    draw = np.random.default_rng(7)
    hours = [START + timedelta(hours=h) for h in range(24 * 16)]
    return tuple(
        record for app in ("assist", "finder") for hour in hours for record in hour_of(hour, app=app, draw=draw)
    )


def priced(records: Calls, table: PriceTable = PRICES) -> Calls:
    """The records with their cost, where they have none yet."""
    return [r if r.cost_nanos is not None else r._replace(cost_nanos=table.cost(r)) for r in records]


class SmallWorld:
    """The usual traffic with a fault in one window, in a warehouse, and the incident that a detector would open."""

    def __init__(
        self, fault: Fault | None = None, *, window: Window = WINDOW, scope: Scope = SCOPE, table: PriceTable = PRICES
    ) -> None:
        inside = [r for r in usual_calls() if _holds(window, r) and r.app == "assist"]
        others = [r for r in usual_calls() if not (_holds(window, r) and r.app == "assist")]
        changed = inside if fault is None else fault(inside, np.random.default_rng(11))
        self.table = table
        self.records = priced([*others, *changed], table)
        self.incident = _incident(self.records, window, scope)

    def warehouse(self) -> Warehouse:
        """A warehouse that holds the records."""
        warehouse = open_duckdb(None, clock=lambda: WINDOW.end)
        warehouse.append(self.records)
        warehouse.roll_up()
        return warehouse

    def finding(self) -> Finding:
        """What the investigation finds."""
        warehouse = self.warehouse()
        try:
            return investigate(
                incident=self.incident,
                warehouse=warehouse,
                price_table_for=lambda _: self.table,
                now=self.incident.seen_until,
            )
        finally:
            warehouse.close()


def _holds(window: Window, record: UsageRecord) -> bool:
    return window.start_us <= record.occurred_us < window.end_us


def spent(records: Calls, window: Window, scope: Scope) -> int:
    """The cost of the records in a window and a scope."""
    wanted = scope.as_dict()
    return sum(
        r.cost_nanos or 0
        for r in records
        if _holds(window, r) and all(getattr(r, name) == value for name, value in wanted.items())
    )


def _incident(records: Calls, window: Window, scope: Scope) -> Incident:
    actual = spent(records, window, scope)
    # Not quite what the reference weeks had: a detector's baseline is its own.
    baseline = int(1.02 * spent(records, window.shifted(timedelta(days=-7)), scope))
    return Incident(
        id="inc-1",
        scope=scope,
        opened_at=window.end,
        started_at=window.start,
        seen_until=window.end,
        revised_at=window.end,
        excess_nanos=actual - baseline,
        baseline_nanos=baseline,
        actual_nanos=actual,
        revised_excess_nanos=actual - baseline,
    )


def moments(window: Window, count: int) -> list[int]:
    """Evenly spread moments in a window, in microseconds."""
    step = (window.end_us - window.start_us) // count
    return [window.start_us + i * step for i in range(count)]
