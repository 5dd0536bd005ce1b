"""The price book: list prices, dates, tiers, cache rules, multipliers, overrides, and names as gateways write them."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from store.errors import BadInput
from store.model.money import to_nanos
from store.model.price_change import price_changes
from store.model.prices import PriceKey
from store.model.usage import NONE, UsageRecord, Window, to_us
from store.price_overrides import load_overrides
from store.prices import PriceBook, price, price_keys

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
MILLION = 1_000_000


def _call(provider: str, model: str, *, at: datetime = NOW, **fields: object) -> UsageRecord:
    call = UsageRecord("r", "gw", to_us(at), to_us(at), provider, model)
    return call._replace(**fields)  # type: ignore[arg-type]  # the caller names fields of the record


def _usd(record: UsageRecord, book: PriceBook | None = None) -> str | None:
    [priced] = price([record], (book or PriceBook()).table_for(price_keys([record])))
    return None if priced.cost_nanos is None else f"{Decimal(priced.cost_nanos) / 10**9:f}"


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        # (input, cache read, 5-minute write, 1-hour write, output) in USD per million tokens.
        ("anthropic", "claude-fable-5-2", ("8", "0.2", "10", "16", "40")),
        ("anthropic", "claude-fable-5-1", ("10", "0.25", "12.5", "20", "50")),
        ("anthropic", "claude-opus-5-5", ("4", "0.2", "5", "8", "20")),
        ("anthropic", "claude-opus-5", ("5", "0.5", "6.25", "10", "25")),
        ("anthropic", "claude-opus-4-5", ("5", "0.5", "6.25", "10", "25")),
        ("anthropic", "claude-sonnet-5-5", ("2", "0.1", "2.5", "4", "10")),
        ("anthropic", "claude-sonnet-4-5", ("3", "0.3", "3.75", "6", "15")),
        ("anthropic", "claude-haiku-4-5", ("1", "0.1", "1.25", "2", "5")),
        ("anthropic", "claude-haiku-5-5", ("0.1", "0.01", "0.125", "0.2", "0.5")),
        ("openai", "gpt-4o", ("2.5", "1.25", "2.5", "2.5", "10")),
        ("openai", "gpt-4o-mini", ("0.15", "0.075", "0.15", "0.15", "0.6")),
        ("openai", "gpt-5.6-luna", ("0.2", "0.02", "0.25", "0.25", "1.2")),
        # No cache rates in the data: Anthropic's factors of the input rate.
        ("anthropic", "claude-2", ("8", "0.8", "10", "16", "24")),
    ],
)
def test_list_prices(provider: str, model: str, usd: tuple[str, ...]) -> None:
    """Each class has the provider's published rate; an OpenAI write without a premium costs what input costs."""
    key = PriceKey(provider, model)
    found = PriceBook().table_for([key]).price_at(key, to_us(NOW))
    assert found is not None
    assert found.rates.by_class() == tuple(to_nanos(rate) for rate in usd)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-opus-4-5-20251101"),
        ("anthropic", "anthropic/claude-opus-4-5"),
        (NONE, "anthropic/claude-opus-4-5"),
        (NONE, "claude-opus-4-5"),
        ("litellm_proxy", "claude-opus-4-5"),
        ("Anthropic", "Claude-Opus-4-5"),
        ("vertex_ai", "claude-opus-4-5@20251101"),
        ("bedrock", "anthropic.claude-opus-4-5-20251101-v1:0"),
        ("openrouter", "openrouter/anthropic/claude-opus-4.5"),
        (NONE, "openrouter/anthropic/claude-opus-4.5"),
        ("azure_ai", "claude-opus-4-5"),
    ],
)
def test_names_as_gateways_write_them(provider: str, model: str) -> None:
    """Dated, prefixed and resold names find the model."""
    assert _usd(_call(provider, model, input_uncached=MILLION)) in ("5", "5.5")


@pytest.mark.parametrize(
    ("provider", "model"),
    [("ollama", "llama3"), (NONE, "ollama/deepseek-chat"), ("own", "gpt-4o"), ("openai", "nobody"), (NONE, NONE)],
)
def test_unknown_is_not_free(provider: str, model: str) -> None:
    """A model nobody knows, or one that somebody else serves under a known name, has no price."""
    assert _usd(_call(provider, model, input_uncached=MILLION)) is None


