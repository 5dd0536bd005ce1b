"""The price book: dated prices from genai-prices (bundled data, never the network) under the operator's overrides.

What the library leaves out is filled from the two rule tables below. Sources: FIELD.md 5.1 (list prices, multipliers)
and 5.3 (cache rules), which cite the providers' price pages.

Limits: a price that depends on the time of day (DeepSeek) is taken at its dearest; an hourly storage fee for explicit
caches, audio and image units and paid tools (web search) are not priced.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, StartDateConstraint, TieredPrices

from store.model.money import to_nanos
from store.model.ports import Warehouse
from store.model.prices import Price, PriceKey, PriceTable, Rates
from store.model.usage import NONE, UsageRecord
from store.price_overrides import Override, timeline

CACHE_RULES: dict[str, tuple[str, str, str]] = {
    # Anthropic: read 0.1x, 5-minute write 1.25x, 1-hour write 2x of the input rate.
    "anthropic": ("0.1", "1.25", "2"),
    # OpenAI before GPT-5.6 and Gemini's implicit cache: a write has no premium, so it costs what input costs. A model
    # whose data names no cached rate has no discount: its cached tokens are billed as input.
    "": ("1", "1", "1"),
}
"""(read, 5-minute write, 1-hour write) as multiples of the input rate, where the data has no rate of its own."""

MULTIPLIER_RULES: tuple[tuple[str, str, str, str], ...] = (
    # Batch halves the price at Anthropic, OpenAI and Google.
    ("anthropic", "", "batch", "0.5"),
    ("openai", "", "batch", "0.5"),
    ("google", "", "batch", "0.5"),
    # Fast mode: 6x on Opus 4.6, 2x on Opus 5.
    ("anthropic", "claude-opus-4-6", "fast", "6"),
    ("anthropic", "claude-opus-5", "fast", "2"),
)
"""(provider, model or "" for all, service tier or speed, factor), where the data has no variant of its own."""

_PROVIDER_NAMES = {"azure_ai": "azure", "azure_text": "azure", "fireworks_ai": "fireworks", "xai": "x-ai"}
"""Gateways' names of providers that the library does not recognise by itself."""

_PASS_THROUGH = frozenset({NONE, "", "litellm", "litellm_proxy", "openai_like", "custom_openai"})
"""Provider names that say nothing about who answered: only there is the provider guessed from the model's name."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_HALF_HOURS = tuple(timedelta(minutes=30 * at) for at in range(48))
_MOST_REMEMBERED = 20_000
_COST_AT = UsageRecord._fields.index("cost_nanos")


class PriceBook:
    """Looks prices up lazily and remembers them. An unknown model is absent from every table, never free."""

    def __init__(self, overrides: Sequence[Override] = ()) -> None:
        self._overrides = tuple(sorted(overrides, key=lambda one: one.effective_from))
        self._snapshot: DataSnapshot = get_snapshot()
        self._known: dict[PriceKey, tuple[Price, ...]] = {}

    def table_for(self, keys: Iterable[PriceKey]) -> PriceTable:
        """The dated prices of those of the keys that are known."""
        found = {key: self._prices(key) for key in dict.fromkeys(keys)}
        return PriceTable(prices={key: prices for key, prices in found.items() if prices})

    def _prices(self, key: PriceKey) -> tuple[Price, ...]:
        if key not in self._known:
            if len(self._known) >= _MOST_REMEMBERED:  # model names come from traffic: their number has no bound
                self._known.clear()
            self._known[key] = self._look_up(key)
        return self._known[key]

    def _look_up(self, key: PriceKey) -> tuple[Price, ...]:
        listed = _listed(self._snapshot, key)
        ours = [one for one in self._overrides if one.covers(key)]
        if not ours:
            return listed
        return timeline(listed, ours, CACHE_RULES[_cache_family(key.provider, key.model)])


def price(records: Iterable[UsageRecord], table: PriceTable) -> list[UsageRecord]:
    """The records with `cost_nanos` as the table has it; None where the model has no price at that time."""
    # A slice is four times faster than _replace on 50 fields, and this runs for every record that comes in.
    return [UsageRecord._make((*one[:_COST_AT], table.cost(one), *one[_COST_AT + 1 :])) for one in records]


def price_keys(records: Iterable[UsageRecord]) -> set[PriceKey]:
    """What the prices of the records are looked up by."""
    return {PriceKey(provider, model) for provider, model in {(one.provider, one.model) for one in records}}


def reprice(warehouse: Warehouse, book: PriceBook) -> int:
    """Price the warehouse's unpriced rows whose model the book knows by now; how many. Roll up afterwards."""
    return warehouse.reprice(book.table_for)


