"""From what a day's requests cost together to what each token class of them cost."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from store.model.money import NANOS_PER_USD, to_usd
from store.model.prices import Price, Rates

PER = 1_000_000
"""Tokens of one pricing unit."""
_PLACES = Decimal(1).scaleb(-12)


class Charge(NamedTuple):
    """USD per million tokens, and USD in all."""

    unit_price: Decimal
    cost: Decimal


def charges(
    tokens: Sequence[int], cost_nanos: int, *, requests: int, price: Price | None, tier: str, speed: str
) -> list[Charge]:
    """A charge for each token class, in the order of TOKEN_CLASSES.

    Where today's price of the model explains the recorded cost (to the rounding of one nano-USD a request), a charge is
    unit price x quantity exactly. Where it does not (a context tier, a price that changed within the day or since), the
    recorded cost is shared out in proportion to that price, whole nano-USD that add up to it, and the unit price is
    the average.
    """
    rates = [Decimal(rate) for rate in _rates(price, tier, speed)]
    exact = [n * rate / PER for n, rate in zip(tokens, rates, strict=True)]
    if price is not None and abs(sum(exact, Decimal(0)) - cost_nanos) <= max(1, requests):
        return [Charge(rate / NANOS_PER_USD, nanos / NANOS_PER_USD) for rate, nanos in zip(rates, exact, strict=True)]
    # Without any price the tokens themselves are the best weights: then nothing of the cost is lost.
    weights = exact if any(exact) else [Decimal(n) for n in tokens]
    return [_average(n, nanos) for n, nanos in zip(tokens, shared(cost_nanos, weights), strict=True)]


def at_list(
    found: Sequence[Charge], tokens: Sequence[int], *, price: Price | None, listed: Price | None, tier: str, speed: str
) -> list[Charge]:
    """The same charges at the list price; where the model has none, or no other than ours, as they are.

    A charge that our price explains becomes unit price x quantity at list; another is scaled as its rate is.
    """
    if price is None or listed is None or price.rates == listed.rates:
        return list(found)
    rates = zip(_rates(price, tier, speed), _rates(listed, tier, speed), strict=True)
    charges = []
    for n, charge, (ours, theirs) in zip(tokens, found, rates, strict=True):
        if ours and charge.unit_price != Decimal(ours) / NANOS_PER_USD:
            scaled = charge.cost * NANOS_PER_USD * theirs / ours
            charges.append(_average(n, int(scaled.to_integral_value(ROUND_HALF_EVEN))))
        else:
            charges.append(Charge(Decimal(theirs) / NANOS_PER_USD, n * Decimal(theirs) / PER / NANOS_PER_USD))
    return charges


def shared(nanos: int, weights: Sequence[Decimal]) -> list[int]:
    """Whole nano-USD in proportion to the weights that add up to all of it (largest remainders; first wins a tie)."""
    whole = sum(weights)
    if whole == 0:
        return [0 for _ in weights]
    exact = [nanos * weight / whole for weight in weights]
    floors = [int(one // 1) for one in exact]
    largest = sorted(range(len(exact)), key=lambda at: (floors[at] - exact[at], at))
    for at in largest[: nanos - sum(floors)]:
        floors[at] += 1
    return floors


def _average(tokens: int, nanos: int) -> Charge:
    cost = to_usd(nanos)
    unit = (cost * PER / tokens).quantize(_PLACES, ROUND_HALF_EVEN) if tokens else Decimal(0)
    return Charge(unit, cost)


def _rates(price: Price | None, tier: str, speed: str) -> tuple[Decimal, ...]:
    rates = (
        price.rates if price else Rates(input_uncached=0, cache_read=0, cache_write_5m=0, cache_write_1h=0, output=0)
    )
    factor = Decimal(1)
    for name in (tier, speed):
        factor *= Decimal(price.multipliers.get(name, "1")) if price else 1
    return tuple(rate * factor for rate in rates.by_class())