def test_long_context_prices_the_whole_request() -> None:
    """Above the limit, cached tokens counted, every token has the higher rate; a bucket goes by its average request."""
    call = _call("anthropic", "claude-sonnet-4-5", input_uncached=150_000, cache_read=50_000, output=1_000)
    assert _usd(call) == "0.48"
    assert _usd(call._replace(cache_read=50_001)) == "0.9525006"
    assert _usd(call._replace(cache_read=150_000, requests=2)) == "0.51"


def test_dated_prices() -> None:
    """The price in force at the call's time counts: Opus 4.6 lost its long-context tier on 2026-03-13."""
    call = _call("anthropic", "claude-opus-4-6", input_uncached=300_000)
    assert _usd(call._replace(occurred_us=to_us(datetime(2026, 3, 12, 23, 59, tzinfo=UTC)))) == "3"
    assert _usd(call._replace(occurred_us=to_us(datetime(2026, 3, 13, tzinfo=UTC)))) == "1.5"


@pytest.mark.parametrize(
    ("provider", "model", "fields", "usd"),
    [
        ("anthropic", "claude-opus-4-5", {"service_tier": "batch"}, "2.5"),
        ("anthropic", "claude-2", {"service_tier": "batch"}, "4"),
        ("openai", "gpt-4o", {"service_tier": "batch"}, "1.25"),
        ("openai", "gpt-5.4", {"service_tier": "priority"}, "5"),
        ("openai", "gpt-5.6-luna", {"service_tier": "flex"}, "0.1"),
        ("anthropic", "claude-opus-5", {"speed": "fast"}, "10"),
        ("anthropic", "claude-opus-4-6", {"speed": "fast"}, "30"),
        ("anthropic", "claude-opus-4-5", {"speed": "unheard-of"}, "5"),
    ],
)
def test_tiers_and_speeds(provider: str, model: str, fields: dict[str, str], usd: str) -> None:
    """A service tier or speed scales the price by the provider's factor."""
    few = _call(provider, model, input_uncached=MILLION, requests=100)
    few = few._replace(service_tier=fields.get("service_tier", "standard"), speed=fields.get("speed", "standard"))
    assert _usd(few) == usd


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(["claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-5-5", "claude-opus-4-6"]),
    tokens=st.tuples(*(st.integers(0, 200_000) for _ in range(5))),
)
def test_agrees_with_the_library(model: str, tokens: tuple[int, int, int, int, int]) -> None:
    """Our table gives what genai-prices itself charges, to the nano-dollar."""
    uncached, read, write_5m, write_1h, output = tokens
    usage = Usage(
        input_tokens=uncached + read + write_5m + write_1h,
        cache_read_tokens=read,
        cache_write_tokens=write_5m + write_1h,
        cache_write_1h_tokens=write_1h,
        output_tokens=output,
    )
    theirs = calc_price(usage, model, provider_id="anthropic", genai_request_timestamp=NOW).total_price
    ours = _call(
        "anthropic",
        model,
        input_uncached=uncached,
        cache_read=read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        output=output,
    )
    table = PriceBook().table_for(price_keys([ours]))
    assert table.cost(ours) == to_nanos(theirs)


_OVERRIDES = """
prices:
  - provider: anthropic
    model: claude-opus-4-5
    effective_from: 2026-10-01T00:00:00Z
    usd_per_million: {input: "4", output: "20"}
    tiers:
      - {above: 100000, usd_per_million: {input: "8", output: "30", cache_read: "1"}}
    multipliers: {batch: "0.4"}
  - provider: "*"
    model: house-model
    effective_from: 2026-01-01T00:00:00Z
    usd_per_million: {input: "0.10", output: "0.20"}
    usd_per_request: "0.001"
"""


