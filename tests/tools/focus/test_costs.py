"""A day's cost is shared out between token classes without a nano-USD lost or made."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from store.model.prices import Price, Rates
from tests.tools.focus.usage import START
from tools.focus.costs import charges, shared

_RATES = Rates(
    input_uncached=5 * 10**9,
    cache_read=5 * 10**8,
    cache_write_5m=6_250_000_000,
    cache_write_1h=10**10,
    output=25 * 10**9,
)
_PRICE = Price(effective_from=START, rates=_RATES, multipliers={"batch": "0.5"})
_TOKENS = st.tuples(*[st.integers(0, 10**9)] * 5)


@settings(max_examples=300, deadline=None)
@given(nanos=st.integers(0, 10**15), weights=st.lists(st.integers(0, 10**12), min_size=1, max_size=6).filter(any))
def test_shares_are_whole_and_add_up(nanos: int, weights: list[int]) -> None:
    """Largest remainders: the shares sum to the whole, and each is within one of its exact part."""
    parts = shared(nanos, [Decimal(weight) for weight in weights])
    assert sum(parts) == nanos
    for part, weight in zip(parts, weights, strict=True):
        assert abs(Decimal(part) - Decimal(nanos) * weight / sum(weights)) <= 1


@settings(max_examples=200, deadline=None)
@given(tokens=_TOKENS, requests=st.integers(1, 10**6))
def test_a_price_that_explains_the_cost_is_the_unit_price(tokens: tuple[int, ...], requests: int) -> None:
    """Then unit price x quantity is the cost exactly, and all is within a nano-USD a request of what was recorded."""
    recorded = _RATES.cost((tokens[0], tokens[1], tokens[2], tokens[3], tokens[4]))
    found = charges(tokens, recorded, requests=requests, price=_PRICE, tier="standard", speed="standard")
    assert [charge.unit_price for charge in found] == [Decimal(rate) / 10**9 for rate in _RATES.by_class()]
    for count, charge in zip(tokens, found, strict=True):
        assert charge.cost == charge.unit_price * count / 10**6
    assert abs(sum(charge.cost for charge in found) - Decimal(recorded) / 10**9) <= Decimal(requests) / 10**9


@settings(max_examples=200, deadline=None)
@given(tokens=_TOKENS.filter(any), nanos=st.integers(0, 10**15), priced=st.booleans())
def test_a_cost_that_no_price_explains_is_shared_out(tokens: tuple[int, ...], nanos: int, priced: bool) -> None:
    """A context tier, another price, no price at all: the recorded cost is kept to the nano-USD."""
    recorded = nanos + 2 * _RATES.cost((tokens[0], tokens[1], tokens[2], tokens[3], tokens[4])) + 2
    price = _PRICE if priced else None
    found = charges(tokens, recorded, requests=1, price=price, tier="standard", speed="standard")
    assert sum(charge.cost for charge in found) == Decimal(recorded) / 10**9
    assert all(charge.cost == 0 for charge, count in zip(found, tokens, strict=True) if not count)


def test_tiers_and_speeds_scale_the_unit_price() -> None:
    """Batch halves it; a name without a multiplier changes nothing."""
    (first, *_) = charges((2_000, 0, 0, 0, 0), 5_000_000, requests=1, price=_PRICE, tier="batch", speed="standard")
    assert (first.unit_price, first.cost) == (Decimal("2.5"), Decimal("0.005"))
