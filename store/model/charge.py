"""Charges: money that no token brings about. Seats, commitments and capacity cost the same however much is used.

Three amounts that are never added to each other: at list price, as contracted, and as billed.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from store.model.budget import Part, Period, parts_of, period_window
from store.model.currency import CurrencyRate, usd_nanos_of
from store.model.usage import TOTAL, Scope, Window

ChargeKind = Literal["seats", "commitment", "provisioned", "credit", "tax", "support", "other"]

_MOST = Decimal(10**9)


class Charge(BaseModel):
    """A dated charge: once for [starts_at, ends_at), or the same amount every calendar period of that span."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    """Tells it from every other; importing a name again replaces it."""
    kind: ChargeKind
    provider: str = Field(min_length=1, max_length=200)
    scope: Scope = TOTAL
    """Whom it is for: {team: platform}; {} where it is everybody's."""
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = None
    """None: until it is removed; a charge that is made once needs an end."""
    every: Period | None = None
    """None: once. A calendar period that it covers in part is charged in proportion to time."""
    amount: Decimal = Field(ge=-_MOST, le=_MOST)
    """What is billed, each time; below zero for a credit. Write it as a decimal string."""
    contracted: Decimal | None = Field(default=None, ge=-_MOST, le=_MOST)
    """What the contract says, where that is not what is billed."""
    list_price: Decimal | None = Field(default=None, ge=-_MOST, le=_MOST)
    """What it would be at list price, where that is another amount."""
    currency: str = Field(default="USD", pattern=r"^[A-Z][A-Z0-9_]{1,19}$")
    quantity: Decimal | None = None
    """How many seats or units; shown, and in no sum."""
    origin: str = "config"

    @model_validator(mode="after")
    def _dated(self) -> "Charge":
        if self.ends_at is None and self.every is None:
            raise ValueError(f"charge {self.name!r} is made once: it needs ends_at, or `every: month`")
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            raise ValueError(f"charge {self.name!r} ends ({self.ends_at}) before it starts ({self.starts_at})")
        return self


class ChargeAmounts(BaseModel):
    """What a charge comes to in a window, in nano-USD.

    `billed`: of the periods that begin in the window, whole. `effective`: the share of the window in time. None where
    a period's currency has no rate: then `unconverted` holds the amount in that currency.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    charge: Charge
    billed_nanos: int | None
    contracted_nanos: int | None
    list_nanos: int | None
    effective_nanos: int | None
    unconverted: Decimal = Decimal(0)


def amounts_in(charge: Charge, window: Window, rates: Sequence[CurrencyRate]) -> ChargeAmounts | None:
    """The charge's amounts in a window; None where it has nothing to do with it.

    The effective amounts of windows that follow each other add up to what was billed, exactly.
    """
    parts = [part for part in _charged(charge, window.end) if part.end > window.start]
    if not parts:
        return None
    begun = [part for part in parts if window.start <= part.start]
    contracted = charge.amount if charge.contracted is None else charge.contracted
    listed = contracted if charge.list_price is None else charge.list_price

    def whole(part: Part, amount: Decimal) -> int | None:
        return usd_nanos_of(amount, charge.currency, part.start, rates)

    def billed(amount: Decimal) -> int | None:
        return _sum((part, whole(part, amount)) for part in begun)

    return ChargeAmounts(
        charge=charge,
        billed_nanos=billed(charge.amount),
        contracted_nanos=billed(contracted),
        list_nanos=billed(listed),
        effective_nanos=_sum((_cut(part, window), whole(part, charge.amount)) for part in parts),
        unconverted=charge.amount * sum(whole(part, charge.amount) is None for part in begun),
    )


def _charged(charge: Charge, until: datetime) -> list[Part]:
    """Each span that is charged for, up to those that begin before `until`."""
    if charge.every is None:
        assert charge.ends_at is not None
        whole = Window(start=charge.starts_at, end=charge.ends_at)
        return [Part(whole.start, whole.end, whole)] if whole.start < until else []
    last = period_window(charge.every, until).end
    end = last if charge.ends_at is None else min(charge.ends_at, last)
    return [part for part in parts_of(charge.every, charge.starts_at, end) if part.start < until]


def _cut(part: Part, window: Window) -> Part:
    return Part(max(part.start, window.start), min(part.end, window.end), part.period)


def _sum(parts: Iterable[tuple[Part, int | None]]) -> int | None:
    """The parts' shares of their whole amounts; None where one of the amounts is not known."""
    total = 0
    for part, nanos in parts:
        if nanos is None:
            return None
        total += part.of(nanos)
    return total
