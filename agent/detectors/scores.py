"""How strange every bucket of one series is, without any unit: what `bursar detect --scores` writes.

Six features of each bucket and its past are each compared with how large they used to be. The score is that of the
strangest one, and 0.5 where it is larger than ever lately. Alerts are another matter: they ask for USD (judge.py).

Novelty: the distance of the last buckets to the nearest stretch of the past, at several lengths (the left matrix
profile; Yeh et al., "Matrix Profile I", ICDM 2016; Lu et al., "DAMP", KDD 2022). Season: what a few buckets differ from
the day before, and rise above it. Step: the change of one bucket. The comparison is with the largest values in blocks
of buckets, as in extreme-value theory by block maxima. Nothing is fitted beforehand, and every series has one setting.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agent.detectors.series import Matrix

ALARM = 0.5
"""A bucket whose score is at least this begins an event; what follows within it scores less."""

_HISTORY = 24_000
"""How many buckets back a stretch is looked for: the time taken grows with it."""
_BLOCKS = 100
_REST = 100
"""An event lasts until so many buckets in a row were no stranger than usual."""
_SMOOTHED = 6
_SHORTEST = 100


class _Yardstick(NamedTuple):
    """A feature is compared with the `quantile` of its block maxima times `least`, from the bucket `ready` on.

    It has no values before the bucket `since`. Blocks have `block` buckets; the last hundred are remembered.
    """

    since: int
    ready: int
    block: int
    quantile: float
    least: float


_LONG = (144, 192)
_SHORT = 32


def anomaly_scores(values: Sequence[float] | Matrix, *, buckets_per_day: int) -> Matrix:
    """The score in [0, 1] of every bucket, from it and earlier ones only; 0 while there is too little history.

    Shapes: values (t,), in any unit, at equal distances, gaps left out -> (t,).
    """
    series = np.asarray(values, dtype=np.float64)
    day = buckets_per_day
    ratio = np.zeros(len(series))
    for length, profile in zip((_SHORT, *_LONG), novelty(series, (_SHORT, *_LONG)), strict=True):
        long_ = length != _SHORT
        yardstick = _Yardstick(2 * length, 3 * length, 150, 0.9 if long_ else 1.0, 1.0 if long_ else 0.9)
        np.maximum(ratio, _strangeness(profile, yardstick), out=ratio)
    season = _season(series, day)
    for feature, ready, least in (
        (np.abs(season), 4 * day, 1.1),
        (np.maximum(season, 0.0), 4 * day, 1.2),
        (np.abs(np.diff(series, prepend=series[:1])), 3 * day, 1.1),
    ):
        np.maximum(ratio, _strangeness(feature, _Yardstick(day, ready, 50, 1.0, least)), out=ratio)
    return _events(ratio)


def novelty(series: Matrix, lengths: Sequence[int]) -> list[Matrix]:
    """For each length, how far the stretch that ends in a bucket is from the nearest one that ended a length before.

    The root mean square of differences, levels included; 0 where there is no such stretch. Shapes: (t,) -> (t,) each.
    """
    buckets = len(series)
    nearest = [np.full(buckets, np.inf) for _ in lengths]
    total = np.zeros(buckets + 1)
    for lag in range(min(lengths), min(buckets, _HISTORY)):
        apart = series[lag:] - series[:-lag]
        np.multiply(apart, apart, out=apart)
        np.cumsum(apart, out=total[1 : len(apart) + 1])
        for length, best in zip(lengths, nearest, strict=True):
            if lag >= length and length <= len(apart):
                sums = total[length : len(apart) + 1] - total[: len(apart) + 1 - length]
                here = best[lag + length - 1 :]
                np.minimum(here, sums, out=here)
    return [
        np.sqrt(np.maximum(np.where(np.isfinite(best), best, 0.0), 0.0) / length)
        for length, best in zip(lengths, nearest, strict=True)
    ]


def _season(series: Matrix, day: int) -> Matrix:
    """The mean over a few buckets of the difference from a day before."""
    change = np.zeros(len(series))
    change[day:] = series[day:] - series[:-day]
    total = np.concatenate([[0.0], np.cumsum(change)])
    at = np.arange(1, len(series) + 1)
    low = np.maximum(at - _SMOOTHED, 0)
    mean: Matrix = (total[at] - total[low]) / (at - low)
    return mean


def _strangeness(feature: Matrix, yardstick: _Yardstick) -> Matrix:
    """The feature over its yardstick; 0 before it is ready, and where the feature has always been nil."""
    buckets, block = len(feature), yardstick.block
    shown = np.where(np.arange(buckets) >= yardstick.since, feature, 0.0)
    whole = buckets // block
    maxima = shown[: whole * block].reshape(whole, block).max(axis=1)
    ratio = np.zeros(buckets)
    for done in range(1, whole + 1):
        usual = float(np.quantile(maxima[max(0, done - _BLOCKS) : done], yardstick.quantile))
        if usual > 0:
            part = slice(done * block, (done + 1) * block)
            ratio[part] = shown[part] / (usual * yardstick.least)
    ratio[: max(_SHORTEST, yardstick.ready)] = 0.0
    return ratio


def _events(ratio: Matrix) -> Matrix:
    """Scores of which only the first of each event reaches ALARM."""
    scores: Matrix = ratio / (1 + ratio)
    last = -_REST - 1
    for at in np.flatnonzero(ratio >= 1).tolist():
        if at - last <= _REST:
            scores[at] /= 2
        last = at
    return scores
