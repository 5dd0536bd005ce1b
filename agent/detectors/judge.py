"""Judges actual spend against a baseline over several windows; the one rule that every spend signal shares.

A window is abnormal when its excess passes one threshold: the USD effect size, or the relative effect size plus noise,
whichever is more. Noise is the larger of what chance gives at that request count and overdispersion, of what the series
itself did in its past weeks (noise.py), and of what earlier weeks have seen at this time of the week. The latter two
assume nothing about the noise: a bursty series and a weekly job are learned, an incident of a few days is not.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from agent.detectors.noise import REACH_DAYS, overdispersion, tail
from agent.detectors.series import Flags, Ints, Matrix
from agent.detectors.settings import DetectorSettings
from agent.detectors.trailing import past_days, per_day, whole_days

_COLD_DAYS, _WARM_DAYS = 3, 10
_HOT_SHARE = 0.35
_BURST_POWER = 6

Gate = Callable[[int], Flags]
"""For a window length in buckets, which cells (s, t - start) may alert at all."""


class Judged(NamedTuple):
    """Verdicts for the rows that could matter (`rows` of the input), for the columns from `start` on.

    `ratio` (windows, s, t - start) is excess over threshold, >= 1 where abnormal; `hot` (s, t - start) says whether the
    bucket itself is above normal, by more than `warm` USD. `excess`, `baseline` (s, t) are USD per bucket, `known`
    (s, t) says where there is a baseline, `threshold` is like `ratio`. Thresholds and `warm` follow from the days
    before, whatever is spent on the day itself.
    """

    rows: Ints
    start: int
    windows: tuple[int, ...]
    actual: Matrix
    baseline: Matrix
    excess: Matrix
    threshold: Matrix
    ratio: Matrix
    hot: Flags
    warm: Matrix
    known: Flags


class Past(NamedTuple):
    """What is known of the series' own past, where that is more than the excess of earlier days says.

    `worst`: see noise.worst_days. `quiet` (s, t): how much of it may fall on this bucket alone, see noise.quieter.
    `seen` (s, t): USD per bucket beyond the baseline that earlier weeks have seen here.
    """

    worst: Mapping[int, Matrix]
    quiet: Matrix
    seen: Matrix


class Rule(NamedTuple):
    """How one signal differs from the others: its relative effect sizes and its gate."""

    min_ratio: float
    cold_ratio: float
    gate: Gate | None = None
    learns: bool = True
    """Whether the past of the series itself raises the threshold."""


def judge(
    actual: Matrix,
    baseline: Matrix,
    *,
    known: Flags,
    unit_usd: Matrix,
    rule: Rule,
    start: int,
    settings: DetectorSettings,
    every: bool = False,
    past: Callable[[Ints], Past] | None = None,
) -> Judged:
    """Judge every window that ends in a column from `start` on.

    Shapes: actual, baseline, known (s, t); unit_usd (s, days), the USD of a usual request, told from earlier days.
    Where nothing is known there is no excess. Rows where no window passes the effect sizes are left out, unless
    `every` row is wanted; `past` is asked about the others only.
    """
    excess = np.where(known, actual - baseline, 0.0)
    expected = np.where(known, baseline, 0.0)
    everything = np.arange(len(actual))
    rows = (
        everything
        if every
        else material(
            excess, expected, usd=settings.min_excess_usd, ratio=rule.min_ratio, start=start, windows=settings.windows
        )
    )
    excess, expected, known = excess[rows], expected[rows], known[rows]
    per, windows, sigmas = settings.buckets_per_day, settings.windows, settings.sigmas
    whole = whole_days(known, per)
    day_of = np.arange(start, actual.shape[1]) // per
    unit = unit_usd[rows][:, day_of]
    shape = (len(windows), len(rows), len(day_of))
    threshold, ratio = np.empty(shape), np.empty(shape)
    warm = np.zeros(shape[1:])
    if not len(rows):
        hot = np.zeros(shape[1:], dtype=np.bool_)
        return Judged(rows, start, windows, actual[rows], baseline[rows], excess, threshold, ratio, hot, warm, known)
    by_day = day_of - start // per
    over_total, base_total, square_total = running(excess), running(expected), running(expected**2)
    rough = overdispersion(excess, expected, unit_usd=unit_usd[rows], known=known, buckets_per_day=per, start=start)[
        :, by_day
    ]
    known_past = None if past is None else past(rows)
    seen_total = None if known_past is None else running(known_past.seen)
    for i, window in enumerate(windows):
        over = window_sums(over_total, window)
        base = window_sums(base_total, window, start=start)
        if known_past is None:
            worst = per_day(over, per, filler=-np.inf).max(axis=2, initial=0.0)
            ranked, days = past_days(worst, valid=whole, reach=REACH_DAYS, start=start // per)
        else:
            ranked = known_past.worst[window]
            days = np.isfinite(ranked).sum(axis=2)
        learned = tail(ranked, days, sigmas=sigmas, window=window) if rule.learns else np.zeros(days.shape)
        square = rough * window_sums(square_total, window, start=start)
        strayed = learned[:, by_day]
        if known_past is not None and window == 1:
            strayed *= known_past.quiet[:, start:]
        noise = np.maximum(strayed, sigmas * _chance(unit, base, square, window))
        if seen_total is not None:
            noise = np.maximum(noise, window_sums(seen_total, window, start=start))
        need = _least(days, rule)[:, by_day] * base + noise
        if window == 1:
            calm = _HOT_SHARE * need * _calm(expected, base, day_of, per)
            warm = np.maximum(calm, (rule.min_ratio - 1) / 2 * base)
        threshold[i] = np.maximum(need, max(settings.min_excess_usd, 1e-6))
        if rule.gate is not None:
            threshold[i][~rule.gate(window)[rows]] = np.inf
        ratio[i] = over[:, start:] / threshold[i]
    return Judged(
        rows=rows,
        start=start,
        windows=windows,
        actual=actual[rows],
        baseline=baseline[rows],
        excess=excess,
        threshold=threshold,
        ratio=ratio,
        hot=excess[:, start:] > warm,
        warm=warm,
        known=known,
    )


def _chance(unit: Matrix, base: Matrix, square: Matrix, window: int) -> Matrix:
    """The standard deviation of a window by chance: a compound Poisson law, twice as wide or with overdispersion."""
    deviation: Matrix = np.sqrt(np.maximum(2 * unit * (base + unit), unit * (base + window * unit) + square))
    return deviation


def _calm(expected: Matrix, base: Matrix, day_of: Ints, buckets_per_day: int) -> Matrix:
    """How much less than at yesterday's peak is usual now, at least a quarter: noise shrinks with the hour."""
    peaks = per_day(expected, buckets_per_day).max(axis=2, initial=0.0)
    peak = np.concatenate([peaks[:, :1], peaks[:, :-1]], axis=1)[:, day_of]
    return np.where(peak > 0, np.clip(base / np.where(peak > 0, peak, 1.0), 0.25, 1.0), 1.0)