def test_overrides(tmp_path: Path) -> None:
    """The operator's price holds from its date on, with the cache rules of its provider; before it, the list's."""
    (tmp_path / "prices.yaml").write_text(_OVERRIDES)
    book = PriceBook(load_overrides(tmp_path / "prices.yaml"))
    call = _call("anthropic", "claude-opus-4-5", input_uncached=1_000)
    assert _usd(call, book) == "0.004"
    assert _usd(call._replace(occurred_us=to_us(datetime(2026, 9, 30, tzinfo=UTC))), book) == "0.005"
    assert _usd(call._replace(input_uncached=0, cache_read=1_000), book) == "0.0004"
    assert _usd(call._replace(input_uncached=200_000), book) == "1.6"
    assert _usd(call._replace(service_tier="batch"), book) == "0.0016"
    house = _call("vllm", "house-model", input_uncached=1_000, output=500, requests=2)
    assert _usd(house, book) == "0.0022"
    assert _usd(house._replace(occurred_us=to_us(datetime(2025, 12, 31, tzinfo=UTC))), book) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("prices: [{provider: a, model: b, colour: red}]", r"prices\.0\.\w+"),
        ("prices: [{provider: a, model: b, effective_from: 2026-01-01}]", "effective_from"),
        (_OVERRIDES.replace('"4"', '"-4"'), "greater than or equal to 0"),
        (_OVERRIDES.replace('"4"', ".nan"), "usd_per_million"),
        ("prices: [", "not YAML"),
    ],
)
def test_a_bad_price_file_is_named(content: str, says: str, tmp_path: Path) -> None:
    """The message names the file, the key, and what a price has."""
    path = tmp_path / "prices.yaml"
    path.write_text(content)
    with pytest.raises(BadInput, match=says) as caught:
        load_overrides(path)
    assert str(path) in str(caught.value)


def test_a_missing_price_file_is_named(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(BadInput, match=r"none\.yaml"):
        load_overrides(tmp_path / "none.yaml")


_DISCOUNT = """
prices:
  - {provider: anthropic, model: "*", effective_from: 2026-01-01T00:00:00Z, effective_until: 2026-07-01T00:00:00Z,
     percent_off_list: "10"}
  - {provider: anthropic, model: claude-opus-4-5, effective_from: 2026-03-01T00:00:00Z, percent_off_list: "25"}
"""


def test_a_committed_discount_is_a_part_off_the_list_price_while_it_lasts(tmp_path: Path) -> None:
    """On everything of a provider, or deeper on one model; dated, and each change is an event."""
    path = tmp_path / "prices.yaml"
    path.write_text(_DISCOUNT)
    book = PriceBook(load_overrides(path))

    def usd(model: str, month: int, year: int = 2026) -> str | None:
        at = datetime(year, month, 15, tzinfo=UTC)
        return _usd(_call("anthropic", model, at=at, input_uncached=100_000, output=MILLION), book)

    assert [usd("claude-sonnet-4-5", month) for month in (2, 8)] == ["13.77", "15.3"]
    assert usd("claude-sonnet-4-5", 12, 2025) == "15.3"
    assert [usd("claude-opus-4-5", month) for month in (2, 4, 8)] == ["22.95", "19.125", "19.125"]
    assert usd("no-such-claude", 2) is None
    key = PriceKey("anthropic", "claude-sonnet-4-5")
    year = Window(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2027, 1, 1, tzinfo=UTC))
    changes = price_changes(book.table_for([key]), year)
    assert [(change.at.month, round(change.ratios["output"], 3)) for change in changes] == [(1, 0.9), (7, 1.111)]
    assert price_changes(PriceBook().table_for([key]), year) == []


@pytest.mark.parametrize(
    "more",
    [
        "usd_per_million: {input: '1', output: '1'}, percent_off_list: '10'",
        "percent_off_list: '0'",
        "percent_off_list: '10', usd_per_request: '1'",
        "percent_off_list: '10', effective_until: 2025-01-01T00:00:00Z",
    ],
)
def test_a_price_is_one_kind(more: str, tmp_path: Path) -> None:
    """Rates or a discount, above zero, that ends after it begins."""
    path = tmp_path / "prices.yaml"
    path.write_text(f"prices: [{{provider: a, model: b, effective_from: 2026-01-01T00:00:00Z, {more}}}]")
    with pytest.raises(BadInput, match="prices"):
        load_overrides(path)
