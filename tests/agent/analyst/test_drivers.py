"""The driver split: exact to the cent for any data, and the right driver where only one thing changed."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.analyst.cents import whole_cents
from agent.analyst.drivers import DRIVER_MEASURES, Amounts, Moments, split_drivers
from agent.analyst.leaves import Leaves
from agent.analyst.shapley import shapley
from store.model.incident import Driver
from store.model.money import NANOS_PER_CENT, to_cents
from store.model.prices import Price, PriceKey, PriceTable
from store.model.usage import TOKEN_CLASSES, Scope, to_us
from tests.agent.analyst.small_world import price, rates, tiered

NOW = datetime(2026, 11, 17, tzinfo=UTC)
MOMENTS = Moments(now_us=to_us(NOW), before_us=to_us(NOW - timedelta(days=7)))
NO_PRICES = PriceTable(prices={})

Row = dict[str, float]


def leaves(rows: list[tuple[dict[str, str], Row, Row]]) -> Leaves:
    """Leaves out of (dimensions, before, now); what a row does not name is ordinary or zero."""
    names = {"team": "t", "app": "a", "provider": "acme", "model": "m", "service_tier": "standard", "speed": "standard"}
    columns = {dim: [row[0].get(dim, usual) for row in rows] for dim, usual in names.items()}
    values = {dim: sorted(set(column)) for dim, column in columns.items()}
    return Leaves(
        codes={d: np.array([values[d].index(v) for v in column], dtype=np.int64) for d, column in columns.items()},
        values=values,
        before={m: np.array([row[1].get(m, 0) for row in rows], dtype=np.float64) for m in DRIVER_MEASURES},
        now={m: np.array([row[2].get(m, 0) for row in rows], dtype=np.float64) for m in DRIVER_MEASURES},
    )


def cost_of(row: Row, known: Price, *, input_tokens: int = 0) -> Row:
    """The row with its list cost."""
    tokens = tuple(int(row.get(name, 0)) for name in TOKEN_CLASSES)
    assert len(tokens) == 5
    return {**row, "cost_nanos": known.rates_for(input_tokens).cost(tokens, int(row["requests"]))}


def split(
    rows: list[tuple[dict[str, str], Row, Row]], prices: PriceTable = NO_PRICES, part: Scope | None = None,
    chars: dict[tuple[str, str], tuple[float, float]] | None = None,
) -> dict[Driver, int]:  # fmt: skip
    """The split of the change between the rows' two sides."""
    wanted = part or Scope()
    mine = [row for row in rows if all(row[0].get(name) == value for name, value in wanted.dims)]
    actual = round(sum(now.get("cost_nanos", 0) for _, _, now in mine))
    reference = round(sum(before.get("cost_nanos", 0) for _, before, _ in mine))
    shares = split_drivers(
        leaves(rows),
        amounts=Amounts(excess=actual - reference, baseline=reference, reference=reference),
        prices=prices,
        moments=MOMENTS,
        tokens_per_char=chars,
        part=wanted,
    )
    assert sum(share.nanos for share in shares) == to_cents(actual - reference)
    return {share.driver: share.nanos for share in shares}


USUAL: Row = {
    "requests": 1000,
    "input_uncached": 4e5,
    "cache_read": 3e6,
    "cache_write_5m": 1e5,
    "output": 3e5,
    "reasoning": 6e4,
}
SMALL, LARGE = price(3, 15), price(15, 75)
BASE = cost_of(USUAL, SMALL)
MODEL_S, MODEL_L = {"model": "s"}, {"model": "l"}


def test_twice_the_requests_is_volume_alone() -> None:
    """Everything doubled: request volume explains all."""
    twice = {name: 2 * value for name, value in BASE.items()}
    assert split([({}, BASE, twice)]) == {"request_volume": to_cents(round(BASE["cost_nanos"]))}


@pytest.mark.parametrize(
    ("change", "driver"),
    [
        ({"output": 6e5, "reasoning": 6e4}, "output_per_request"),
        ({"output": 3e5 + 5e5, "reasoning": 6e4 + 5e5}, "reasoning"),
        ({"input_uncached": 8e5, "cache_read": 6e6, "cache_write_5m": 2e5}, "input_per_request"),
        ({"input_uncached": 4e5, "cache_read": 0, "cache_write_5m": 3.1e6}, "cache_mix"),
    ],
)
def test_one_change_is_one_driver(change: Row, driver: Driver) -> None:
    """Where one quantity changed, its driver takes the whole difference."""
    now = cost_of({**USUAL, **change}, SMALL)
    assert split([({}, BASE, now)]) == {driver: to_cents(round(now["cost_nanos"] - BASE["cost_nanos"]))}


def test_a_dearer_model_for_the_same_requests_is_the_mix() -> None:
    """A switch is model mix, for the whole and for the part of the new model, which is not new volume."""
    rows = [(MODEL_S, BASE, {}), (MODEL_L, {}, cost_of(USUAL, LARGE))]
    whole = split(rows)
    assert set(whole) == {"model_mix"}
    assert set(split(rows, part=Scope.of(model="l"))) == {"model_mix"}
    assert set(split(rows, part=Scope.of(model="s"))) == {"model_mix"}


def test_a_new_app_is_volume() -> None:
    """An app that was not there before has no per-request figures of then: all of it is volume."""
    assert set(split([({"app": "a"}, BASE, BASE), ({"app": "b"}, {}, BASE)])) == {"request_volume"}


def test_fast_calls_are_tier_and_speed() -> None:
    """The same calls at six times the price, under another speed."""
    fast = {**BASE, "cost_nanos": 6 * BASE["cost_nanos"]}
    assert set(split([({}, BASE, {}), ({"speed": "fast"}, {}, fast)])) == {"tier_speed"}


