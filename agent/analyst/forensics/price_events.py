"""Prices that changed: by the provider or by contract, at a date between the reference and the incident's end."""

from agent.analyst.notebook import Note
from store.model.price_change import price_changes
from store.model.prices import PriceTable
from store.model.usage import Window, iso


def look_at_price_events(prices: PriceTable, window: Window) -> Note | None:
    """The price changes of the models in use that take effect in the window; None where there is none."""
    changes = price_changes(prices, window)
    if not changes:
        return None
    largest = max(changes, key=lambda change: max(change.ratios.values(), default=0.0))
    ratio = max(largest.ratios.values(), default=1.0)
    says = f"{len(changes)} price changes; the largest: {largest.key.model} from {iso(largest.at)}, times {ratio:.2f}."
    return Note("prices", says, {"price_events": len(changes), "largest_price_ratio": ratio})
