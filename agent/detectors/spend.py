"""Spend against the robust baseline of that hour of the week."""

import numpy as np

from agent.detectors.baseline import seasonal, with_level
from agent.detectors.judge import GUARD_DAYS, Judged, Rule, judge, material, past_unit_usd
from agent.detectors.series import Flags, Ints, Matrix, SeriesSet
from agent.detectors.settings import DetectorSettings


def expected_spend(series: SeriesSet, settings: DetectorSettings) -> tuple[Matrix, Flags]:
    """What every series should have spent in each bucket, in USD, and where that is known: (s, t), (s, t)."""
    per = settings.buckets_per_day
    season, known = seasonal(series.usd, first=series.first, buckets_per_day=per)
    age = np.arange(series.buckets)[None, :] - series.first[:, None]
    known &= age >= settings.buckets(settings.min_history_hours)
    return with_level(series.usd, season, known=known, buckets_per_day=per, reach_days=GUARD_DAYS), known


def judge_spend(series: SeriesSet, *, start: int, settings: DetectorSettings, every: bool = False) -> Judged:
    """Judge spend; rows that cannot matter are left out unless `every` row is wanted."""
    rows = np.arange(len(series.usd)) if every else _promising(series, start, settings)
    few = series.take(rows)
    baseline, known = expected_spend(few, settings)
    judged = judge(
        few.usd,
        baseline,
        known=known,
        unit_usd=past_unit_usd(few.usd, few.requests, first=few.first, buckets_per_day=settings.buckets_per_day),
        rule=Rule(settings.min_ratio, settings.cold_ratio),
        start=start,
        settings=settings,
        every=every,
    )
    return judged._replace(rows=rows[judged.rows])


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
