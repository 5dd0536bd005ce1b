"""From the hours of an incident to a day: how much busier the next day is than the hours that were seen.

A fault that makes each request dearer costs most when most requests are made: three hours of a morning times eight are
no day. What a thief or a loop does keeps its own hours, and goes on as it was.
"""

import math
from collections import Counter
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
DAY = timedelta(days=1)
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
    clump: float
    """How many requests the session of a request has, on average: sessions come by chance, their requests together."""
    days: _Floats
    """From how many hours of each of the 48 kinds its rate was taken."""

    def expected(self, start_us: int, end_us: int) -> float:
        """Requests in a span; NaN where one of its hours was never seen."""
        hours = _hours(start_us, end_us)
        return float((self.rate[_kinds(hours)] * _inside(hours, start_us, end_us)).sum())

    def level(self, window: Window, seen: int) -> float:
        """How many times busier than normal a time was that had so many requests: 1 where that may be chance.

        The variance of a count is that of sessions that come by chance, `clump` times the mean, and of hours that are
        busy by themselves, `unrest` times its square; and the normal was itself counted over a few such hours. A few
        sessions more are usual where few are normal, so both are compared on the scale on which such chance is the
        same everywhere. Source: Anscombe, "The transformation of Poisson, binomial and negative-binomial data", 1948.
        """
        hours = _hours(window.start_us, window.end_us)
        kinds = _kinds(hours)
        each = self.rate[kinds] * _inside(hours, window.start_us, window.end_us)
        normal = float(each.sum())
        variance = self.clump * each + self.unrest * each**2
        counted = (variance / np.maximum(self.days[kinds], 1)).sum() / variance.sum()
        unrest = self.unrest * float((each**2).sum()) / normal**2
        away = abs(_evened(seen, self.clump, unrest) - _evened(normal, self.clump, unrest))
        return 1.0 if seen > 0 and away <= _CHANCE * (1 + counted) ** 0.5 else seen / normal

    def variance(self, start_us: int, end_us: int) -> float:
        """Of a span's requests, relative: of hours busy by themselves, and of an expectation counted over a few."""
        hours = _hours(start_us, end_us)
        kinds = _kinds(hours)
        each = self.rate[kinds] * _inside(hours, start_us, end_us)
        counted = (self.clump * each + self.unrest * each**2) / np.maximum(self.days[kinds], 1)
        return float((self.unrest * each**2 + counted).sum() / each.sum() ** 2)

    def knows(self, window: Window) -> bool:
        """Whether enough requests were seen at the hours of the window."""
        touched = np.unique(_kinds(_hours(window.start_us, window.end_us)))
        return bool(self.counted[touched].sum() >= _ENOUGH and self.expected(window.start_us, window.end_us) > 0)


def season_of(reference: RecordTable) -> Season:
    """The season of the reference's records (UTC), which may be cut at their beginning; there is at least one."""
    counted, covered, start_us = _by_kind(reference, numbers(reference, "requests"))
    rate = np.divide(counted, covered, out=np.full(48, np.nan), where=covered > 0)
    clump = _clump(reference)
    return Season(rate, counted, _unrest(reference, rate, clump, start_us), clump, covered / _HOUR_US)


def work_over_day(reference: RecordTable, work: npt.NDArray[np.int64], now: datetime) -> float:
    """How much work the next day normally has; `work` has each record's. NaN where one of its hours was never seen."""
    done, covered, _ = _by_kind(reference, work)
    rate = np.divide(done, covered, out=np.full(48, np.nan), where=covered > 0)
    hours = _hours(to_us(now), to_us(now + DAY))
    return float((rate[_kinds(hours)] * _inside(hours, to_us(now), to_us(now + DAY))).sum())


def _by_kind(reference: RecordTable, amounts: npt.NDArray[np.int64]) -> tuple[_Floats, _Floats, int]:
    """What the 48 kinds of hours had in all, for how many microseconds each was covered, and since when."""
    at_us = numbers(reference, "occurred_us")
    start_us = int(at_us[0]) if reference.cut else reference.window.start_us
    hours = _hours(start_us, reference.window.end_us)
    covered = np.bincount(_kinds(hours), weights=_inside(hours, start_us, reference.window.end_us), minlength=48)
    done = np.bincount(_kinds(at_us), weights=amounts, minlength=48)
    return done.astype(np.float64), covered.astype(np.float64), start_us


