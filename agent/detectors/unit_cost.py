"""USD per request against the series' own past days: a dearer call is found whatever the volume does."""

import numpy as np

from agent.detectors.judge import Judged, Rule, judge, material, running, window_sums
from agent.detectors.series import Flags, Ints, Matrix, SeriesSet
from agent.detectors.settings import DetectorSettings
from agent.detectors.trailing import median, past_days, per_day

_REACH_DAYS = 21
_MIN_DAYS = 3


def usual_share(top: Matrix, below: Matrix, *, least: float, buckets_per_day: int) -> tuple[Matrix, Ints]:
    """The median over earlier days of a daily quotient, days with less than `least` below left out.

    Shapes: (s, t), (s, t) -> (s, days), and over how many days (s, days).
    """
    over, under = per_day(top, buckets_per_day).sum(axis=2), per_day(below, buckets_per_day).sum(axis=2)
    enough = under >= max(least, 1.0)
    quotient = np.divide(over, under, out=np.zeros_like(over), where=enough)
    ranked, days = past_days(quotient, valid=enough, reach=_REACH_DAYS, start=0)
    return median(ranked, days), days


def spread(days: Matrix, columns: int, buckets_per_day: int) -> Matrix:
    """Repeat a value per day over the day's buckets: (s, days) -> (s, columns)."""
    return np.repeat(days, buckets_per_day, axis=1)[:, :columns]


def judge_unit_cost(series: SeriesSet, *, start: int, settings: DetectorSettings) -> Judged:
    """Judge USD per request: the baseline is the usual USD per request times the requests that were made."""
    per = settings.buckets_per_day
    usual, days = usual_share(series.usd, series.requests, least=settings.unit_min_requests, buckets_per_day=per)
    expected = spread(np.where(days >= _MIN_DAYS, usual, np.inf), series.buckets, per)
    late = slice(max(0, start - max(settings.windows)), None)
    rows = dearer(series.usd[:, late], expected[:, late], series.requests[:, late], settings)
    few, unit = series.take(rows), expected[rows]
    known = np.isfinite(unit)
    calls = running(few.requests)

    def gate(window: int) -> Flags:
        return window_sums(calls, window, start=start) >= settings.unit_min_requests

    judged = judge(
        few.usd,
        np.where(known, unit, 0.0) * few.requests,
        known=known,
        unit_usd=usual[rows],
        rule=Rule(settings.unit_min_ratio, settings.unit_min_ratio, gate),
        start=start,
        settings=settings,
    )
    return judged._replace(rows=rows[judged.rows])


def dearer(usd: Matrix, unit: Matrix, volume: Matrix, settings: DetectorSettings) -> Ints:
    """Rows where some window was dearer by both effect sizes, of whatever volume; a cheap look before the exact one."""
    known = np.isfinite(unit)
    expected = np.where(known, unit, 0.0) * volume
    excess = np.where(known, usd - expected, 0.0)
    return material(
        excess,
        expected,
        usd=settings.min_excess_usd,
        ratio=settings.unit_min_ratio,
        start=0,
        windows=settings.windows,
    )
