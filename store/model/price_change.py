"""Price changes as events: a model's price that became another at a date, by its provider or by contract."""

from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from store.model.prices import Price, PriceKey, PriceTable
from store.model.usage import TOKEN_CLASSES, Window


class PriceChange(NamedTuple):
    """From `at` on the model costs what `becomes` says; before, what `was` says."""

    key: PriceKey
    at: datetime
    was: Price
    becomes: Price

    @property
    def ratios(self) -> dict[str, float]:
        """New rate over old by token class, of the classes whose rate changed and was not zero."""
        pairs = zip(TOKEN_CLASSES, self.was.rates.by_class(), self.becomes.rates.by_class(), strict=True)
        return {name: new / old for name, old, new in pairs if old and new != old}


def price_changes(table: PriceTable, window: Window) -> list[PriceChange]:
    """Every change that takes effect in the window, oldest first."""
    found = []
    for key, prices in table.prices.items():
        for was, becomes in pairwise(prices):
            if window.start <= becomes.effective_from < window.end and _differ(was, becomes):
                found.append(PriceChange(key, becomes.effective_from, was, becomes))
    return sorted(found, key=lambda change: (change.at, change.key))


def _differ(was: Price, becomes: Price) -> bool:
    return (was.rates, was.tiers, was.multipliers) != (becomes.rates, becomes.tiers, becomes.multipliers)
