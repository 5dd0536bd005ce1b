"""Budgets: how much a part of the traffic may spend in each calendar period, and how it stands against that."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from store.model.money import to_nanos
from store.model.usage import Scope, Window, to_us

Period = Literal["day", "week", "month", "quarter", "year"]
"""Calendar periods in UTC; a week begins on Monday."""

_MONTHS: dict[Period, int] = {"month": 1, "quarter": 3, "year": 12}


class Budget(BaseModel):
    """An amount for one scope in every calendar period; spend is counted at what the price book says (`cost`).

    Of budgets with one scope and period that overlap, each is judged by itself: nothing is added up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    """Tells it from every other; importing a name again replaces it."""
    scope: Scope
    period: Period
    usd_nanos: int = Field(gt=0, le=2**62)
    starts_at: AwareDatetime | None = None
    """In force from then on; None: always was."""
    ends_at: AwareDatetime | None = None
    """No longer in force from then on; None: until it is removed."""
    origin: str = "config"
    """Where it was written: "config", or the name of the imported file."""

    @model_validator(mode="before")
    @classmethod
    def _in_usd(cls, value: object) -> object:
        """People write `usd: "500"`."""
        if isinstance(value, dict) and "usd" in value and "usd_nanos" not in value:
            return {**{k: v for k, v in value.items() if k != "usd"}, "usd_nanos": to_nanos(str(value["usd"]))}
        return value

    @model_validator(mode="after")
    def _ordered(self) -> "Budget":
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise ValueError(f"budget {self.name!r} ends ({self.ends_at}) before it starts ({self.starts_at})")
        return self

    def in_force(self, moment: datetime) -> bool:
        """Whether it holds at that moment."""
        return (self.starts_at is None or self.starts_at <= moment) and (self.ends_at is None or moment < self.ends_at)

    def window(self, moment: datetime) -> Window:
        """The whole calendar period that holds the moment."""
        return period_window(self.period, moment)

    def share_nanos(self, window: Window) -> int:
        """The part of the budget that falls into the window, in proportion to time, each period by its own length.

        Whole nano-USD; the shares of windows that follow each other add up exactly. Time in which it was not in force
        has no part.
        """
        start = max(window.start, self.starts_at) if self.starts_at else window.start
        end = min(window.end, self.ends_at) if self.ends_at else window.end
        return sum(part.of(self.usd_nanos) for part in parts_of(self.period, start, end))


class Part(NamedTuple):
    """The part [start, end) of one calendar period."""

    start: datetime
    end: datetime
    period: Window

    def of(self, amount: int) -> int:
        """Its share of a whole amount, by time; the shares of parts that follow each other add up exactly."""
        whole = self.period.end_us - self.period.start_us
        first, last = to_us(self.start) - self.period.start_us, to_us(self.end) - self.period.start_us
        return amount * last // whole - amount * first // whole


def parts_of(period: Period, start: datetime, end: datetime) -> Iterator[Part]:
    """The span [start, end) cut at the ends of calendar periods; nothing where it is empty."""
    while start < end:
        whole = period_window(period, start)
        until = min(whole.end, end)
        yield Part(start, until, whole)
        start = until


def period_window(period: Period, moment: datetime) -> Window:
    """The calendar period (UTC) that holds the moment, half-open."""
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return Window(start=midnight, end=midnight + timedelta(days=1))
    if period == "week":
        monday = midnight - timedelta(days=midnight.weekday())
        return Window(start=monday, end=monday + timedelta(days=7))
    months = _MONTHS[period]
    start = midnight.replace(day=1, month=(midnight.month - 1) // months * months + 1)
    return Window(start=start, end=_months_later(start, months))


def budgets_in_force(budgets: Iterable[Budget], moment: datetime) -> list[Budget]:
    """Those that hold at the moment, by name."""
    return sorted((one for one in budgets if one.in_force(moment)), key=lambda one: one.name)


def _months_later(first: datetime, months: int) -> datetime:
    at = first.month - 1 + months
    return first.replace(year=first.year + at // 12, month=at % 12 + 1)
