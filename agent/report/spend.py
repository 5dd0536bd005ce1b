"""What the week cost: by the hour against the same hours of earlier weeks, by team against the week before."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from agent.report.week import instant
from store.model.summary import SpendPoint
from store.model.usage import Cube, Window

HISTORY_WEEKS = 4
"""How many earlier weeks the expected spend is read from."""

_HOUR = timedelta(hours=1)


class _Running(NamedTuple):
    """The spend up to each bucket: `starts` sorted, `totals[i]` the sum of all buckets before `starts[i]`."""

    starts: npt.NDArray[np.int64]
    totals: npt.NDArray[np.int64]

    def between(self, start: datetime, end: datetime) -> int:
        low, high = np.searchsorted(self.starts, [int(start.timestamp()), int(end.timestamp())])
        return int(self.totals[high] - self.totals[low])


def earlier(window: Window, zone: ZoneInfo, *, weeks: int) -> Window:
    """The same wall-clock span so many weeks earlier."""
    return Window(start=_weeks_back(window.start, zone, weeks), end=_weeks_back(window.end, zone, weeks))


def hourly(actual: Cube, history: Cube, window: Window, zone: ZoneInfo) -> tuple[SpendPoint, ...]:
    """One point for each hour of the window that begins in it.

    Expected spend (`baseline_nanos`) is the median of the same wall-clock hour in up to HISTORY_WEEKS earlier
    weeks, of those for which `history` reaches back; 0 where none does. Both cubes hold cost_nanos in buckets
    that divide an hour.
    """
    now, past = _running(actual), _running(history)
    points = []
    start = window.start
    while start < window.end:
        points.append(
            SpendPoint(
                at=start,
                actual_nanos=now.between(start, start + _HOUR),
                baseline_nanos=_median(_same_hours(past, start, zone)),
            )
        )
        start += _HOUR
    return tuple(points)


def by_team(week: Cube, before: Cube) -> tuple[tuple[str, int, int], ...]:
    """(team, spend, spend the week before) in nano-USD, largest first; both cubes have the dimension team."""
    now, past = _per_team(week), _per_team(before)
    rows = [(team, now.get(team, 0), past.get(team, 0)) for team in now.keys() | past.keys()]
    return tuple(sorted(rows, key=lambda row: (-row[1], -row[2], row[0])))


def cash_by_team(week: Cube) -> tuple[tuple[str, int], ...]:
    """(team, marginal cash) of the teams whose spend is not all cash: seats, commitments, capacity; sorted."""
    spent, cash = _per_team(week), _per_team(week, "cash_nanos")
    return tuple((team, cash.get(team, 0)) for team in sorted(spent) if cash.get(team, 0) != spent[team])


def _running(cube: Cube) -> _Running:
    starts, place = np.unique(cube.bucket, return_inverse=True)
    sums = np.zeros(len(starts), dtype=np.int64)
    np.add.at(sums, place, cube.measures["cost_nanos"])
    return _Running(starts=starts, totals=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sums)]))


def _same_hours(past: _Running, start: datetime, zone: ZoneInfo) -> list[int]:
    hours = [_weeks_back(start, zone, back) for back in range(1, HISTORY_WEEKS + 1)]
    known = [hour for hour in hours if len(past.starts) and hour.timestamp() >= past.starts[0]]
    return [past.between(hour, hour + _HOUR) for hour in known]


def _weeks_back(moment: datetime, zone: ZoneInfo, weeks: int) -> datetime:
    wall = moment.astimezone(zone).replace(tzinfo=None, fold=0)
    return instant(wall - timedelta(weeks=weeks), zone).astimezone(UTC)


def _median(values: Sequence[int]) -> int:
    ordered = sorted(values)
    if not ordered:
        return 0
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def _per_team(cube: Cube, measure: str = "cost_nanos") -> dict[str, int]:
    sums = np.zeros(len(cube.values["team"]), dtype=np.int64)
    np.add.at(sums, cube.codes["team"], cube.measures[measure])
    return {team: int(nanos) for team, nanos in zip(cube.values["team"], sums, strict=True) if nanos}
