"""The comparison, cell by cell: provider, model and day, and within these by team where both sides know teams."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import NamedTuple

from agent.reconciling.amounts import NOTHING, Amounts, Tokens
from agent.reconciling.books import DAY, Place, Reported
from agent.reconciling.differences import Difference, invoice_differences, usage_differences
from store.model.usage import NONE, Window

ALL = "(all)"
"""Stands for every model or team where the two sides share no names."""

RatesOf = Callable[[str, str, int], Tokens | None]
"""(provider, plain model, day) -> the price by token class on that day, or None; a day is numbered since the epoch."""


class Cell(NamedTuple):
    """One provider, model, day and team: two amounts and why they differ.

    In a usage cell `left` is what the gateway saw and `right` what the provider counted; the differences add up to
    left - right, in tokens and in `cost_nanos`. In a bill cell `left` is the usage and `right` the invoice; they add
    up to right.billed_nanos - left.cost_nanos.
    """

    provider: str
    model: str
    day: date
    team: str
    left: Amounts
    right: Amounts
    differences: tuple[Difference, ...]


def usage_cells(
    gateway: Mapping[Place, Amounts], counted: Mapping[str, Reported], *, month: Window, rates_of: RatesOf
) -> list[Cell]:
    """The gateway against every provider that counts, in order of (provider, model, day, team).

    Both reach half a day further than the month on either side, for providers whose days are not UTC's.
    """
    cells = []
    for provider, theirs in sorted(counted.items()):
        ours = _of(provider, gateway)
        into = _Sums(ours, theirs.rows, month)
        late = {place: amounts for place, amounts in ours.items() if place.hour >= theirs.until}
        seen, aligned = into.sums(ours, theirs.utc_day), into.sums(ours, theirs.day_of)
        reported, missed = into.sums(theirs.rows, theirs.day_of), into.sums(late, theirs.day_of)
        for key in sorted(seen.keys() | aligned.keys() | reported.keys()):
            left, right = seen.get(key, NOTHING), reported.get(key, NOTHING)
            apart = usage_differences(
                left,
                aligned=aligned.get(key, NOTHING),
                late=missed.get(key, NOTHING),
                theirs=right,
                rates=rates_of(provider, key.model, key.day),
            )
            cells.append(_cell(provider, key, left, right, apart))
    return cells


def bill_cells(
    gateway: Mapping[Place, Amounts], counted: Mapping[str, Reported], billed: Mapping[str, Reported], *, month: Window
) -> list[Cell]:
    """Every provider that bills: what it counted (or the gateway, where it counts nothing) against its invoice."""
    cells = []
    for provider, bill in sorted(billed.items()):
        own = counted.get(provider)
        usage = own.rows if own else _of(provider, gateway)
        into = _Sums(usage, bill.rows, month)
        used = into.sums(usage, bill.day_of if own is None or bill.by_month else own.day_of)
        lines = into.sums(bill.rows, bill.day_of)
        last = bill.day_of(bill.until - 1)
        for key in sorted(used.keys() | lines.keys()):
            left, right = used.get(key, NOTHING), lines.get(key)
            apart = invoice_differences(left, right, covered=key.day <= last)
            cells.append(_cell(provider, key, left, right or NOTHING, apart))
    return cells


class _Key(NamedTuple):
    model: str
    day: int
    team: str


class _Sums:
    """Sums of two sides over the finest cells that both have names for."""

    def __init__(self, left: Mapping[Place, Amounts], right: Mapping[Place, Amounts], month: Window) -> None:
        self._days = range(month.start_us // 10**6 // DAY, month.end_us // 10**6 // DAY)
        self._by_model = bool({place.model for place in left} & {place.model for place in right} - {NONE})
        self._by_team = _without_team(right) <= _without_team(left)

    def sums(self, rows: Mapping[Place, Amounts], day_of: Callable[[int], int]) -> dict[_Key, Amounts]:
        found: dict[_Key, Amounts] = {}
        for place, amounts in rows.items():
            day = day_of(place.hour)
            if day in self._days:
                key = _Key(place.model if self._by_model else ALL, day, place.team if self._by_team else ALL)
                found[key] = found.get(key, NOTHING).plus(amounts)
        return found


def _without_team(rows: Mapping[Place, Amounts]) -> float:
    """The share of the rows' volume that has no team, to the hundredth: who knows less cannot be compared by team."""
    volume = [(place.team, sum(amounts.tokens) or abs(amounts.billed_nanos)) for place, amounts in rows.items()]
    whole = sum(size for _, size in volume)
    return round(sum(size for team, size in volume if team == NONE) / whole, 2) if whole else 0.0


def _of(provider: str, rows: Mapping[Place, Amounts]) -> dict[Place, Amounts]:
    return {place: amounts for place, amounts in rows.items() if place.provider == provider}


def _cell(provider: str, key: _Key, left: Amounts, right: Amounts, apart: Iterable[Difference]) -> Cell:
    day = datetime.fromtimestamp(key.day * DAY, UTC).date()
    return Cell(provider, key.model, day, key.team, left, right, tuple(apart))
