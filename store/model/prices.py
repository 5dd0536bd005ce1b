"""Prices: what a token of each class cost at a moment. Rates are integer nano-USD per million tokens."""

from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict

from store.model.usage import UsageRecord, to_us


class Rates(BaseModel):
    """Nano-USD per million tokens of each disjoint class, and per request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    per_request: int = 0

    def cost(self, tokens: tuple[int, int, int, int, int], requests: int = 1) -> int:
        """Nano-USD for tokens in the order of TOKEN_CLASSES, rounded half-even once."""
        # Written out: this runs for every record that comes in, and a loop takes three times as long.
        exact = (
            tokens[0] * self.input_uncached
            + tokens[1] * self.cache_read
            + tokens[2] * self.cache_write_5m
            + tokens[3] * self.cache_write_1h
            + tokens[4] * self.output
        )
        whole, rest = divmod(exact, 10**6)
        up = rest > 500_000 or (rest == 500_000 and whole % 2 == 1)
        return whole + up + requests * self.per_request

    def by_class(self) -> tuple[int, int, int, int, int]:
        """The five rates in the order of TOKEN_CLASSES."""
        return (self.input_uncached, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.output)


class Price(BaseModel):
    """The price of one model from a date on.

    `tiers`: (above this many input tokens, the rates of the whole request), ascending.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    effective_from: AwareDatetime
    rates: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()
    multipliers: dict[str, str] = {}
    """By service tier or speed, as decimal text: {"batch": "0.5", "fast": "6"}."""
    origin: str = "genai-prices"

    @cached_property
    def effective_us(self) -> int:
        """`effective_from` in microseconds since the epoch."""
        return to_us(self.effective_from)

    def rates_for(self, input_tokens: int) -> Rates:
        """The rates of a request with that many input tokens, cached ones included."""
        chosen = self.rates
        for above, rates in self.tiers:
            if input_tokens > above:
                chosen = rates
        return chosen


class PriceKey(NamedTuple):
    """What a price is looked up by."""

    provider: str
    model: str


class PriceTable(BaseModel):
    """Dated prices of the models that were asked for; a model that nobody knows is absent, never free."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prices: dict[PriceKey, tuple[Price, ...]]
    """Sorted by effective_from."""

    def price_at(self, key: PriceKey, moment_us: int) -> Price | None:
        """The price in force, or None where the model is unknown or had no price yet."""
        found = None
        for price in self.prices.get(key, ()):
            if price.effective_us <= moment_us:
                found = price
        return found

    def cost(self, record: UsageRecord) -> int | None:
        """List cost of a record in nano-USD at `occurred_us`, or None where the model has no price."""
        price = self.price_at(PriceKey(record.provider, record.model), record.occurred_us)
        if price is None:
            return None
        tokens = token_counts(record)
        # A provider bucket holds many requests: its tier is that of the average one.
        context = sum(tokens[:4]) // max(record.requests, 1)
        nanos = price.rates_for(context).cost(tokens, record.requests)
        for name in (record.service_tier, record.speed):
            nanos = scale(nanos, price.multipliers.get(name, "1"))
        return nanos


def scale(nanos: int, factor: str) -> int:
    """Nano-USD times a decimal factor given as text, rounded half-even."""
    return nanos if factor == "1" else int((nanos * Decimal(factor)).to_integral_value(ROUND_HALF_EVEN))


def token_counts(record: UsageRecord) -> tuple[int, int, int, int, int]:
    """The record's tokens in the order of TOKEN_CLASSES."""
    return (record.input_uncached, record.cache_read, record.cache_write_5m, record.cache_write_1h, record.output)
