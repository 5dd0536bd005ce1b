"""How far each leaf moved, how much that counts, and how much of it is noise."""

from typing import NamedTuple

import numpy as np

from agent.analyst.leaves import Floats

NORMAL_QUANTILE = 0.4
"""The noise is read from this quantile of the absolute deviations: the leaves of a cause lie above it."""

_OF_NORMAL = 0.5244
"""That quantile of |z| for a standard normal z."""

LEAST_NOISE = 1e-3
"""The least noise that is believed, as a relative deviation: forecasts are never exact."""

SOFTEST = 10.0
"""The noise of small leaves is believed to reach up to this many median sizes, no further."""

BEYOND_NOISE = 3.0
"""What of a leaf's change exceeds this many standard deviations of its noise is there to be explained."""


class Deviations(NamedTuple):
    """n leaves: relative deviation in [-2, 2], weight in [0, 1) (0: no say), and signed amount of the change.

    `noise` is the variance of the relative deviation of a leaf of weight 1; a leaf of weight w has noise / w.
    `explainable` is the amount of all changes beyond noise, without signs.
    """

    relative: Floats
    weight: Floats
    amount: Floats
    noise: float
    explainable: float


def deviations(actual: Floats, expected: Floats, weight: Floats | None) -> Deviations:
    """Measure the leaves of an additive measure or, with weights (the denominators), of a ratio.

    The relative deviation is 2 (a - e) / (a + e): equal for all leaves that move by one factor, +2 for a leaf that is
    new, -2 for one that ended. For a ratio a quarter of the overall ratio is added below, so that a rate near zero
    moves by points rather than by factors; an expectation that is not known (NaN) is the overall one.
    The variance of the noise is modelled as s (1 + k / size), so that small leaves count less. k is fitted; for a
    ratio it is at least the median size, since a mean over few requests is noisy whatever the fit says.

    Source: deviation score of Li et al. (Squeeze), ISSRE 2019.
    """
    if weight is None:
        size = level = (actual + expected) / 2
        amount = actual - expected
    else:
        size = weight
        expected = np.where(np.isnan(expected), _overall(expected, weight), expected)
        overall = _overall(np.maximum(actual, expected), weight)
        level = (actual + expected) / 2 + overall / 4
        amount = (actual - expected) * weight
    live = (size > 0) & (level > 0)
    relative = np.divide(actual - expected, level, out=np.zeros(len(actual)), where=live)
    if not live.any():
        return Deviations(relative, np.zeros(len(actual)), amount, LEAST_NOISE**2, 0.0)
    softening = _softening(relative[live], size[live])
    if weight is not None:
        softening = max(softening, float(np.median(size[live])))
    weights = np.divide(size, size + softening, out=np.zeros(len(actual)), where=live)
    noise = max(_variance(np.sqrt(weights[live]) * relative[live]), LEAST_NOISE**2)
    spread = level[live] * np.sqrt(noise / weights[live]) * (1.0 if weight is None else weight[live])
    beyond = np.maximum(0.0, np.abs(amount[live]) - BEYOND_NOISE * spread)
    return Deviations(relative, weights, amount, noise, float(beyond.sum()))


def _overall(ratio: Floats, weight: Floats) -> float:
    """The ratio of all leaves whose ratio is known."""
    known = ~np.isnan(ratio)
    total = float(weight[known].sum())
    return float((weight * ratio)[known].sum()) / total if total > 0 else 0.0


def _variance(deviation: Floats) -> float:
    """The variance of the normal leaves."""
    return float((np.quantile(np.abs(deviation), NORMAL_QUANTILE) / _OF_NORMAL) ** 2)


def _softening(relative: Floats, size: Floats) -> float:
    """The k of s (1 + k / size), from the variance among the smallest quarter and among the larger half."""
    low, median = np.quantile(size, [0.25, 0.5])
    small, large = size <= low, size >= median
    of_small, of_large = _variance(relative[small]), _variance(relative[large])
    per_small, per_large = 1 / float(np.median(size[small])), 1 / float(np.median(size[large]))
    own = (of_small - of_large) / (per_small - per_large) if per_small > per_large else 0.0
    shared = max(of_large - own * per_large, LEAST_NOISE**2)
    return min(max(0.0, own) / shared, SOFTEST * float(median))
