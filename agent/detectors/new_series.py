"""Series without any history that spend: a key that meets a model for the first time, an app nobody announced."""

import numpy as np

from agent.detectors.judge import Judged, Rule, judge
from agent.detectors.series import SeriesSet
from agent.detectors.settings import DetectorSettings

YOUNG_DAYS = 3


def judge_new_series(series: SeriesSet, *, start: int, settings: DetectorSettings) -> Judged:
    """Judge the first three days of series that began after the data as a whole was known for a week.

    Their baseline is zero, and nothing but the floor in USD counts; a total or a lone dimension that is merely quiet
    for a week has history. Nothing is learned: there is nothing to learn from.
    """
    per = settings.buckets_per_day
    since = series.known_from + settings.new_series_history_days * per
    rows = np.flatnonzero((series.first >= max(since, start - YOUNG_DAYS * per)) & (series.first < series.buckets))
    few = series.take(rows)
    age = np.arange(series.buckets)[None, :] - few.first[:, None]
    judged = judge(
        few.usd,
        np.zeros_like(few.usd),
        known=(age >= 0) & (age < YOUNG_DAYS * per),
        unit_usd=np.zeros((len(rows), -(-series.buckets // per))),
        rule=Rule(settings.min_ratio, settings.cold_ratio, learns=False),
        start=start,
        settings=settings.model_copy(update={"min_excess_usd": settings.new_series_usd}),
    )
    return judged._replace(rows=rows[judged.rows])
