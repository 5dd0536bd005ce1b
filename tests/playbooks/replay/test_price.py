"""The price engine gives to the nano what the price table gives record by record."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from playbooks.replay.price import list_cost, tokens_of, with_tokens
from playbooks.replay.swap import swap_model
from store.model.prices import Price, PriceKey, PriceTable, Rates
from store.model.usage import UsageRecord, from_us, to_us
from tests.playbooks.tables import HAIKU, OPUS, PRICES, SONNET, START, every, record, table

_RATE = st.integers(min_value=0, max_value=10**11)
_TOKENS = st.integers(min_value=0, max_value=3 * 10**9)
_RATES = st.builds(
    Rates,
    input_uncached=_RATE,
    cache_read=_RATE,
    cache_write_5m=_RATE,
    cache_write_1h=_RATE,
    output=_RATE,
    per_request=st.integers(0, 10**6),
)
_PRICE = st.builds(
    Price,
    effective_from=st.sampled_from([datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 11, 2, 13, tzinfo=UTC)]),
    rates=_RATES,
    tiers=st.sampled_from([0, 1]).flatmap(
        lambda n: st.tuples() if n == 0 else st.tuples(st.tuples(st.just(200_000), _RATES))
    ),
    multipliers=st.sampled_from([{}, {"batch": "0.5"}, {"batch": "0.5", "fast": "1.333333"}]),
)
_RECORD = st.builds(
    lambda n, model, tier, speed, requests, tokens: record(
        n,
        from_us(to_us(START) + n),
        model=model,
        service_tier=tier,
        speed=speed,
        requests=requests,
        input_uncached=tokens[0],
        cache_read=tokens[1],
        cache_write_5m=tokens[2],
        cache_write_1h=tokens[3],
        output=tokens[4],
        cost_nanos=0,
    ),
    st.integers(0, 3 * 3600 * 10**6),
    st.sampled_from([SONNET, OPUS, "nobody-knows"]),
    st.sampled_from(["standard", "batch"]),
    st.sampled_from(["standard", "fast"]),
    st.integers(1, 1000),
    st.tuples(_TOKENS, _TOKENS, _TOKENS, _TOKENS, _TOKENS),
)


def _prices(found: list[Price]) -> tuple[Price, ...]:
    return tuple(sorted({price.effective_from: price for price in found}.values(), key=lambda p: p.effective_from))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(_RECORD, min_size=1, max_size=8),
    st.lists(_PRICE, min_size=1, max_size=2).map(_prices),
    st.lists(_PRICE, min_size=1, max_size=2).map(_prices),
)
def test_the_column_engine_equals_the_price_table(
    rows: list[UsageRecord], sonnet: tuple[Price, ...], opus: tuple[Price, ...]
) -> None:
    """Tiers, dates, multipliers, half-even ties and huge provider buckets cost exactly the same."""
    prices = PriceTable(prices={PriceKey("anthropic", SONNET): sonnet, PriceKey("anthropic", OPUS): opus})
    rows = sorted(rows, key=lambda row: (row.occurred_us, row.record_id))
    found = list_cost(table(rows), prices)
    expected = [prices.cost(row) for row in rows]
    assert [int(n) if known else None for n, known in zip(found.nanos, found.known, strict=True)] == expected


def test_a_swap_moves_only_the_named_model() -> None:
    """Opus requests are priced as Sonnet ones; the others keep their cost."""
    rows = [record(1, START, model=OPUS), record(2, START, model=HAIKU)]
    replayed = swap_model(table(rows), PRICES, from_model=OPUS, to=PriceKey("anthropic", SONNET))
    assert replayed is not None
    assert replayed.before.tolist() == [7_500_000, 1_500_000]
    assert replayed.after.tolist() == [4_500_000, 1_500_000]
    assert (replayed.spent_before_nanos, replayed.spent_after_nanos) == (9_000_000, 6_000_000)


def test_a_swap_to_a_model_without_a_price_is_no_answer() -> None:
    """An unknown price is never a saving."""
    assert swap_model(table([record(1, START)]), PRICES, from_model=SONNET, to=PriceKey("anthropic", "new")) is None


def test_an_unpriced_record_is_never_credited() -> None:
    """A record of a model that nobody knows keeps its recorded cost, whatever its tokens become."""
    rows = table([record(1, START, model="nobody-knows", cost_nanos=77)])
    tokens = {name: counts * 0 for name, counts in tokens_of(rows).items()}
    assert with_tokens(rows, PRICES, tokens, "").after.tolist() == [77]


def test_a_recorded_cost_below_list_does_not_turn_negative() -> None:
    """A discounted record is moved by the difference of list costs, and never below nothing."""
    rows = table(every(1, 1, model=OPUS, cost_nanos=10))
    replayed = swap_model(rows, PRICES, from_model=OPUS, to=PriceKey("anthropic", HAIKU))
    assert replayed is not None
    assert replayed.after.tolist() == [0]
