"""From the hours of an incident to a day: how much busier the next day is than the hours that were seen.

A fault that makes each request dearer costs most when most requests are made: three hours of a morning times eight are
no day. What a thief or a loop does keeps its own hours, and goes on as it was.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from playbooks.replay.outcome import numbers
from store.model.incident import Cause
from store.model.usage import RecordTable, Window, to_us

OWN_HOURS: frozenset[Cause] = frozenset({"agent_loop", "leaked_key", "denial_of_wallet", "batch_backfill"})
"""Causes whose traffic is not that of the application's users: it keeps no hours of theirs."""

PPM = 10**6
_MINUTE_US = 60 * 10**6
_HOUR_US = 60 * _MINUTE_US
_DAY = timedelta(days=1)
_ENOUGH = 30
"""So many requests of the same kind of hours must have been seen to tell how busy they are."""

_CHANCE = 3.0
"""Standard deviations of a count."""

_Floats = npt.NDArray[np.float64]


class Season(NamedTuple):
    """How busy the hours normally are: requests per microsecond, by hour of the day on working days, then weekends."""

    rate: _Floats
    counted: _Floats
    """How many requests each of the 48 rates was taken from."""

    def expected(self, start_us: int, end_us: int) -> float:
        """Requests in a span; NaN where one of its hours was never seen."""
        hours = _hours(start_us, end_us)
        return float((self.rate[_kinds(hours)] * _inside(hours, start_us, end_us)).sum())

    def knows(self, window: Window) -> bool:
        """Whether enough requests were seen at the hours of the window."""
        touched = np.unique(_kinds(_hours(window.start_us, window.end_us)))
        return bool(self.counted[touched].sum() >= _ENOUGH and self.expected(window.start_us, window.end_us) > 0)


def season_of(reference: RecordTable) -> Season:
    """The season of the reference's records (UTC), which may be cut at their beginning; there is at least one."""
    at_us = numbers(reference, "occurred_us")
    start_us = int(at_us[0]) if reference.cut else reference.window.start_us
    requests = np.bincount(_kinds(at_us), weights=numbers(reference, "requests"), minlength=48)
    hours = _hours(start_us, reference.window.end_us)
    covered = np.bincount(_kinds(hours), weights=_inside(hours, start_us, reference.window.end_us), minlength=48)
    rate = np.divide(requests, covered, out=np.full(48, np.nan), where=covered > 0)
    return Season(rate, requests.astype(np.float64))


def day_over_window(reference: RecordTable, window: Window, now: datetime, *, seen: int) -> int | None:
    """Requests of the next day over those of the window, in millionths; None: not enough is known.

    Where the window `seen` had as many requests as it normally has, but for chance, the day will have as many as it
    normally has: over the few that came, which would else carry their chance into the whole day. Where it had clearly
    more or fewer, the day is taken to have so many times more or fewer than normal, too.
    """
    season = season_of(reference) if reference.rows else None
    if season is None or not season.knows(window):
        return None
    normal, day = season.expected(window.start_us, window.end_us), season.expected(to_us(now), to_us(now + _DAY))
    usual = seen > 0 and abs(seen - normal) <= _CHANCE * normal**0.5
    return round(day / (seen if usual else normal) * PPM) if np.isfinite(day) else None


def limited_day_over_window(
    records: RecordTable, reference: RecordTable, window: Window, now: datetime, *, per_minute: int
) -> int | None:
    """What a limit refuses in the next day over what it refuses in the window, in millionths; None: not enough known.

    A limit refuses much at noon and nothing at night, so that a busier day is not simply more of the same. Each hour of
    the day is as much busier than normal as the window was, and its minutes are as uneven as the window's.
    """
    season = season_of(reference) if reference.rows else None
    minutes = np.bincount(
        (numbers(records, "occurred_us") - window.start_us) // _MINUTE_US, minlength=max(1, int(window.seconds // 60))
    )
    refused = float(np.maximum(minutes - per_minute, 0).sum())
    if season is None or not season.knows(window) or refused == 0:
        return None
    times = float(minutes.sum()) / season.expected(window.start_us, window.end_us)
    uneven = minutes / minutes.mean()
    day = 0.0
    for n in range(24):
        start_us = to_us(now) + n * _HOUR_US
        each_minute = season.expected(start_us, start_us + _HOUR_US) / 60 * times
        day += 60 * float(np.maximum(uneven * each_minute - per_minute, 0).mean())
    return round(day / refused * PPM) if np.isfinite(day) else None


def _hours(start_us: int, end_us: int) -> npt.NDArray[np.int64]:
    return np.arange(start_us // _HOUR_US, -(-end_us // _HOUR_US)) * _HOUR_US


def _inside(hours: npt.NDArray[np.int64], start_us: int, end_us: int) -> _Floats:
    """How much of each hour lies in the span, in microseconds."""
    return np.asarray(np.minimum(hours + _HOUR_US, end_us) - np.maximum(hours, start_us), dtype=np.float64).clip(0)


def _kinds(at_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The hour of the day, plus 24 at weekends. The epoch was a Thursday."""
    weekday = (at_us // (24 * _HOUR_US) + 3) % 7
    return at_us // _HOUR_US % 24 + 24 * (weekday >= 5)
