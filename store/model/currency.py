"""Currencies: what one unit of another currency was in USD, from a date on. Without a dated rate there is no USD."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from store.model.money import to_nanos


class CurrencyRate(BaseModel):
    """USD per unit of a currency, from `effective_from` until the next rate of that currency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str = Field(pattern=r"^[A-Z][A-Z0-9_]{1,19}$")
    """ISO 4217 ("EUR"), or a provider's virtual currency ("CREDITS")."""
    effective_from: AwareDatetime
    usd: Decimal = Field(gt=0, le=10**6)
    """USD per unit, written as a decimal string so that no float rounds it."""


def usd_nanos_of(amount: Decimal, currency: str, moment: datetime, rates: Sequence[CurrencyRate]) -> int | None:
    """The amount in nano-USD, rounded half-even once; None where no rate was in force at the moment."""
    if currency == "USD":
        return to_nanos(amount)
    known = [rate for rate in rates if rate.currency == currency and rate.effective_from <= moment]
    if not known:
        return None
    return to_nanos(amount * max(known, key=lambda rate: rate.effective_from).usd)
