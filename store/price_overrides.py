"""The operator's own prices: contracts, internal models, and list prices that the library does not have yet."""

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from store.errors import BadInput
from store.model.money import to_nanos
from store.model.prices import Price, PriceKey, Rates

Usd = Annotated[Decimal, Field(ge=0, le=1_000_000)]
"""USD, written as a decimal string ("0.30") so that no float rounds it."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UsdPerMillion(_Strict):
    """USD per million tokens of each class; an absent cache rate follows the rules of store.prices.CACHE_RULES."""

    input: Usd
    output: Usd
    cache_read: Usd | None = None
    cache_write_5m: Usd | None = None
    cache_write_1h: Usd | None = None

    def rates(self, rules: tuple[str, str, str], per_request: Decimal) -> Rates:
        """As nano-USD per million tokens; `rules` are (read, 5-minute write, 1-hour write) multiples of input."""
        given = (self.cache_read, self.cache_write_5m, self.cache_write_1h)
        read, write_5m, write_1h = (
            to_nanos(self.input * Decimal(rule) if own is None else own) for own, rule in zip(given, rules, strict=True)
        )
        return Rates(
            input_uncached=to_nanos(self.input),
            cache_read=read,
            cache_write_5m=write_5m,
            cache_write_1h=write_1h,
            output=to_nanos(self.output),
            per_request=to_nanos(per_request),
        )


class OverrideTier(_Strict):
    """The rates of a whole request with more than `above` input tokens, cached ones included."""

    above: Annotated[int, Field(gt=0)]
    usd_per_million: UsdPerMillion


class Override(_Strict):
    """One model's price from a moment on: its own rates, or the list price less a committed discount."""

    provider: str
    """As records have it; "*" means any."""
    model: str
    """As records have it; "*" means any, for a discount on everything of a provider."""
    effective_from: AwareDatetime
    effective_until: AwareDatetime | None = None
    """From then on the list price holds again; a model without a list price keeps its last price."""
    usd_per_million: UsdPerMillion | None = None
    percent_off_list: Annotated[Decimal, Field(gt=0, le=100)] | None = None
    """A committed discount: "12.5" is an eighth less than the list price of the moment."""
    usd_per_request: Usd = Decimal(0)
    tiers: tuple[OverrideTier, ...] = ()
    multipliers: dict[str, Annotated[Decimal, Field(ge=0, le=1000)]] = {}
    """By service tier or speed: {batch: "0.5"}."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Override":
        if (self.usd_per_million is None) == (self.percent_off_list is None):
            raise ValueError(f"the price of {self.model} needs usd_per_million or percent_off_list, and not both")
        if self.percent_off_list is not None and (self.usd_per_request or self.tiers or self.multipliers):
            raise ValueError(f"the discount on {self.model} takes requests, tiers and multipliers from the list price")
        if self.model == "*" and self.percent_off_list is None:
            raise ValueError('model "*" is for percent_off_list: models have prices of their own')
        if self.effective_until is not None and self.effective_until <= self.effective_from:
            raise ValueError(f"the price of {self.model} ends before it begins")
        return self

    def covers(self, key: PriceKey) -> bool:
        """Whether it is about that model."""
        return self.model.lower() in ("*", key.model.lower()) and self.provider.lower() in ("*", key.provider.lower())

    def in_force(self, moment: datetime) -> bool:
        """Whether it holds at that moment."""
        return self.effective_from <= moment and (self.effective_until is None or moment < self.effective_until)

    def price(self, rules: tuple[str, str, str], listed: Price | None) -> Price | None:
        """As the price table has it; `listed` is the list price of the moment. None: a discount on no price."""
        if self.percent_off_list is not None:
            return None if listed is None else _discounted(listed, 100 - self.percent_off_list)
        assert self.usd_per_million is not None
        tiers = sorted(self.tiers, key=lambda tier: tier.above)
        return Price(
            effective_from=self.effective_from,
            rates=self.usd_per_million.rates(rules, self.usd_per_request),
            tiers=tuple((tier.above, tier.usd_per_million.rates(rules, self.usd_per_request)) for tier in tiers),
            multipliers={name: format(factor, "f") for name, factor in self.multipliers.items()},
            origin="override",
        )


def timeline(listed: Sequence[Price], ours: Sequence[Override], rules: tuple[str, str, str]) -> tuple[Price, ...]:
    """The dated prices of one model: the list prices, and where an override is in force, that.

    Of several in force the one that names the model wins over "*", then the one that names the provider, then the
    newest. While one is in force a newer list price does not undo it, but moves what is a percentage of it.
    """
    moments = {price.effective_from for price in listed} | {one.effective_from for one in ours}
    moments |= {one.effective_until for one in ours if one.effective_until is not None}
    found: list[Price] = []
    for moment in sorted(moments):
        base = max((p for p in listed if p.effective_from <= moment), key=lambda p: p.effective_from, default=None)
        held = [one for one in ours if one.in_force(moment)]
        price = max(held, key=_precedence).price(rules, base) if held else base
        if price is None:
            continue
        price = price.model_copy(update={"effective_from": moment})
        if not found or price != found[-1].model_copy(update={"effective_from": moment}):
            found.append(price)
    return tuple(found)


def _precedence(one: Override) -> tuple[bool, bool, datetime]:
    return one.model != "*", one.provider != "*", one.effective_from


def _discounted(listed: Price, percent: Decimal) -> Price:
    def less(rates: Rates) -> Rates:
        return Rates(**{name: _share(nanos, percent) for name, nanos in rates.model_dump().items()})

    return Price(
        effective_from=listed.effective_from,
        rates=less(listed.rates),
        tiers=tuple((above, less(rates)) for above, rates in listed.tiers),
        multipliers=listed.multipliers,
        origin="override",
    )


def _share(nanos: int, percent: Decimal) -> int:
    return int((nanos * percent / 100).to_integral_value(ROUND_HALF_EVEN))


class _File(_Strict):
    prices: tuple[Override, ...]


def load_overrides(path: Path) -> tuple[Override, ...]:
    """Read `prices: [...]` from a YAML file.

    Raises:
        BadInput: the file cannot be read, is no YAML, or has a wrong key or value.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _File.model_validate(content).prices
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: the price file cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: the price file is not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top"
        raise BadInput(
            f"{path}: {where}: {first['msg']}; a price has provider, model, effective_from, effective_until, "
            "percent_off_list, or usd_per_million {input, output, cache_read, cache_write_5m, cache_write_1h}, "
            "usd_per_request, tiers, multipliers"
        ) from error
