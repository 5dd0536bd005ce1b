"""Spend against the robust baseline of that hour of the week."""

from collections.abc import Callable

import numpy as np

from agent.detectors.baseline import DAYS, WEEKS, seasonal, with_level
from agent.detectors.judge import Judged, Past, Rule, judge, material, past_unit_usd
from agent.detectors.noise import REACH_DAYS, quieter, worst_days
from agent.detectors.series import Flags, Ints, Matrix, SeriesSet
from agent.detectors.settings import DetectorSettings
from agent.detectors.trailing import lagged_median, per_day, whole_days

_JOB = 3.0
"""A bucket that spent so many times what the days before did at that hour was a job."""
_APART = 1.5
_AGAIN = 1.5


def expected_spend(series: SeriesSet, settings: DetectorSettings) -> tuple[Matrix, Flags]:
    """What every series should have spent in each bucket, in USD, and where that is known: (s, t), (s, t)."""
    per = settings.buckets_per_day
    season, known = seasonal(series.usd, first=series.first, buckets_per_day=per)
    age = np.arange(series.buckets)[None, :] - series.first[:, None]
    known &= age >= settings.buckets(settings.min_history_hours)
    return with_level(series.usd, season, known=known, buckets_per_day=per, reach_days=REACH_DAYS), known


def judge_spend(
    series: SeriesSet,
    *,
    start: int,
    settings: DetectorSettings,
    every: bool = False,
    worst: Callable[..., dict[int, Matrix]] = worst_days,
) -> Judged:
    """Judge spend; rows that cannot matter are left out unless `every` row is wanted.

    `worst` is noise.worst_days, or what gives the same for the days that are asked for.
    """
    rows = np.arange(len(series.usd)) if every else _promising(series, start, settings)
    few = series.take(rows)
    baseline, known = expected_spend(few, settings)
    per = settings.buckets_per_day

    def past(rows: Ints) -> Past:
        of = few.take(rows)
        strayed = worst(of.usd, first=of.first, windows=settings.windows, buckets_per_day=per, start=start)
        seen = seen_before(of.usd, baseline[rows], first=of.first, buckets_per_day=per, late=settings.buckets(1))
        quiet = quieter(baseline[rows], whole=whole_days(known[rows], per), buckets_per_day=per)
        return Past(strayed, quiet, np.where(known[rows], seen, 0.0))

    judged = judge(
        few.usd,
        baseline,
        known=known,
        unit_usd=past_unit_usd(few.usd, few.requests, first=few.first, buckets_per_day=settings.buckets_per_day),
        rule=Rule(settings.min_ratio, settings.cold_ratio),
        start=start,
        settings=settings,
        every=every,
        past=past,
    )
    return judged._replace(rows=rows[judged.rows])


def seen_before(usd: Matrix, baseline: Matrix, *, first: Ints, buckets_per_day: int, late: int) -> Matrix:
    """USD per bucket beyond the baseline that the same time of an earlier week has seen, and half as much again.

    Two things that a median over few weeks gets wrong: a job that came an hour early or late (a bucket far above that
    hour of the days before, within `late` buckets of this time of the week, in any of four weeks), and one of only two
    known weeks that was a holiday or a gap. Shapes: all (s, t).
    """
    columns, week = usd.shape[1], 7 * buckets_per_day
    mean = np.repeat(per_day(usd, buckets_per_day).mean(axis=2), buckets_per_day, axis=1)[:, :columns]
    daily, before = lagged_median(usd, step=buckets_per_day, lags=DAYS, first=first, start=0)
    usual = np.where(before > 0, np.maximum(daily, mean / 4), np.inf)
    jobs = np.where(usd > _JOB * usual, usd, 0.0)
    near = jobs.copy()
    for shift in range(1, late + 1):
        near[:, shift:] = np.maximum(near[:, shift:], jobs[:, :-shift])
        near[:, :-shift] = np.maximum(near[:, :-shift], jobs[:, shift:])
    seen, either = np.zeros_like(usd), np.zeros_like(usd)
    for back in range(week, min(WEEKS * week, columns - 1) + 1, week):
        seen[:, back:] = np.maximum(seen[:, back:], near[:, :-back])
        if back <= 2 * week:
            either[:, back:] = np.maximum(either[:, back:], usd[:, :-back])
    weeks = (np.arange(columns)[None, :] - first[:, None]) // week
    seen = np.maximum(seen, np.where((weeks <= 2) & (either > _APART * baseline), either, 0.0))
    return np.where(seen > 0, np.maximum(_AGAIN * seen - baseline, 0.0), 0.0)


def _promising(series: SeriesSet, start: int, settings: DetectorSettings) -> Ints:
    """Rows that spent clearly more than the season says in some window; half of either effect size is enough."""
    low = max(0, start - max(settings.windows))
    season, known = seasonal(series.usd, first=series.first, buckets_per_day=settings.buckets_per_day, start=low)
    return material(
        np.where(known, series.usd[:, low:] - season, 0.0),
        season,
        usd=settings.min_excess_usd / 2,
        ratio=(settings.min_ratio + 1) / 2,
        start=start - low,
        windows=settings.windows,
    )
