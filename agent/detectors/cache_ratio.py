"""Cache-hit ratio of input tokens against the past: a broken prompt cache costs more for the same work."""

import numpy as np

from agent.detectors.judge import Judged, Rule, judge, running, window_sums
from agent.detectors.series import Flags, SeriesSet
from agent.detectors.settings import DetectorSettings
from agent.detectors.unit_cost import dearer, spread, usual_share

_MIN_DAYS = 3
_MIN_TOKENS = 10_000.0


def judge_cache_ratio(series: SeriesSet, *, start: int, settings: DetectorSettings) -> Judged:
    """Judge USD per input token where the share of tokens read from the cache has dropped."""
    cached = np.flatnonzero(series.cache_read.any(axis=1))
    judged = _judge(series.take(cached), start=start, settings=settings)
    return judged._replace(rows=cached[judged.rows])


def _judge(series: SeriesSet, *, start: int, settings: DetectorSettings) -> Judged:
    per, columns = settings.buckets_per_day, series.buckets
    hits, days = usual_share(series.cache_read, series.tokens_in, least=_MIN_TOKENS, buckets_per_day=per)
    usual = (days >= _MIN_DAYS) & (hits >= settings.cache_min_ratio)
    price, _ = usual_share(series.usd, series.tokens_in, least=_MIN_TOKENS, buckets_per_day=per)
    expected = spread(np.where(usual, price, np.inf), columns, per)
    late = slice(max(0, start - max(settings.windows)), None)
    rows = dearer(series.usd[:, late], expected[:, late], series.tokens_in[:, late], settings)
    few, each = series.take(rows), expected[rows]
    known = np.isfinite(each)
    unit, _ = usual_share(few.usd, few.requests, least=settings.unit_min_requests, buckets_per_day=per)
    usual_hits = spread(hits[rows], columns, per)[:, start:]
    read, tokens, calls = running(few.cache_read), running(few.tokens_in), running(few.requests)

    def gate(window: int) -> Flags:
        enough = window_sums(calls, window, start=start) >= settings.unit_min_requests
        least = settings.cache_drop * usual_hits * window_sums(tokens, window, start=start)
        dropped: Flags = enough & (window_sums(read, window, start=start) <= least)
        return dropped

    judged = judge(
        few.usd,
        np.where(known, each, 0.0) * few.tokens_in,
        known=known,
        unit_usd=unit,
        rule=Rule(settings.unit_min_ratio, settings.unit_min_ratio, gate),
        start=start,
        settings=settings,
    )
    return judged._replace(rows=rows[judged.rows])
