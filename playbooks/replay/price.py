"""The price engine: the same tokens at other prices, or other tokens at the same prices, in exact integers.

A replay moves a record's recorded cost by the difference of two list costs, so that a record whose price is not
known, or whose cost came from elsewhere, is never credited with a saving that its tokens do not explain.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from playbooks.replay.outcome import Nanos, Replayed, numbers
from store.model.prices import Price, PriceKey, PriceTable, scale
from store.model.usage import TOKEN_CLASSES, RecordTable, to_us

_MILLION = 10**6

Tokens = dict[str, Nanos]
"""Tokens per record by class, in the table's order."""


class ListCost(NamedTuple):
    """List cost per record in nano-USD; 0 where `known` is false: nobody knows a price there."""

    nanos: Nanos
    known: npt.NDArray[np.bool_]


def tokens_of(records: RecordTable) -> Tokens:
    """The recorded tokens by class."""
    return {name: numbers(records, name) for name in TOKEN_CLASSES}


def list_cost(
    records: RecordTable, prices: PriceTable, *, tokens: Tokens | None = None, at: Mapping[str, PriceKey] | None = None
) -> ListCost:
    """Price every record as PriceTable.cost does, with other tokens or with the prices of other models.

    Args:
        records: needs provider, model, occurred_us, requests, service_tier, speed and the token classes.
        prices: the dated price table.
        tokens: the tokens to price; None: those recorded.
        at: {answering model: the model at whose prices its records are priced}; None: each at its own.
    """
    counted = tokens_of(records) if tokens is None else tokens
    nanos = np.zeros(records.rows, dtype=np.int64)
    known = np.zeros(records.rows, dtype=np.bool_)
    for key, rows in _by_model(records).items():
        priced_as = (at or {}).get(key.model, key)
        for price, chosen in _by_price(prices, priced_as, records, rows):
            nanos[chosen] = _at_price(price, records, counted, chosen)
            known[chosen] = True
    return ListCost(nanos, known)


def with_tokens(records: RecordTable, prices: PriceTable, tokens: Tokens, note: str) -> Replayed:
    """The replay in which the same requests used other tokens; records without a price stay as they are."""
    old, new = list_cost(records, prices), list_cost(records, prices, tokens=tokens)
    return _moved(records, old, new, note)


def swap_model(records: RecordTable, prices: PriceTable, *, from_model: str, to: PriceKey) -> Replayed | None:
    """The replay in which another model answered the requests of one: same tokens, other prices.

    None where any of those records has no price at the other model: a partial answer would look like a saving.
    """
    mine = records.column("model") == from_model
    old = list_cost(records, prices)
    new = list_cost(records, prices, at={from_model: to})
    if not bool(new.known[mine].all()):
        return None
    note = f"the recorded tokens of {from_model} at the list prices of {to.model}; another tokenizer may count others"
    return _moved(records, old, new, note)


def _moved(records: RecordTable, old: ListCost, new: ListCost, note: str) -> Replayed:
    before = numbers(records, "cost_nanos")
    delta = np.where(old.known & new.known, new.nanos - old.nanos, 0)
    return Replayed(before, np.maximum(before + delta, 0), np.zeros(records.rows, dtype=np.bool_), note)


def _by_model(records: RecordTable) -> dict[PriceKey, npt.NDArray[np.intp]]:
    """Row numbers by (provider, model)."""
    providers, models = records.column("provider"), records.column("model")
    found: dict[PriceKey, list[int]] = {}
    for row, (provider, model) in enumerate(zip(providers.tolist(), models.tolist(), strict=True)):
        found.setdefault(PriceKey(provider, model), []).append(row)
    return {key: np.array(rows, dtype=np.intp) for key, rows in found.items()}


def _by_price(
    prices: PriceTable, key: PriceKey, records: RecordTable, rows: npt.NDArray[np.intp]
) -> list[tuple[Price, npt.NDArray[np.intp]]]:
    """Rows by the price in force when they occurred; rows before the first price are left out."""
    dated = prices.prices.get(key, ())
    starts = np.array([to_us(price.effective_from) for price in dated], dtype=np.int64)
    which = np.searchsorted(starts, numbers(records, "occurred_us")[rows], side="right") - 1
    return [(price, rows[which == n]) for n, price in enumerate(dated)]


def _at_price(price: Price, records: RecordTable, tokens: Tokens, rows: npt.NDArray[np.intp]) -> Nanos:
    requests = numbers(records, "requests")[rows]
    counts = [tokens[name][rows] for name in TOKEN_CLASSES]
    # As in PriceTable.cost: the tier of a provider bucket is that of its average request.
    context = (counts[0] + counts[1] + counts[2] + counts[3]) // np.maximum(requests, 1)
    nanos = np.zeros(len(rows), dtype=np.int64)
    bounds = [-1, *(above for above, _ in price.tiers)]
    for above, rates in zip(bounds, (price.rates, *(rates for _, rates in price.tiers)), strict=True):
        per_class = rates.by_class()
        nanos = np.where(context > above, _exact(counts, per_class) + requests * rates.per_request, nanos)
    return _scaled(price, records, rows, nanos)


def _exact(counts: list[Nanos], rates: tuple[int, ...]) -> Nanos:
    """Sum of tokens x rate / 10**6, rounded half-even once. Whole millions are split off, so int64 cannot overflow."""
    whole = sum((n // _MILLION * rate for n, rate in zip(counts, rates, strict=True)), np.int64(0))
    rest = sum((n % _MILLION * rate for n, rate in zip(counts, rates, strict=True)), np.int64(0))
    floor = np.asarray(whole + rest // _MILLION, dtype=np.int64)
    over = np.asarray(rest % _MILLION, dtype=np.int64)
    up = (over > 500_000) | ((over == 500_000) & (floor % 2 == 1))
    rounded: Nanos = floor + up
    return rounded


def _scaled(price: Price, records: RecordTable, rows: npt.NDArray[np.intp], nanos: Nanos) -> Nanos:
    """Multipliers of tier and speed, applied in that order, each rounded half-even as PriceTable.cost does."""
    for name in ("service_tier", "speed") if price.multipliers else ():
        values = records.column(name)[rows]
        for value, factor in price.multipliers.items():
            hit = values == value
            nanos[hit] = [scale(int(n), factor) for n in nanos[hit]]
    return nanos
