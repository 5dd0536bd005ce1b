"""A price that changed between the reference and the incident is named as an event."""

from datetime import UTC, datetime

from agent.analyst.forensics.price_events import look_at_price_events
from store.model.prices import Price, PriceKey, PriceTable, Rates
from store.model.usage import Window

KEY = PriceKey("anthropic", "claude-opus-5")


def rates(usd: int) -> Rates:
    """One rate for every class."""
    return Rates(input_uncached=usd, cache_read=usd, cache_write_5m=usd, cache_write_1h=usd, output=usd)


def table(*days: int) -> PriceTable:
    """A price that doubles on each of those days of November."""
    at = [datetime(2026, 1, 1, tzinfo=UTC), *(datetime(2026, 11, day, tzinfo=UTC) for day in days)]
    prices = tuple(Price(effective_from=moment, rates=rates(2**n)) for n, moment in enumerate(at))
    return PriceTable(prices={KEY: prices})


def test_the_largest_change_is_named() -> None:
    """With its date and ratio; changes outside the window are none."""
    window = Window(start=datetime(2026, 11, 2, tzinfo=UTC), end=datetime(2026, 11, 9, tzinfo=UTC))
    note = look_at_price_events(table(4), window)
    assert note is not None
    assert note.data == {"price_events": 1, "largest_price_ratio": 2.0}
    assert "claude-opus-5 from 2026-11-04" in note.says
    assert look_at_price_events(table(), window) is None
    assert look_at_price_events(table(9), window) is None