def _least(days: Ints, rule: Rule) -> Matrix:
    """The relative effect size, less one: a cold start's until three days are known, the usual one from ten on."""
    cold = np.clip((_WARM_DAYS - days) / (_WARM_DAYS - _COLD_DAYS), 0.0, 1.0)
    return rule.min_ratio + (rule.cold_ratio - rule.min_ratio) * cold - 1


def running(values: Matrix) -> Matrix:
    """Running totals with a leading zero, which make every window's sum one subtraction: (s, t) -> (s, t + 1)."""
    total = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])
    return total


def window_sums(total: Matrix, window: int, *, start: int = 0) -> Matrix:
    """From running totals, the sums over `window` columns that end with each column from `start` on.

    Shorter where the series begins. Shapes: (s, t + 1) -> (s, t - start).
    """
    low = np.maximum(np.arange(start, total.shape[1] - 1) + 1 - window, 0)
    if start + 1 >= window:
        return total[:, start + 1 :] - total[:, start + 1 - window : total.shape[1] - window]
    return total[:, start + 1 :] - total[:, low]


def past_unit_usd(usd: Matrix, requests: Matrix, *, first: Ints, buckets_per_day: int) -> Matrix:
    """What a usual event costs, from all whole days before each day, 0 where unknown: (s, t) -> (s, days).

    An event is a request. Where most buckets are empty requests come in bursts, and the event is rather the burst:
    USD per active bucket, weighted by the empty share to the sixth power, so that dense series know nothing of it.
    """
    spent = np.cumsum(per_day(usd, buckets_per_day).sum(axis=2), axis=1)
    count = np.cumsum(per_day(requests, buckets_per_day).sum(axis=2), axis=1)
    active = np.cumsum(per_day((usd > 0).astype(np.float64), buckets_per_day).sum(axis=2), axis=1)
    age = np.arange(1, spent.shape[1] + 1) * buckets_per_day - first[:, None]
    empty = np.clip(1 - active / np.maximum(age, 1), 0.0, 1.0)
    unit = np.divide(spent, count, out=np.zeros_like(spent), where=count > 0)
    burst = np.divide(spent, active, out=np.zeros_like(spent), where=active > 0) * empty**_BURST_POWER
    known = np.maximum(unit, burst)
    return np.concatenate([np.zeros((len(known), 1)), known[:, :-1]], axis=1)


def material(
    excess: Matrix, expected: Matrix, *, usd: float, ratio: float, start: int, windows: tuple[int, ...]
) -> Ints:
    """Rows where some window passes both effect sizes: most series do not, and cost no more than this."""
    keep = np.zeros(len(excess), dtype=np.bool_)
    reach = max(0, start - max(windows))
    over_total, base_total = running(excess[:, reach:]), running(expected[:, reach:])
    for window in windows:
        over = window_sums(over_total, window, start=start - reach)
        base = window_sums(base_total, window, start=start - reach)
        keep |= ((over >= usd) & (over >= (ratio - 1) * base) & (over > 0)).any(axis=1)
    return np.flatnonzero(keep)
