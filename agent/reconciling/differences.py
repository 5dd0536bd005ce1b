"""Why two counts of the same usage differ: named differences that add up to the whole difference, exactly.

Tokens: class by class. Money: whole nano-USD; what no other name explains is `price_difference`, or `rounding` where
it is no more than the roundings of so many requests can come to.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

from agent.reconciling.amounts import NO_TOKENS, NOTHING, Amounts, Tokens, minus, plus
from store.model.allocation import split
from store.model.money import NANOS_PER_CENT

Name = Literal[
    "time_zone_edge",
    "late",
    "missing_at_gateway",
    "missing_at_provider",
    "cached_tokens",
    "unpriced",
    "price_difference",
    "rounding",
    "seats_and_commitments",
    "not_invoiced",
    "billed_without_usage",
    "unallocated",
]

MEANING: dict[Name, str] = {
    "time_zone_edge": "the provider's days do not begin at midnight UTC: usage that lies in another day there",
    "late": "usage after the newest that the other side has reported",
    "missing_at_gateway": "calls that the provider counted and the gateway did not see",
    "missing_at_provider": "calls that the gateway saw and the provider did not count",
    "cached_tokens": "the same input counted in another token class: uncached, read from or written to a cache",
    "unpriced": "usage without a price on one side; `bursar prices` lists the models",
    "price_difference": "the same tokens at another price: a tier, a discount, a price that the price book lacks",
    "rounding": "roundings of single requests, or of the invoice to the cent",
    "seats_and_commitments": "usage that seats, commitments or capacity pay for: it is not billed by the token",
    "not_invoiced": "usage on days that the invoice has no line for",
    "billed_without_usage": "money on the invoice that no tokens stand for: tools, storage, fees",
    "unallocated": "the provider does not say whose usage it is",
}


class Difference(NamedTuple):
    """A part of a difference, with its sign."""

    name: Name
    tokens: Tokens
    nanos: int


def usage_differences(
    ours: Amounts, *, aligned: Amounts, late: Amounts, theirs: Amounts, rates: Tokens | None
) -> list[Difference]:
    """The gateway minus the provider: tokens, and cost at our own prices on both sides.

    Args:
        ours: what the gateway saw on the UTC day.
        aligned: what it saw on the provider's day.
        late: the part of `aligned` after the newest that the provider has reported.
        theirs: what the provider counted.
        rates: the model's price by token class in whatever unit, or None: only their proportions matter.
    """
    edge = ours.minus(aligned)
    return merged(
        [
            Difference("time_zone_edge", edge.tokens, edge.cost_nanos),
            Difference("late", late.tokens, late.cost_nanos),
            *_compared(aligned.minus(late), theirs, rates),
        ]
    )


def _compared(ours: Amounts, theirs: Amounts, rates: Tokens | None) -> list[Difference]:
    apart = minus(ours.tokens, theirs.tokens)
    if not any(theirs.tokens):
        return [Difference("missing_at_provider", apart, ours.cost_nanos - theirs.cost_nanos)]
    if not any(ours.tokens):
        return [Difference("missing_at_gateway", apart, ours.cost_nanos - theirs.cost_nanos)]
    volume = minus(_at_volume_of(theirs.tokens, ours.tokens), theirs.tokens)
    cached = minus(apart, volume)
    per_token = _per_token(theirs, rates)
    volume_nanos, cached_nanos = (round(_worth(tokens, per_token)) for tokens in (volume, cached))
    rest = ours.cost_nanos - theirs.cost_nanos - volume_nanos - cached_nanos
    missing: Name = "missing_at_gateway" if (volume_nanos, sum(volume)) < (0, 0) else "missing_at_provider"
    return [
        Difference(missing, volume, volume_nanos),
        Difference("cached_tokens", cached, cached_nanos),
        Difference(_name_of_rest(rest, ours, theirs), NO_TOKENS, rest),
    ]


def _at_volume_of(mix: Tokens, volume: Tokens) -> Tokens:
    """As much input and output as `volume` has, the input in the classes of `mix`."""
    if not sum(mix[:4]):
        return volume
    a, b, c, d = split(sum(volume[:4]), [Decimal(n) for n in mix[:4]])
    return (a, b, c, d, volume[4])


def _per_token(theirs: Amounts, rates: Tokens | None) -> tuple[Fraction, ...]:
    """What a token of each class cost at the provider; where the price is not known, what the average one did."""
    weights = rates or (1, 1, 1, 1, 1)
    weighed = sum(n * rate for n, rate in zip(theirs.tokens, weights, strict=True))
    if not weighed:
        return (Fraction(0),) * 5
    return tuple(Fraction(theirs.cost_nanos * rate, weighed) for rate in weights)


def _worth(tokens: Tokens, per_token: tuple[Fraction, ...]) -> Fraction:
    return sum((n * each for n, each in zip(tokens, per_token, strict=True)), Fraction(0))


def _name_of_rest(rest: int, ours: Amounts, theirs: Amounts) -> Name:
    if ours.unpriced or theirs.unpriced:
        return "unpriced"
    # Each request's cost was rounded to a nano-USD on both sides, and so were the two differences before.
    return "rounding" if abs(rest) <= ours.requests + theirs.requests + 2 else "price_difference"


def invoice_differences(usage: Amounts, invoice: Amounts | None, *, covered: bool) -> list[Difference]:
    """The invoice minus the usage at our prices.

    Args:
        usage: what the provider counted (or the gateway, where the provider counts nothing).
        invoice: None where it has no line for this day and model.
        covered: whether the invoice reaches so far.
    """
    paid_otherwise = usage.cash_nanos - usage.cost_nanos
    found = [Difference("seats_and_commitments", NO_TOKENS, paid_otherwise)]
    if invoice is None:
        found.append(Difference("not_invoiced" if covered else "late", NO_TOKENS, -usage.cash_nanos))
        return merged(found)
    rest = invoice.billed_nanos - usage.cash_nanos
    found.append(Difference(_name_of_bill(rest, usage), NO_TOKENS, rest))
    return merged(found)


def _name_of_bill(rest: int, usage: Amounts) -> Name:
    if usage == NOTHING:
        return "billed_without_usage"
    if usage.unpriced:
        return "unpriced"
    return "rounding" if abs(rest) <= NANOS_PER_CENT else "price_difference"


def merged(differences: Iterable[Difference]) -> list[Difference]:
    """One of each name, in the order of MEANING; those that come to nothing are left out."""
    found: dict[Name, Difference] = {}
    for one in differences:
        known = found.get(one.name, Difference(one.name, NO_TOKENS, 0))
        found[one.name] = Difference(one.name, plus(known.tokens, one.tokens), known.nanos + one.nanos)
    return [found[name] for name in MEANING if name in found and (found[name].nanos or any(found[name].tokens))]
