"""What a series should have spent in each bucket, told from earlier buckets only."""

import numpy as np

from agent.detectors.series import Flags, Ints, Matrix
from agent.detectors.trailing import lagged_median, median, past_days, per_day, whole_days

WEEKS = 4
DAYS = 7
_TRUST_IN_WEEKS = np.array([0.0, 0.5, 0.75, 1.0, 1.0])
_GROWTH_SHARE = 0.6


def seasonal(usd: Matrix, *, first: Ints, buckets_per_day: int, start: int = 0) -> tuple[Matrix, Flags]:
    """The usual spend of that hour of the week, from the column `start` on, and where there is any history.

    The median of the same bucket in up to four earlier weeks, shrunk towards the median of the same time of day in the
    last seven days while fewer than three weeks are known. A median over weeks is unmoved by an incident in one of
    them. Shapes: usd (s, t) USD -> (s, t - start) USD, (s, t - start).
    """
    weekly, weeks = lagged_median(usd, step=7 * buckets_per_day, lags=WEEKS, first=first, start=start)
    known = weeks > 0
    if (weeks < 3).any():
        young = int(np.flatnonzero((weeks < 3).any(axis=0))[-1]) + 1
        daily, days = lagged_median(usd, step=buckets_per_day, lags=DAYS, first=first, start=start, stop=start + young)
        known[:, :young] |= days > 0
        trust = _TRUST_IN_WEEKS[weeks[:, :young]]
        weekly[:, :young] = trust * weekly[:, :young] + (1 - trust) * daily
    return _smoothed(weekly, last=(np.arange(start, usd.shape[1]) + 1) % buckets_per_day == 0), known


def _smoothed(season: Matrix, *, last: Flags) -> Matrix:
    """The mean with both neighbours, each cut to between half and twice: noise shrinks, the peak of a job stays.

    The `last` bucket of a day has none after it: what is usual tomorrow may depend on today. So all of a day's baseline
    is known when the day begins.
    """
    before = np.concatenate([season[:, :1], season[:, :-1]], axis=1)
    after = np.where(last, season, np.concatenate([season[:, 1:], season[:, -1:]], axis=1))
    low, high = season / 2, season * 2
    mean: Matrix = (season + np.clip(before, low, high) + np.clip(after, low, high)) / 3
    return mean


def with_level(usd: Matrix, season: Matrix, *, known: Flags, buckets_per_day: int, reach_days: int) -> Matrix:
    """Move the seasonal baseline to the level of late: growth is followed, an incident is not.

    Two corrections per UTC day, in USD per bucket, told from whole days before it: the median daily residual over
    `reach_days` (the median of a sparse series lies below its mean), and the median of the last seven days around it,
    in which days further off than 60 % of a usual day count as no change, so that an open incident cannot drag its own
    baseline along. Shapes: all (s, t).
    """
    spent = per_day(usd, buckets_per_day).sum(axis=2)
    residual = spent - per_day(season, buckets_per_day).sum(axis=2)
    whole = whole_days(known, buckets_per_day)
    usual = median(*past_days(spent, valid=whole, reach=reach_days, start=0))
    bias = median(*past_days(residual, valid=whole, reach=reach_days, start=0))
    lines, recent = past_days(residual, valid=whole, reach=7, start=0)
    change = np.where(np.isfinite(lines), lines - bias[:, :, None], np.inf)
    change = np.where(np.isfinite(change) & (np.abs(change) > _GROWTH_SHARE * usual[:, :, None]), 0.0, change)
    growth = np.where(recent >= 4, median(np.sort(change, axis=2), recent), 0.0)
    offset = np.repeat((bias + growth) / buckets_per_day, buckets_per_day, axis=1)[:, : usd.shape[1]]
    return np.maximum(season + np.where(known, offset, 0.0), 0.0)
