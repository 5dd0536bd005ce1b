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
from store.model.usage import NONE, RecordTable, Window, to_us

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

_MOST_COPIES = 50
_APART_MINUTES = 7
_GOLDEN = (5**0.5 - 1) / 2

_Floats = npt.NDArray[np.float64]


class Season(NamedTuple):
    """How busy the hours normally are: requests per microsecond, by hour of the day on working days, then weekends."""

    rate: _Floats
    counted: _Floats
    """How many requests each of the 48 rates was taken from."""
    unrest: float
    """How far whole hours stray from their rate beyond the chance of a count: the square of their share of it."""

    def expected(self, start_us: int, end_us: int) -> float:
        """Requests in a span; NaN where one of its hours was never seen."""
        hours = _hours(start_us, end_us)
        return float((self.rate[_kinds(hours)] * _inside(hours, start_us, end_us)).sum())

    def chance(self, start_us: int, end_us: int) -> float:
        """The standard deviation of the requests in a span: of a count, and of hours that are busy by themselves."""
        hours = _hours(start_us, end_us)
        each = self.rate[_kinds(hours)] * _inside(hours, start_us, end_us)
        return float((each.sum() + self.unrest * (each**2).sum()) ** 0.5)

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
    return Season(rate, requests.astype(np.float64), _unrest(reference, rate, start_us))


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
    usual = seen > 0 and abs(seen - normal) <= _CHANCE * season.chance(window.start_us, window.end_us)
    return round(day / (seen if usual else normal) * PPM) if np.isfinite(day) else None


def limited_day_over_window(
    records: RecordTable, reference: RecordTable, window: Window, now: datetime, *, per_minute: int
) -> int | None:
    """What a limit refuses in the next day over what it refuses in the window, in millionths; None: not enough known.

    A limit refuses much at noon and nothing at night, so that a busier day is not simply more of the same. Each hour of
    the day has as many of the window's calls as it is normally busier or quieter than the window's hours: whole calls
    with all their attempts, which come close together however few there are. An hour is as likely to be busier than
    normal as quieter, by its unrest, and a limit refuses more in the one than it spares the other.
    """
    season = season_of(reference) if reference.rows else None
    if season is None or not season.knows(window):
        return None
    length = max(1, int(window.seconds // 60))
    minute = ((numbers(records, "occurred_us") - window.start_us) // _MINUTE_US).clip(0, length - 1)
    refused = _refused(np.bincount(minute, minlength=length), per_minute)
    if refused == 0:
        return None
    lot, day = _lots(records), 0.0
    an_hour = season.expected(window.start_us, window.end_us) / window.seconds * 3600
    for n in range(24):
        start_us = to_us(now) + n * _HOUR_US
        times = season.expected(start_us, start_us + _HOUR_US) / an_hour
        if not np.isfinite(times):
            return None
        for level in (1 - season.unrest**0.5, 1 + season.unrest**0.5):
            counts = _at_times(minute, lot, length, max(0.0, times * level))
            day += _refused(counts, per_minute) / length * 60 / 2
    return round(day / refused * PPM)


def _at_times(
    minute: npt.NDArray[np.int64], lot: _Floats, length: int, times: float
) -> npt.NDArray[np.int64] | _Floats:
    """Requests by minute if the window's calls came so many times: copies that begin at other minutes, and a part."""
    counts = np.bincount(minute, minlength=length)
    if times > _MOST_COPIES:
        return np.asarray(counts * times)
    whole = int(times)
    found = np.bincount(minute[lot < times - whole], minlength=length)
    for n in range(1, whole + 1):
        found = found + np.roll(counts, n * _APART_MINUTES)
    return found


def _refused(minutes: npt.NDArray[np.int64] | _Floats, per_minute: int) -> float:
    return float(np.maximum(minutes - per_minute, 0).sum())


def _lots(records: RecordTable) -> _Floats:
    """A number in [0, 1) for each call, the same for all its attempts, spread evenly over the calls."""
    traces = records.column("trace_id")
    alone = np.char.add(NONE, np.arange(records.rows).astype(str))
    calls = np.unique(np.where(traces == NONE, alone, traces).astype(str), return_inverse=True)[1]
    return np.asarray(calls * _GOLDEN % 1)


def _unrest(reference: RecordTable, rate: _Floats, start_us: int) -> float:
    """By the moments of the reference's whole hours: their variance beyond that of a count, over their squared rate."""
    hours = _hours(start_us, reference.window.end_us)
    whole = hours[(hours >= start_us) & (hours + _HOUR_US <= reference.window.end_us)]
    if len(whole) == 0:
        return 0.0
    place = np.searchsorted(whole, numbers(reference, "occurred_us"), side="right") - 1
    inside = (place >= 0) & (numbers(reference, "occurred_us") < whole[-1] + _HOUR_US)
    counts = np.bincount(place[inside], weights=numbers(reference, "requests")[inside], minlength=len(whole))
    kinds = _kinds(whole)
    days = np.bincount(kinds, minlength=48)[kinds]
    normal = rate[kinds] * _HOUR_US
    told = days > 1
    if not told.any() or not normal[told].any():
        return 0.0
    # A rate that was taken from these hours lies closer to them than the true one.
    squares = (counts - normal)[told] ** 2 * days[told] / (days[told] - 1)
    return float(max(0.0, (squares - normal[told]).sum() / (normal[told] ** 2).sum()))


def _hours(start_us: int, end_us: int) -> npt.NDArray[np.int64]:
    return np.arange(start_us // _HOUR_US, -(-end_us // _HOUR_US)) * _HOUR_US


def _inside(hours: npt.NDArray[np.int64], start_us: int, end_us: int) -> _Floats:
    """How much of each hour lies in the span, in microseconds."""
    return np.asarray(np.minimum(hours + _HOUR_US, end_us) - np.maximum(hours, start_us), dtype=np.float64).clip(0)


def _kinds(at_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The hour of the day, plus 24 at weekends. The epoch was a Thursday."""
    weekday = (at_us // (24 * _HOUR_US) + 3) % 7
    return at_us // _HOUR_US % 24 + 24 * (weekday >= 5)
