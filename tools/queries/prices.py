"""What the models that were seen cost at list."""

from collections.abc import Callable, Collection

from store.model.prices import PriceKey, PriceTable
from store.model.usage import Scope, Window
from tools.queries.result import QueryResult, ask

PriceTableFor = Callable[[Collection[PriceKey]], PriceTable]
"""Gives the dated prices of the models asked for; unknown ones are absent."""


def prices(
    price_table_for: PriceTableFor, *, models: Collection[PriceKey], scope: Scope, window: Window
) -> QueryResult[PriceTable]:
    """The price table of the models that a scope used in a window."""
    return ask("prices", scope, window, lambda: price_table_for(sorted(models)))