class Likeness(NamedTuple):
    """Which hours of a reference are like those of the next day."""

    first: int
    """The first hour, counted from the epoch."""
    weight: _Floats
    """What each hour stands for of the next day: of three that are like one of its hours, a third each."""
    rank: npt.NDArray[np.int64]
    """The how manieth of its kind each hour is."""
    days: int
    """How many of each kind there are, at least."""

    def of(self, at_us: npt.NDArray[np.int64]) -> tuple[_Floats, npt.NDArray[np.int64]]:
        """Weight and rank of each moment's hour; what lies outside the reference belongs to its first or last one."""
        hour = (at_us // _HOUR_US - self.first).clip(0, len(self.weight) - 1)
        return self.weight[hour], self.rank[hour]


def like_the_next_day(reference: RecordTable, from_us: int) -> Likeness | None:
    """The reference's hours against the day from that moment on; None where one of the day's hours was never seen."""
    start_us = int(numbers(reference, "occurred_us")[0]) if reference.cut else reference.window.start_us
    hours, ahead = _hours(start_us, reference.window.end_us), _hours(from_us, from_us + 24 * _HOUR_US)
    kinds, next_kinds = _kinds(hours), _kinds(ahead)
    covered = np.bincount(kinds, weights=_inside(hours, start_us, reference.window.end_us), minlength=48)
    wanted = np.bincount(next_kinds, weights=_inside(ahead, from_us, from_us + 24 * _HOUR_US), minlength=48)
    if len(hours) == 0 or not covered[next_kinds].all():
        return None
    order = np.argsort(kinds, kind="stable")
    counts = np.bincount(kinds, minlength=48)
    rank = np.empty(len(hours), dtype=np.int64)
    rank[order] = np.arange(len(hours)) - np.repeat(np.cumsum(counts) - counts, counts)
    return Likeness(
        first=int(hours[0] // _HOUR_US),
        weight=wanted[kinds] / covered[kinds],
        rank=rank,
        days=int(counts[next_kinds].min()),
    )


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


def _clump(reference: RecordTable) -> float:
    """Requests squared over requests, by session; a request without one is by itself."""
    requests, sessions = numbers(reference, "requests"), reference.column("session_id")
    named = sessions != NONE
    counts = np.array(list(Counter(sessions[named].tolist()).values()), dtype=np.int64)
    alone, together = int(requests[~named].sum()), int(counts.sum())
    return (int((counts**2).sum()) + alone) / max(1, together + alone)


def _unrest(reference: RecordTable, rate: _Floats, clump: float, start_us: int) -> float:
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
    return float(max(0.0, (squares - clump * normal[told]).sum() / (normal[told] ** 2).sum()))


def _evened(count: float, clump: float, unrest: float) -> float:
    """A count on a scale on which its standard deviation is one, whatever its mean."""
    if unrest * count < 1e-6 * clump:
        return 2 * math.sqrt(count / clump)
    return 2 * math.asinh(math.sqrt(unrest * count / clump)) / math.sqrt(unrest)


def _hours(start_us: int, end_us: int) -> npt.NDArray[np.int64]:
    return np.arange(start_us // _HOUR_US, -(-end_us // _HOUR_US)) * _HOUR_US


def _inside(hours: npt.NDArray[np.int64], start_us: int, end_us: int) -> _Floats:
    """How much of each hour lies in the span, in microseconds."""
    return np.asarray(np.minimum(hours + _HOUR_US, end_us) - np.maximum(hours, start_us), dtype=np.float64).clip(0)


def _kinds(at_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The hour of the day, plus 24 at weekends. The epoch was a Thursday."""
    weekday = (at_us // (24 * _HOUR_US) + 3) % 7
    return at_us // _HOUR_US % 24 + 24 * (weekday >= 5)
