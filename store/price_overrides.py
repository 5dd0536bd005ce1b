"""The operator's own prices: contracts, internal models, and list prices that the library does not have yet."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

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
    """One model's price from a moment on."""

    provider: str
    """As records have it; "*" means any."""
    model: str
    effective_from: AwareDatetime
    usd_per_million: UsdPerMillion
    usd_per_request: Usd = Decimal(0)
    tiers: tuple[OverrideTier, ...] = ()
    multipliers: dict[str, Annotated[Decimal, Field(ge=0, le=1000)]] = {}
    """By service tier or speed: {batch: "0.5"}."""

    def covers(self, key: PriceKey) -> bool:
        """Whether it is about that model."""
        same = self.model.lower() == key.model.lower()
        return same and self.provider.lower() in ("*", key.provider.lower())

    def price(self, rules: tuple[str, str, str]) -> Price:
        """As the price table has it."""
        tiers = sorted(self.tiers, key=lambda tier: tier.above)
        return Price(
            effective_from=self.effective_from,
            rates=self.usd_per_million.rates(rules, self.usd_per_request),
            tiers=tuple((tier.above, tier.usd_per_million.rates(rules, self.usd_per_request)) for tier in tiers),
            multipliers={name: format(factor, "f") for name, factor in self.multipliers.items()},
            origin="override",
        )


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
            f"{path}: {where}: {first['msg']}; a price has provider, model, effective_from, usd_per_million "
            "{input, output, cache_read, cache_write_5m, cache_write_1h}, usd_per_request, tiers, multipliers"
        ) from error