def test_a_price_rise_is_price() -> None:
    """The same tokens under dearer rates, with or without a price table that knows it."""
    dearer = cost_of(USUAL, price(6, 24))
    table = PriceTable(prices={PriceKey("acme", "m"): (SMALL, price(6, 24, since=NOW - timedelta(days=1)))})
    assert set(split([({}, BASE, dearer)])) == {"price"}
    assert set(split([({}, BASE, dearer)], table)) == {"price"}


def test_crossing_into_a_context_tier_is_not_a_price_rise() -> None:
    """The same tokens per request, half of the requests above the tier: the level is tier and speed."""
    known = tiered(3, 15)
    double = {**BASE, "cost_nanos": 1.5 * BASE["cost_nanos"]}
    assert set(split([({}, BASE, double)], PriceTable(prices={PriceKey("acme", "m"): (known,)}))) == {"tier_speed"}


def test_a_new_tokenizer_is_told_from_longer_input() -> None:
    """More tokens for the same characters is the tokenizer's; without characters it is input."""
    more = cost_of({**USUAL, "input_uncached": 5.2e5, "cache_read": 3.9e6, "cache_write_5m": 1.3e5}, SMALL)
    assert set(split([({}, BASE, more)], chars={("t", "a"): (0.25, 0.325)})) == {"tokenizer"}
    assert set(split([({}, BASE, more)])) == {"input_per_request"}


def test_money_without_requests_is_split_as_well() -> None:
    """A provider bucket without a request count, and a fee without tokens, leave no residual."""
    assert "residual" not in split([({}, {}, {"input_uncached": 1e6, "cost_nanos": 3e9})])
    assert "residual" not in split([({}, {"requests": 1, "cost_nanos": 1e9}, {"requests": 1, "cost_nanos": 2e9})])


def test_what_the_rows_do_not_say_is_residual_and_expectation_is_named() -> None:
    """An incident that knows of more money than its rows, and expected more than the reference, says both."""
    shares = split_drivers(
        leaves([({}, BASE, BASE)]),
        amounts=Amounts(excess=5_000_000_000, baseline=2_000_000_000, reference=round(BASE["cost_nanos"])),
        prices=NO_PRICES,
        moments=MOMENTS,
    )
    found = {share.driver: share.nanos for share in shares}
    expected = to_cents(round(BASE["cost_nanos"]) - 2_000_000_000)
    assert set(found) == {"expected_change", "residual"}
    assert abs(found["expected_change"] - expected) <= NANOS_PER_CENT
    assert sum(found.values()) == 5_000_000_000


count = st.integers(0, 10**9)
row = st.fixed_dictionaries(
    {"requests": st.integers(0, 10**6), "reasoning": count, "cost_nanos": st.integers(0, 10**14)}
    | dict.fromkeys(TOKEN_CLASSES, count)
)
dims = st.fixed_dictionaries(
    {"app": st.sampled_from("ab"), "model": st.sampled_from("sl"), "speed": st.sampled_from(["standard", "fast"])}
)
TABLE = PriceTable(prices={PriceKey("acme", "s"): (tiered(3, 15),), PriceKey("acme", "l"): (LARGE,)})


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(dims, row, row), max_size=6),
    gap=st.integers(-(10**13), 10**13),
    baseline=st.integers(0, 10**14),
    table=st.sampled_from([NO_PRICES, TABLE]),
)
def test_shares_add_up_to_the_cent_for_any_data(
    rows: list[tuple[dict[str, str], Row, Row]], gap: int, baseline: int, table: PriceTable
) -> None:
    """Whatever the rows and the incident say, the shares are whole cents and add up; only a gap is residual."""
    reference = round(sum(r[1]["cost_nanos"] for r in rows))
    actual = round(sum(r[2]["cost_nanos"] for r in rows))
    excess = actual + gap - baseline
    shares = split_drivers(
        leaves(rows),
        amounts=Amounts(excess=excess, baseline=baseline, reference=reference),
        prices=table,
        moments=MOMENTS,
    )
    assert sum(share.nanos for share in shares) == to_cents(excess)
    assert all(share.nanos % NANOS_PER_CENT == 0 for share in shares)
    residual = next((share.nanos for share in shares if share.driver == "residual"), 0)
    assert abs(residual - gap) <= 2 * NANOS_PER_CENT


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from("abcdefghijk"), st.floats(-1e15, 1e15), min_size=1))
def test_whole_cents_lose_nothing(parts: dict[str, float]) -> None:
    """Rounded parts add up to the total, and none moves by more than a cent and a half."""
    total = to_cents(round(sum(parts.values())))
    cents = whole_cents(parts, total_nanos=total)
    assert sum(cents.values()) == total
    assert all(abs(cents[name] - value) <= 1.5 * NANOS_PER_CENT + 1 for name, value in parts.items())


def test_shapley_is_fair_and_exact() -> None:
    """In a product of two factors each gets half of what they make together, per row."""
    old, new = np.array([2.0, 1.0]), np.array([5.0, 1.0])

    def value(state: tuple[bool, ...]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        left, right = (new if changed else old for changed in state)
        return np.asarray(left * right, dtype=np.float64)

    assert shapley(2, value).tolist() == [[10.5, 0.0], [10.5, 0.0]]


def test_rates_are_those_of_the_table() -> None:
    """The helper's prices are per million tokens in nano-USD."""
    assert rates(3, 15).by_class() == (3 * 10**9, 3 * 10**8, 3_750_000_000, 6 * 10**9, 15 * 10**9)
