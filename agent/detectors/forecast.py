"""What a series will have spent by a later day, with an interval: the month's end for each team.

A level with a profile of the week: daily spend over the factor of its weekday follows simple exponential smoothing,
whose rate is chosen per series by its own one-day-ahead errors. How far a sum of days may stray follows from those
errors, as each of them stays in the level with that rate; errors far beyond the usual (an incident) are cut before they
count. Where few weeks are known the profile has followed the noise, and the errors are taken for larger than they look.
Assumes that the past weeks are like the coming ones: no trend is drawn out, planned events are not known here.
Source: Hyndman, Koehler, Ord, Snyder, Forecasting with Exponential Smoothing (2008), ANN model, chapter 6.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from agent.detectors.series import Flags, Ints, Matrix, SeriesSet
from agent.detectors.settings import DAY_SECONDS
from store.model.usage import Scope, Window

MIN_DAYS = 14
_REACH_DAYS = 56
_RATES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6)
_BURN_IN = 4
_CUT = 3.5
_NORMAL_MAD = 1.4826
_Z80 = 1.2816
_YOUNG = 5.0


class Forecast(NamedTuple):
    """Sums in USD, shape (s,); nan where fewer than MIN_DAYS whole days are known. Eight of ten lie in [low, high]."""

    low: Matrix
    mid: Matrix
    high: Matrix


def forecast_sum(daily: Matrix, *, weekday: int, days: int, first_share: float = 1.0) -> Forecast:
    """Forecast the sum over the `days` days after the last one.

    Shape: daily (s, d) USD by whole UTC day, oldest first, nan before a series began. `weekday` (0 Monday) is that of
    the first day to come, of which only `first_share` is still ahead. Nothing ahead (`days` 0) is a sum of 0.
    """
    rows = len(daily)
    if days <= 0:
        return Forecast(*(np.zeros(rows) for _ in range(3)))
    past = daily[:, -_REACH_DAYS:]
    known = np.isfinite(past)
    of_day = (weekday - past.shape[1] + np.arange(past.shape[1])) % 7
    profile = _profile(past, of_day)
    level, noise, rate = _smoothed(np.where(known, past, 0.0) / profile[:, of_day], known)
    ahead = profile[:, (weekday + np.arange(days)) % 7].copy()
    ahead[:, 0] *= first_share
    later = np.cumsum(ahead[:, ::-1], axis=1)[:, ::-1] - ahead
    weight = ahead + rate[:, None] * later
    total = ahead.sum(axis=1)
    count = np.maximum(known.sum(axis=1), 1)
    level_share = np.maximum(rate / (2 - rate), 1 / count)
    spread = noise * np.sqrt((weight**2).sum(axis=1) + level_share * total**2)
    mid = np.where(count >= MIN_DAYS, level * total, np.nan)
    relative = np.divide(spread, mid, out=np.zeros(rows), where=mid > 0)
    wide = np.exp(np.minimum(_Z80 * (1 + _YOUNG / count) * relative, 3.0))
    return Forecast(mid / wide, mid, mid * wide)


def _profile(past: Matrix, of_day: Ints) -> Matrix:
    """The factor of each weekday, shrunk towards 1 while few weeks are known: (s, d) -> (s, 7), never 0."""
    usual = _median(past)
    factors = np.ones((len(past), 7))
    for day in range(7):
        column = past[:, of_day == day]
        weeks = np.isfinite(column).sum(axis=1)
        share = np.divide(_median(column), usual, out=np.ones(len(past)), where=usual > 0)
        factors[:, day] = np.where(weeks > 0, (1 + 2 * weeks * share) / (1 + 2 * weeks), 1.0)
    evened: Matrix = np.maximum(factors / factors.mean(axis=1, keepdims=True), 0.02)
    return evened


def _median(values: Matrix) -> Matrix:
    """The median of the known values of each row, 0 where there is none: (s, n) -> (s,)."""
    ranked = np.sort(np.where(np.isfinite(values), values, np.inf), axis=1)
    count = np.isfinite(ranked).sum(axis=1)
    if not values.shape[1]:
        return np.zeros(len(values))
    rows = np.arange(len(values))
    both = ranked[rows, np.maximum((count - 1) // 2, 0)], ranked[rows, np.minimum(count // 2, values.shape[1] - 1)]
    return np.where(count > 0, (both[0] + both[1]) / 2, 0.0)


def _smoothed(values: Matrix, known: Flags) -> tuple[Matrix, Matrix, Matrix]:
    """Level, standard deviation of a day, and rate of each series: (s, d) -> (s,), (s,), (s,)."""
    step = np.abs(np.diff(values, axis=1))
    both = known[:, 1:] & known[:, :-1]
    usual = np.maximum(_NORMAL_MAD / np.sqrt(2) * _median(np.where(both, step, np.nan)), 1e-9)
    best = np.full(len(values), np.inf)
    level, rate = np.zeros(len(values)), np.full(len(values), _RATES[0])
    for tried in _RATES:
        reached, noise = _smooth(values, known, np.full(len(values), tried), usual)
        better = noise < best
        best, level, rate = (
            np.where(better, noise, best),
            np.where(better, reached, level),
            np.where(better, tried, rate),
        )
    return level, best, rate


def _smooth(values: Matrix, known: Flags, rate: Matrix, usual: Matrix) -> tuple[Matrix, Matrix]:
    """One pass: the last level, and the root mean square of the one-day errors after a start."""
    age = np.zeros(len(values))
    level, square, count = np.zeros(len(values)), np.zeros(len(values)), np.zeros(len(values))
    for day in range(values.shape[1]):
        here = known[:, day]
        error = values[:, day] - level
        cut = np.clip(error, -_CUT * usual, _CUT * usual)
        # The first days are averaged: a level that began with one day would carry it along.
        gain = np.maximum(rate, 1 / (age + 1))
        counted = here & (age >= _BURN_IN)
        square += np.where(counted, cut**2, 0.0)
        count += counted
        level = np.where(here, level + gain * np.where(age >= _BURN_IN, cut, error), level)
        age += here
    return level, np.sqrt(square / np.maximum(count, 1))


class PeriodEnd(NamedTuple):
    """One series at the end of a period: USD spent so far, and the whole with its interval; None: too young."""

    scope: Scope
    spent: float
    low: float | None
    mid: float | None
    high: float | None


def period_end(series: SeriesSet, *, period: Window, until: datetime) -> list[PeriodEnd]:
    """Each series at the end of the period that holds `until`: what was spent, and what its days to come will add.

    The series must reach back to the period's start, and should do so for MIN_DAYS more; buckets that ended by `until`
    count as spent.
    """
    per = DAY_SECONDS // series.bucket_seconds
    column = (int(until.timestamp()) - series.start_s) // series.bucket_seconds
    first = max(0, (int(period.start.timestamp()) - series.start_s) // series.bucket_seconds)
    today = column // per
    spent = series.usd[:, first:column].sum(axis=1)
    daily = series.usd[:, : today * per].reshape(len(series.usd), today, per).sum(axis=2)
    began = np.arange(today)[None, :] * per >= series.first[:, None]
    midnight = datetime.fromtimestamp(series.start_s + today * DAY_SECONDS, tz=UTC)
    days = math.ceil((period.end - midnight) / timedelta(days=1))
    ahead = forecast_sum(
        np.where(began, daily, np.nan), weekday=midnight.weekday(), days=days, first_share=1 - column % per / per
    )
    return [
        PeriodEnd(series.scope(row), float(spent[row]), *(_added(spent[row], sums[row]) for sums in ahead))
        for row in range(len(series.usd))
    ]


def _added(spent: float, more: float) -> float | None:
    return float(spent + more) if math.isfinite(more) else None
