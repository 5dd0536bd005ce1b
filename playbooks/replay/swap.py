"""The model-swap engine: the same work by another model, at its prices, with its tokenizer and length of answers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from playbooks.replay.kernels import REPRICE
from playbooks.replay.outcome import Replayed, numbers, select
from playbooks.replay.price import ListCost, Tokens, input_tokens, list_cost, moved, tiers_of, tokens_of
from store.model.prices import Price, PriceKey, PriceTable
from store.model.usage import TOKEN_CLASSES, RecordTable

Counts = npt.NDArray[np.int64] | npt.NDArray[np.int32]
"""Tokens per request of one class."""


class Drift(NamedTuple):
    """How another model's counts differ for the same work: factors as whole percent, so that tokens stay integers."""

    input_percent: int = 100
    output_percent: int = 100

    def of(self, tokens: Tokens) -> Tokens:
        """The tokens that the other model counts, rounded down."""
        return {
            name: counts * (self.output_percent if name == "output" else self.input_percent) // 100
            for name, counts in tokens.items()
        }


SAME = Drift()


def measured_drift(records: RecordTable, model: str, reference: RecordTable, previous: str) -> Drift | None:
    """How much fewer tokens the previous model's tokenizer makes of a text, by both ones' tokens for a character.

    Prompts and answers of single requests whose texts were counted; None where either side has none. Thinking, which
    nobody sees, is taken to be counted as answers are, and answers as prompts where only those were counted.
    """
    now, before = _tokens_per_char(records, model), _tokens_per_char(reference, previous)
    percent = [round(100 * b / n) if n and b else None for n, b in zip(now, before, strict=True)]
    if percent[0] is None:
        return None
    return Drift(percent[0], percent[0] if percent[1] is None else percent[1])


def _tokens_per_char(records: RecordTable, model: str) -> tuple[float, float]:
    """Tokens for a character of prompts and of answers; 0 where no text was counted."""
    mine = (records.column("model") == model) & (numbers(records, "requests") == 1)
    part = select(records, mine)
    pairs = (
        (input_tokens(part), numbers(part, "prompt_chars")),
        (numbers(part, "output") - numbers(part, "reasoning"), numbers(part, "completion_chars")),
    )
    first, second = (
        float(tokens[chars > 0].sum() / chars.sum()) if chars.sum() > 0 else 0.0 for tokens, chars in pairs
    )
    return first, second


CAUTIOUS = Drift(110, 125)
"""Another tokenizer of one vendor counts up to about a tenth more on mixed text, and smaller models answer at greater
length (FIELD.md section 3, row 7; completion tokens per task of the Aider leaderboards)."""


def swap_model(
    records: RecordTable, prices: PriceTable, *, from_model: str, to: PriceKey, drift: Drift = SAME
) -> Replayed | None:
    """The replay in which another model answered the requests of one: the same work at other prices.

    None where any of those records has no price at the other model: a partial answer would look like a saving.
    `drift`: what the other model's tokenizer and its length of answers are known to do; the low figure adds CAUTIOUS.
    """
    mine = records.column("model") == from_model
    part = select(records, mine)
    tokens, at = tokens_of(part), {from_model: to}
    costs = swap_cost(part, prices, from_model=from_model, to=to) if drift == SAME else None
    if costs is None:
        costs = list_cost(part, prices), list_cost(part, prices, tokens=drift.of(tokens), at=at)
    old, new = costs
    if not bool(new.known.all()):
        return None
    note = (
        f"the work of {from_model} at the list prices of {to.model}, with {drift.input_percent} % of its input and "
        f"{drift.output_percent} % of its output tokens (low: a tenth more input, a quarter more output)"
    )
    swapped = moved(part, old, new, note, list_cost(part, prices, tokens=CAUTIOUS.of(drift.of(tokens)), at=at))
    before = numbers(records, "cost_nanos")
    after, cautious = before.copy(), before.copy()
    assert swapped.cautious is not None
    after[mine], cautious[mine] = swapped.after, swapped.cautious
    return Replayed(before, after, np.zeros(records.rows, dtype=np.bool_), note, cautious)


def swap_cost(
    part: RecordTable, prices: PriceTable, *, from_model: str, to: PriceKey
) -> tuple[ListCost, ListCost] | None:
    """List cost of one model's records at its own price and at another's: what list_cost gives, at speed.

    None where the loop does not pay or does not fit, and list_cost must do it: few rows, provider buckets, several
    providers, tiers beyond one, multipliers, more than one price in force, sums beyond 2**62.
    """
    if part.rows == 0 or not REPRICE.pays(part.rows) or bool((numbers(part, "requests") != 1).any()):
        return None
    provider = str(part.column("provider")[0])
    moments = numbers(part, "occurred_us")[[0, -1]].tolist()
    own, other = (_one_price(prices, key, moments) for key in (PriceKey(provider, from_model), to))
    if own is None or other is None or bool((part.column("provider") != provider).any()):
        return None
    return reprice([numbers(part, name) for name in TOKEN_CLASSES], own, other)


def reprice(
    counts: Sequence[Counts], own: Price, other: Price, *, into: npt.NDArray[np.int64] | None = None
) -> tuple[ListCost, ListCost] | None:
    """Cost of single requests at two prices of one tier at most, without multipliers; None where 2**62 may be passed.

    `into`: where to put the two costs, of shape (2, requests), for a caller who goes through millions in blocks.
    """
    before, after = np.empty((2, len(counts[0])), dtype=np.int64) if into is None else into
    bits = REPRICE.fast(*counts, *_rates(own), *_rates(other), before, after)
    dearest = max(rate for price in (own, other) for _, rates in tiers_of(price) for rate in rates.by_class())
    if bits.bit_length() + dearest.bit_length() + _FIVE_TERMS > _EXACT_BITS:
        return None
    known = np.ones(len(before), dtype=np.bool_)
    for nanos, price in ((before, own), (after, other)):
        if price.rates.per_request:
            np.add(nanos, price.rates.per_request, out=nanos)
    return ListCost(before, known), ListCost(after, known)


_EXACT_BITS = 62
_FIVE_TERMS = 3
_NO_TIER = 2**62


def _one_price(prices: PriceTable, key: PriceKey, moments_us: list[int]) -> Price | None:
    """The price in force at all of the moments, where it is simple enough for the loop."""
    found = {id(price): price for price in (prices.price_at(key, moment) for moment in moments_us)}
    price = found.popitem()[1] if len(found) == 1 else None
    if price is None or price.multipliers or len(price.tiers) > 1:
        return None
    return None if price.tiers and price.tiers[0][1].per_request != price.rates.per_request else price


def _rates(price: Price) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Above which context the dearer rates hold, the rates up to there, and the rates above it."""
    above, high = price.tiers[0] if price.tiers else (_NO_TIER, price.rates)
    return above, price.rates.by_class(), high.by_class()
