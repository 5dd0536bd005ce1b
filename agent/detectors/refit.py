"""The daily refit of many series: what noise.worst_days says of one day, compiled, for series as columns.

Several series are worked on side by side, so that every inner loop runs over neighbours in memory and becomes vector
instructions; medians of four weeks are a sorting network of minima and maxima. Numba is loaded by the first call.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from agent.detectors.noise import REACH_DAYS
from agent.detectors.series import Matrix

_LANES = 32


def refit(history: Matrix, *, windows: tuple[int, ...], buckets_per_day: int) -> Matrix:
    """How far the worst window of each of the last 28 days was above normal, as noise.worst_days has it for one day.

    Shapes: history (28 * buckets_per_day, s) USD per bucket, oldest first, inf where absent ->
    (windows, 28, s) USD, ascending by day; inf where a day is not known throughout.
    """
    worst = np.empty((len(windows), REACH_DAYS, history.shape[1]))
    kernel()(np.ascontiguousarray(history), np.array(windows, dtype=np.int64), buckets_per_day, worst)
    return worst


@cache
def kernel() -> Callable[..., None]:
    """The compiled refit."""
    from numba import njit

    jit = njit(nogil=True)
    middle_of, daily_of, worst_of, rank = jit(_middles), jit(_daily), jit(_worst), jit(_rank)

    def whole(history: Any, windows: Any, per: int, worst: Any) -> None:
        week, days, series = 7 * per, history.shape[0] // per, history.shape[1]
        # Tiles of their own: only of whole arrays does the compiler know that neighbours lie side by side in memory.
        held, total = np.empty((history.shape[0], _LANES)), np.zeros((history.shape[0] + 1, _LANES))
        middle, factor = np.empty((week, _LANES)), np.empty((week, _LANES))
        found, young = np.empty((len(windows), days, _LANES)), np.empty(_LANES, dtype=np.int64)
        for low in range(0, series, _LANES):
            lanes = min(_LANES, series - low)
            for at in range(history.shape[0]):
                for i in range(lanes):
                    held[at, i] = history[at, low + i]
            middle_of(held, middle, factor, young)
            for i in range(lanes):
                if young[i] > 0:
                    daily_of(held, per, i, middle, factor)
            worst_of(held, windows, per, days, middle, factor, total, found)
            rank(found)
            for k in range(len(windows)):
                for day in range(days):
                    for i in range(lanes):
                        worst[k, day, low + i] = found[k, day, i]

    compiled: Callable[..., None] = jit(whole)
    return compiled


def _middles(held: Any, middle: Any, factor: Any, young: Any) -> None:
    """The median of the known ones of four weeks, the factor for their number; how many buckets have less than two."""
    week, lanes = held.shape[0] // 4, held.shape[1]
    for i in range(lanes):
        young[i] = 0
    for hour in range(week):
        first, second, third, fourth = held[hour], held[week + hour], held[2 * week + hour], held[3 * week + hour]
        for i in range(lanes):
            a, b, c, d = first[i], second[i], third[i], fourth[i]
            low, high = min(a, b), max(a, b)
            less, more = min(c, d), max(c, d)
            least, upper = min(low, less), max(low, less)
            lower = min(high, more)
            one, two = min(upper, lower), max(upper, lower)
            count = (a < np.inf) + (b < np.inf) + (c < np.inf) + (d < np.inf)
            middle[hour, i] = (one + two) / 2 if count == 4 else (one if count == 3 else (least + one) / 2)
            factor[hour, i] = (
                1.2909944487358056 if count == 4 else (1.4142135623730951 if count == 3 else 1.7320508075688772)
            )
            young[i] += count < 2


def _daily(held: Any, per: int, i: int, middle: Any, factor: Any) -> None:
    """Where less than two weeks are known: the median of that hour of the day over all days; inf under two days."""
    days = held.shape[0] // per
    known = np.empty(days)
    for hour in range(per):
        for day in range(days):
            known[day] = held[day * per + hour, i]
        known.sort()
        count = 0
        while count < days and known[count] < np.inf:
            count += 1
        usual = (known[(count - 1) // 2] + known[count // 2]) / 2 if count >= 2 else np.inf
        for day in range(7):
            at = day * per + hour
            weeks = 0
            for week in range(4):
                weeks += held[week * 7 * per + at, i] < np.inf
            if weeks < 2:
                middle[at, i] = usual
                factor[at, i] = np.sqrt((count + 1) / max(count - 1, 1))


def _worst(held: Any, windows: Any, per: int, days: int, middle: Any, factor: Any, total: Any, worst: Any) -> None:
    """The largest window sum of each day from running totals."""
    lanes, week = held.shape[1], 7 * per
    for day in range(days):
        for i in range(lanes):
            worst[0, day, i] = 0.0
        for at in range(day * per, (day + 1) * per):
            hour = at % week
            for i in range(lanes):
                known = held[at, i] < np.inf and middle[hour, i] < np.inf
                total[at + 1, i] = total[at, i] + ((held[at, i] - middle[hour, i]) * factor[hour, i] if known else 0.0)
                worst[0, day, i] = worst[0, day, i] if known else np.inf
    for k in range(len(windows) - 1, -1, -1):
        for day in range(days):
            for i in range(lanes):
                worst[k, day, i] = 0.0 if worst[0, day, i] < np.inf else np.inf
            for at in range(day * per, (day + 1) * per):
                low = max(at + 1 - windows[k], 0)
                for i in range(lanes):
                    worst[k, day, i] = max(worst[k, day, i], total[at + 1, i] - total[low, i])


def _rank(found: Any) -> None:
    """Sort by day in place: odd-even transposition, of which every step is a minimum and a maximum of neighbours."""
    windows, days, lanes = found.shape
    for k in range(windows):
        for step in range(days):
            for day in range(step % 2, days - 1, 2):
                for i in range(lanes):
                    one, two = found[k, day, i], found[k, day + 1, i]
                    found[k, day, i] = min(one, two)
                    found[k, day + 1, i] = max(one, two)
