"""The price engine: the same tokens at other prices, or other tokens at the same prices, in exact integers.

A replay moves a record's recorded cost by the difference of two list costs, so that a record whose price is not
known, or whose cost came from elsewhere, is never credited with a saving that its tokens do not explain.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from playbooks.replay.outcome import Nanos, Replayed, numbers
from store.model.prices import Price, PriceKey, PriceTable, Rates, scale
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


def input_tokens(records: RecordTable) -> Nanos:
    """All input tokens of each record: plain, read from a cache, or written to one."""
    classes = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")
    return np.asarray(sum(numbers(records, name) for name in classes), dtype=np.int64)


def at_one_model(records: RecordTable, prices: PriceTable, model: PriceKey, *, tokens: Tokens | None = None) -> Nanos:
    """List cost at one model's prices, whichever model answered; `tokens` as that one counts, default: as recorded."""
    at = {str(name): model for name in set(records.column("model").tolist())}
    return list_cost(records, prices, tokens=tokens, at=at).nanos


def with_tokens(
    records: RecordTable, prices: PriceTable, tokens: Tokens, note: str, *, cautious: Tokens | None = None
) -> Replayed:
    """The replay in which the same requests used other tokens; records without a price stay as they are."""
    old, new = list_cost(records, prices), list_cost(records, prices, tokens=tokens)
    worse = None if cautious is None else list_cost(records, prices, tokens=cautious)
    return moved(records, old, new, note, worse)


def first_tier(records: RecordTable, prices: PriceTable) -> int | None:
    """The least context size above which a model of the records is dearer, in input tokens; None: there is none."""
    dated = (prices.prices.get(key, ()) for key in _by_model(records))
    return min((above for found in dated for price in found for above, _ in price.tiers), default=None)


def replay_without_tiers(records: RecordTable, prices: PriceTable) -> Replayed:
    """What the records would have cost at the rates of short prompts, whatever their context."""
    flat = {
        key: tuple(price.model_copy(update={"tiers": ()}) for price in dated) for key, dated in prices.prices.items()
    }
    note = "the recorded tokens at the rates below the context tier; trimmed prompts would be shorter still"
    return moved(records, list_cost(records, prices), list_cost(records, PriceTable(prices=flat)), note)


def tiers_of(price: Price) -> tuple[tuple[int, Rates], ...]:
    """(above this many input tokens, the rates), the first above -1: those that hold for every request."""
    return ((-1, price.rates), *price.tiers)


def moved(records: RecordTable, old: ListCost, new: ListCost, note: str, worse: ListCost | None = None) -> Replayed:
    """The replay in which each record's recorded cost moves by the difference of two list costs, never below 0."""
    before = numbers(records, "cost_nanos")

    def at(to: ListCost) -> Nanos:
        return np.maximum(before + np.where(old.known & to.known, to.nanos - old.nanos, 0), 0)

    none_refused = np.zeros(records.rows, dtype=np.bool_)
    return Replayed(before, at(new), none_refused, note, None if worse is None else at(worse))


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
    for above, rates in tiers_of(price):
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
