"""A small warehouse for the export: several days, teams, models, tiers and ways to pay."""

import random
from datetime import UTC, datetime, timedelta

from store.model.usage import UsageRecord, Window, to_us
from store.prices import PriceBook, price, price_keys
from store.usage.duckdb import DuckDBWarehouse, open_duckdb

START = datetime(2026, 10, 30, tzinfo=UTC)
"""Two days before a month ends, so that both billing periods are seen."""
SPAN = Window(start=START, end=START + timedelta(days=4))

_MODELS = (
    ("anthropic", "claude-opus-4-5"),
    ("anthropic", "claude-sonnet-4-5"),
    ("openai", "gpt-4o-mini"),
    ("bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0"),
    ("house", "house-model"),
)


def records(count: int = 400, seed: int = 7) -> list[UsageRecord]:
    """Calls of all kinds in SPAN; "house-model" has no price, a tenth of the calls pass the long-context limit."""
    dice = random.Random(seed)
    found = []
    for at in range(count):
        provider, model = dice.choice(_MODELS)
        found.append(
            UsageRecord(
                record_id=f"r{at}",
                source="gateway",
                observed_us=to_us(SPAN.end),
                occurred_us=to_us(START) + dice.randrange(int(SPAN.seconds)) * 10**6,
                provider=provider,
                model=model,
                team=dice.choice(("search", 'ads "EU", beta', "(none)")),
                app=dice.choice(("ranker", "=cmd()")),
                service_tier=dice.choice(("standard", "standard", "batch")),
                billing_mode=dice.choice(("metered", "metered", "included")),
                input_uncached=dice.randrange(250_000) if dice.random() < 0.1 else dice.randrange(9_000),
                cache_read=dice.randrange(50_000),
                cache_write_5m=dice.choice((0, dice.randrange(4_000))),
                cache_write_1h=dice.choice((0, 0, dice.randrange(4_000))),
                output=dice.randrange(1, 3_000),
            )
        )
    return found


def warehouse_of(rows: list[UsageRecord]) -> DuckDBWarehouse:
    """A warehouse in memory with the records, priced and rolled up."""
    warehouse = open_duckdb(None, clock=lambda: SPAN.end)
    warehouse.append(price(rows, PriceBook().table_for(price_keys(rows))))
    warehouse.roll_up()
    return warehouse
