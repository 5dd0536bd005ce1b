"""roll_up: price what can be priced by now, then bring the cubes up to date."""

from store.model.ports import Warehouse
from store.model.usage import Window
from store.prices import PriceBook, reprice


def roll_up(*, warehouse: Warehouse, prices: PriceBook) -> Window | None:
    """Recompute every bucket that changed; the span they covered, or None where nothing had changed."""
    reprice(warehouse, prices)
    return warehouse.roll_up()
