"""Pricing many records at once: PriceTable.cost on columns, to the nano-dollar, by groups that have one price.

All arithmetic is in int64. Rows whose product could overflow, and factors that are no small fractions, take the scalar
way, so that the result is always what PriceTable.cost says.
"""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from store.model.prices import Price, PriceKey, PriceTable, Rates, scale
from store.model.usage import TOKEN_CLASSES
from store.model.usage_batch import ABSENT, Coded, Integers, Text, UsageBatch

_SAFE = 2**62
_PER_MILLION = 10**6
_Mask = npt.NDArray[np.bool_]


def price_batch(batch: UsageBatch, table: PriceTable) -> UsageBatch:
    """The batch with `cost_nanos` as the table has it; ABSENT where the model has no price at that time.

    `provider`, `model`, `service_tier` and `speed` are one value for all rows, or coded.
    """
    nanos = np.full(batch.rows, ABSENT, dtype=np.int64)
    rows = _Rows(batch)
    for key, mine in _by_key(batch):
        prices = table.prices.get(key, ())
        when = np.array([price.effective_us for price in prices], dtype=np.int64)
        force = np.searchsorted(when, rows.occurred_us[mine], side="right") - 1
        for at, price in enumerate(prices):
            found = mine[force == at]
            if len(found):
                nanos[found] = _cost(rows, found, price)
    return batch.with_numbers({"cost_nanos": nanos})


def batch_keys(batch: UsageBatch) -> list[PriceKey]:
    """What the prices of the rows are looked up by, each once."""
    return [key for key, _ in _by_key(batch)]


class _Rows:
    """The columns that a price depends on."""

    def __init__(self, batch: UsageBatch) -> None:
        self.occurred_us = batch.number("occurred_us")
        self.requests = batch.number("requests")
        self.tokens = np.stack([batch.number(name) for name in TOKEN_CLASSES])
        self.tiers = [batch.text("service_tier"), batch.text("speed")]


def _by_key(batch: UsageBatch) -> list[tuple[PriceKey, npt.NDArray[np.int64]]]:
    """(provider, model) and the rows that have it."""
    providers, models = _codes(batch.text("provider"), batch.rows), _codes(batch.text("model"), batch.rows)
    combined = providers.codes.astype(np.int64) * len(models.values) + models.codes
    few = len(providers.values) * len(models.values) <= 2**16
    order = np.argsort(combined.astype(np.uint16) if few else combined, kind="stable")  # by radix where it can be
    starts = np.flatnonzero(np.diff(combined[order], prepend=-1)) if batch.rows else np.empty(0, np.int64)
    groups = np.split(order, starts[1:])
    return [
        (PriceKey(providers.values[int(c) // len(models.values)], models.values[int(c) % len(models.values)]), rows)
        for c, rows in zip(combined[order][starts], groups, strict=False)
    ]


def _cost(rows: _Rows, found: npt.NDArray[np.int64], price: Price) -> Integers:
    """Nano-USD of rows of one model and one dated price."""
    tokens, requests = rows.tokens[:, found], rows.requests[found]
    context = tokens[:4].sum(axis=0) // np.maximum(requests, 1)
    tier = np.zeros(len(found), dtype=np.int64)
    for at, (above, _) in enumerate(price.tiers):
        tier[context > above] = at + 1
    nanos = np.empty(len(found), dtype=np.int64)
    for at, rates in enumerate((price.rates, *(rates for _, rates in price.tiers))):
        mine = np.flatnonzero(tier == at)
        if len(mine):
            nanos[mine] = _at_rates(tokens[:, mine], requests[mine], rates)
    for text in rows.tiers:
        nanos = _scaled(nanos, text, found, price)
    return nanos


def _at_rates(tokens: Integers, requests: Integers, rates: Rates) -> Integers:
    by_class = rates.by_class()
    most = max(int(tokens.max()) * sum(by_class), int(requests.max()) * max(rates.per_request, 1))
    if most >= _SAFE or min(by_class) < 0:
        columns = zip(tokens.T.tolist(), requests.tolist(), strict=True)
        return np.array([rates.cost(tuple(row), count) for row, count in columns], dtype=np.int64)
    exact = sum(row * rate for row, rate in zip(tokens, by_class, strict=True))
    return _half_even(np.asarray(exact), _PER_MILLION) + requests * rates.per_request


def _scaled(nanos: Integers, text: Text, found: npt.NDArray[np.int64], price: Price) -> Integers:
    """Each row times the factor of its service tier or speed."""
    values = [text] if isinstance(text, str) else _codes(text, len(nanos)).values
    for at, name in enumerate(values):
        factor = price.multipliers.get(name, "1")
        if factor == "1":
            continue
        mine = np.flatnonzero(text.codes[found] == at) if isinstance(text, Coded) else np.arange(len(found))
        if len(mine):
            nanos[mine] = _times(nanos[mine], factor)
    return nanos


def _times(nanos: Integers, factor: str) -> Integers:
    fraction = Fraction(factor)
    if fraction.numerator * max(int(nanos.max()), 1) >= _SAFE or fraction.denominator >= 2**31:
        return np.array([scale(one, factor) for one in nanos.tolist()], dtype=np.int64)
    return _half_even(nanos * fraction.numerator, fraction.denominator)


def _half_even(amounts: Integers, divisor: int) -> Integers:
    whole, rest = np.divmod(amounts, divisor)
    up: _Mask = (2 * rest > divisor) | ((2 * rest == divisor) & (whole % 2 == 1))
    return whole + up


def _codes(text: Text, rows: int) -> Coded:
    if isinstance(text, Coded):
        return text
    if isinstance(text, str):
        return Coded(np.zeros(rows, dtype=np.int32), [text])
    raise TypeError("pricing wants coded columns: store.usage.columns.coded makes them")