def _listed(snapshot: DataSnapshot, key: PriceKey) -> tuple[Price, ...]:
    for provider, model in _candidates(key):
        try:
            by, found = snapshot.find_provider_model(model, None, provider, None)
        except LookupError:
            continue
        dated = [_dated_price(by, found, start) for start in _starts(found)]
        return tuple(one for one in dated if one is not None)
    return ()


def _candidates(key: PriceKey) -> Iterable[tuple[str | None, str]]:
    """Ways to read a gateway's (provider, model), most literal first: "openrouter/qwen/x" names its provider first."""
    provider, model = key.provider.lower().strip(), key.model.strip()
    named = _PROVIDER_NAMES.get(provider, provider)
    head, slash, rest = model.partition("/")
    head = _PROVIDER_NAMES.get(head.lower(), head.lower())
    if provider not in _PASS_THROUGH:
        yield named, model
        if slash and head == named:
            yield named, rest
        return
    if slash:
        yield head, rest
    else:
        yield None, model


def _starts(model: ModelInfo) -> list[datetime]:
    conditional = [] if isinstance(model.prices, ModelPrice) else model.prices
    dates = {one.constraint.start_date for one in conditional if isinstance(one.constraint, StartDateConstraint)}
    return [_BEGINNING, *(datetime(day.year, day.month, day.day, tzinfo=UTC) for day in sorted(dates))]


def _dated_price(provider: Provider, model: ModelInfo, start: datetime) -> Price | None:
    offered = [model.get_prices(start + offset) for offset in _HALF_HOURS]
    dearest = max(offered, key=lambda one: _base(one.input_mtok) + _base(one.output_mtok))
    if dearest.input_mtok is None:
        return None
    rules = CACHE_RULES[_cache_family(provider.id, model.id)]
    limits = sorted(
        {tier.start for value in _token_prices(dearest) if isinstance(value, TieredPrices) for tier in value.tiers}
    )
    return Price(
        effective_from=start,
        rates=_rates(dearest, 0, rules),
        tiers=tuple((limit, _rates(dearest, limit + 1, rules)) for limit in limits),
        multipliers=_multipliers(provider, model),
    )


def _token_prices(prices: ModelPrice) -> tuple[Decimal | TieredPrices | None, ...]:
    return (
        prices.input_mtok,
        prices.cache_read_mtok,
        prices.cache_write_mtok,
        prices.cache_write_1h_mtok,
        prices.output_mtok,
    )


def _rates(prices: ModelPrice, input_tokens: int, rules: tuple[str, str, str]) -> Rates:
    uncached, read, write, write_1h, output = (_at(value, input_tokens) for value in _token_prices(prices))
    base = uncached or Decimal(0)
    by_rule = [base * Decimal(factor) for factor in rules]
    write_5m = by_rule[1] if write is None else write
    return Rates(
        input_uncached=to_nanos(base),
        cache_read=to_nanos(by_rule[0] if read is None else read),
        cache_write_5m=to_nanos(write_5m),
        cache_write_1h=to_nanos(max(by_rule[2], write_5m) if write_1h is None else write_1h),
        output=to_nanos(output or Decimal(0)),
        per_request=to_nanos((_at(prices.requests_kcount, 0) or Decimal(0)) / 1000),
    )


def _at(value: Decimal | TieredPrices | None, input_tokens: int) -> Decimal | None:
    if not isinstance(value, TieredPrices):
        return value
    above = [tier.price for tier in value.tiers if input_tokens > tier.start]
    return above[-1] if above else value.base


def _base(value: Decimal | TieredPrices | None) -> Decimal:
    return _at(value, 0) or Decimal(0)


def _multipliers(provider: Provider, model: ModelInfo) -> dict[str, str]:
    """By service tier or speed.

    A variant's start date is when the library first recorded it, not when the provider began to offer it, so a
    variant counts for the whole time of the model's price, as the factor that it is today. It holds at the provider
    that lists it, not at another one that resells the model.
    """
    found = {
        name: factor
        for of, of_model, name, factor in MULTIPLIER_RULES
        if of == provider.id and of_model in ("", model.id)
    }
    standard = model.get_prices(_starts(model)[-1])
    own = any(model is one for one in provider.models)
    for variant in (model.price_variants or ()) if own else ():
        (kind, name), *more = variant.when.items()
        factor = _base(variant.prices.input_mtok) / _base(standard.input_mtok) if _base(standard.input_mtok) else None
        if not more and kind in ("processing", "service_tier", "speed") and factor:
            found[name] = format(factor.normalize(), "f")
    return found


def _cache_family(provider: str, model: str) -> str:
    return "anthropic" if provider.lower() == "anthropic" or "claude" in model.lower() else ""
