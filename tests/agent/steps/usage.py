"""A warehouse with four weeks of three teams, one of which goes wrong; what the watch steps are tested on."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from evals.series import START, Series, make_series
from store.model.usage import Role, UsageRecord, to_us
from store.usage.duckdb import DuckDBWarehouse, open_duckdb

HOUR = timedelta(hours=1)
END = START + timedelta(days=28)


def company(seed: int = 21) -> dict[str, Series]:
    """Series by team."""
    return {"ads": make_series("quiet", 1), "docs": make_series("quiet", 2), "search": make_series("level_shift", seed)}


def records(series: Mapping[str, Series], *, source: str = "gateway", factor: float = 1.0) -> list[UsageRecord]:
    """One record per team and hour, as a provider's usage report has them."""
    return [
        UsageRecord(
            record_id=f"{source}/{team}/{hour}",
            source=source,
            observed_us=to_us(START + (hour + 1) * HOUR),
            occurred_us=to_us(START + hour * HOUR),
            provider="anthropic",
            model="claude-sonnet-4-5",
            team=team,
            app=f"{team}-bot",
            api_key_id=f"key-{team}",
            requests=int(one.requests[hour]),
            period_seconds=3600,
            input_uncached=int(one.tokens_in[hour] - one.cache_read[hour]),
            cache_read=int(one.cache_read[hour]),
            cost_nanos=round(float(one.usd[hour]) * factor * 1e9),
        )
        for team, one in series.items()
        for hour in range(len(one.usd))
        if one.requests[hour] > 0
    ]


def session(*, calls: int, at: datetime, usd: float = 0.05) -> list[UsageRecord]:
    """A session of the docs team that calls once a minute."""
    return [
        UsageRecord(
            record_id=f"session/{i}",
            source="gateway",
            observed_us=to_us(at),
            occurred_us=to_us(at + i * timedelta(minutes=1)),
            provider="anthropic",
            model="claude-sonnet-4-5",
            team="docs",
            app="docs-bot",
            api_key_id="key-docs",
            session_id="loop",
            input_uncached=1000,
            cost_nanos=round(usd * 1e9),
        )
        for i in range(calls)
    ]


def warehouse_with(
    rows: list[UsageRecord], *, role: Role = "metered", clock: Callable[[], datetime]
) -> DuckDBWarehouse:
    """A warehouse in memory that holds these records, rolled up."""
    warehouse = open_duckdb(None, clock=clock)
    warehouse.append(rows, role=role)
    warehouse.roll_up()
    return warehouse
