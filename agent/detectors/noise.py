"""What a series does without any cause: how far its past days strayed, told with today's knowledge of them.

The baseline of a young series was poor in its first weeks, and what strayed from it then says little. So at the start
of every day the past four weeks are looked at again: each bucket against the median of its hour of the week over all
of them, itself among them, which is made up for by a factor. An incident that lies in the past is one day or a few
among many: days far beyond what the others let expect are no noise and are left out (`tail`).
"""

import numpy as np

from agent.detectors.series import Flags, Ints, Matrix
from agent.detectors.trailing import median, per_day, rank, sort_lines

REACH_DAYS = 28
_WEEKS = 4
_CELLS = 150_000
"""What is worked on at once stays within a processor's cache."""
_NO_NOISE = 6.0
"""Beyond this many times the distance from the median day to the upper quartile a day was an incident."""
_GAUSS_TENTH = 3.2
"""The worst day but a tenth of a month of Gaussian noise lies about three standard deviations out."""
_STEPS = 3.0
_LONGER = 1.3
"""Longer windows leave the greater part of the false-alert budget to the single bucket, where a short spike shows."""
_SECOND = 1.3
_FEW = 3.0
_UNKNOWN = 0.1
"""Overdispersion of a series whose first day it is: a third of the baseline as standard deviation."""
_NEAR_HOURS = 2
_ALIKE_DAYS = (1, 7)
_BUSY_SHARE = 2 / 3
"""Hours that spend more than this share of the busiest one may be as noisy as it is."""
_QUIETEST = 0.35


def worst_days(
    usd: Matrix, *, first: Ints, windows: tuple[int, ...], buckets_per_day: int, start: int
) -> dict[int, Matrix]:
    """For each window length, how far the worst window of each of the 28 days before a day was above normal, in USD.

    Days that are not known throughout are inf. Shapes: usd (s, t) USD per bucket, first (s,) -> each (s, days - d0, 28)
    ascending, for the days from d0 = start // buckets_per_day on; a day's values are told from whole days before it.
    """
    rows, per = len(usd), buckets_per_day
    d0, days = start // per, -(-usd.shape[1] // per)
    there = np.arange(usd.shape[1])[None, :] >= first[:, None]
    padded = np.full((rows, (REACH_DAYS + days) * per), np.inf)
    padded[:, REACH_DAYS * per : REACH_DAYS * per + usd.shape[1]] = np.where(there, usd, np.inf)
    views = np.lib.stride_tricks.sliding_window_view(padded, REACH_DAYS * per, axis=1)[:, d0 * per : days * per : per]
    found = {window: np.empty((rows, days - d0, REACH_DAYS)) for window in windows}
    some = max(1, _CELLS // max(1, (days - d0) * REACH_DAYS * per))
    for low in range(0, rows, some):
        held = np.ascontiguousarray(views[low : low + some]).reshape(-1, _WEEKS, 7 * per)
        for window, worst in _worst(*_strayed(held, per), windows, per).items():
            found[window][low : low + some] = worst.reshape(-1, days - d0, REACH_DAYS)
    return found


def _worst(excess: Matrix, known: Flags, windows: tuple[int, ...], per: int) -> dict[int, Matrix]:
    total = np.cumsum(excess, axis=1)
    found = {}
    for window in windows:
        over = total.copy()
        over[:, window:] -= total[:, :-window]
        worst = np.maximum(_largest(over.reshape(len(over), REACH_DAYS, per)), 0.0)
        found[window] = np.sort(np.where(known, worst, np.inf), axis=1)
    return found


def _largest(values: Matrix) -> Matrix:
    """The maximum over the last axis, by halves: many times faster than a reduction over a short axis."""
    while values.shape[2] % 2 == 0:
        half = values.shape[2] // 2
        values = np.maximum(values[:, :, :half], values[:, :, half:])
    largest: Matrix = values.max(axis=2)
    return largest


def _strayed(held: Matrix, per: int) -> tuple[Matrix, Flags]:
    """Four weeks against the median of their hour of the week: (n, 28 * per) USD, and which days are known (n, 28).

    Shape: held (n, 4, 7 * per) USD per bucket, inf where absent.
    """
    rows, weeks, week = held.shape
    present = np.isfinite(held)
    count = present.sum(axis=1)
    ranked = [held[:, i].copy() for i in range(weeks)]
    sort_lines(ranked)
    middle = np.full((rows, week), np.inf)
    for n in range(2, weeks + 1):
        np.copyto(middle, (ranked[(n - 1) // 2] + ranked[n // 2]) / 2, where=count == n)
    young = np.flatnonzero((count < 2).any(axis=1))
    if len(young):
        by_hour = np.sort(held[young].reshape(len(young), weeks * 7, per).transpose(0, 2, 1), axis=2)
        there = np.isfinite(by_hour).sum(axis=2)
        daily = np.tile(np.where(there >= 2, median(by_hour, there), np.inf), 7)
        single = count[young] < 2
        middle[young] = np.where(single, daily, middle[young])
        count[young] = np.where(single, np.tile(there, 7), count[young])
    itself = np.sqrt((count + 1) / np.maximum(count - 1, 1))
    usual = np.isfinite(middle)
    known = present & usual[:, None, :]
    excess = np.where(known, held, 0.0)
    excess -= np.where(known, np.where(usual, middle, 0.0)[:, None, :], 0.0)
    excess *= itself[:, None, :]
    return excess.reshape(rows, weeks * week), known.reshape(rows, REACH_DAYS, per).all(axis=2)


def tail(ranked: Matrix, count: Ints, *, sigmas: float, window: int) -> Matrix:
    """How far a window may stray at the false-alert budget, from the worst windows of `count` past days.

    The larger of a multiple of the worst day but a tenth, which is right for light tails, and of the median day plus
    steps of the distance from it to that day, which is right for exponential ones (the Gumbel law of daily maxima);
    more while the days are few. Shapes: `window` in buckets; ranked (s, d, n) ascending, absent ones last as inf;
    count (s, d) -> (s, d).
    """
    middle, quarter = median(ranked, count), rank(ranked, 3 * count // 4)
    calm = (ranked <= (middle + _NO_NOISE * (quarter - middle))[:, :, None]).sum(axis=2)
    calm = np.clip(calm, np.minimum(3 * count // 4 + 1, count), count)
    tenth = rank(ranked, calm - 1 - calm // 10)
    sigmas *= _LONGER if window > 1 else 1.0
    light = tenth * sigmas / _GAUSS_TENTH
    heavy = middle + (tenth - middle) * sigmas / _STEPS
    grown = np.maximum(light, heavy) * (1 + _FEW / np.maximum(count, 1))
    return np.maximum(grown, rank(ranked, np.maximum(calm - 2, 0)) * _SECOND)


def quieter(expected: Matrix, *, whole: Flags, buckets_per_day: int) -> Matrix:
    """How much of a day's worst single bucket to expect at this hour: 1 at busy hours, less at quiet ones.

    The worst bucket of a day falls into its busy hours, and noise shrinks with what is usual: as its square root if
    events are independent (Poisson), faster if it is relative; the square root is the slower, so no alert is false by
    it. What is usual is the most of the same hour and two beside it, yesterday and a week ago: idle hours by chance are
    no quiet ones. Busy is the busiest hour of the week before. Days that were not known throughout are left out.
    Shapes: expected (s, t) USD per bucket, whole (s, days) -> (s, t) in [0.35, 1].
    """
    days = per_day(expected, buckets_per_day) * whole[:, :, None]
    near = _widest(days, _NEAR_HOURS * buckets_per_day // 24)
    peaks, usual, peak = near.max(axis=2, initial=0.0), np.zeros_like(near), np.zeros(near.shape[:2])
    for back in range(1, min(7, near.shape[1] - 1) + 1):
        peak[:, back:] = np.maximum(peak[:, back:], peaks[:, :-back])
        if back in _ALIKE_DAYS:
            usual[:, back:] = np.maximum(usual[:, back:], near[:, :-back])
    busy = _BUSY_SHARE * np.where(usual.any(axis=2), peak, 0.0)[:, :, None]
    share = np.divide(usual, busy, out=np.ones_like(usual), where=busy > 0)
    quiet: Matrix = np.sqrt(np.clip(share, _QUIETEST**2, 1.0))
    return quiet.reshape(len(days), days.shape[1] * buckets_per_day)[:, : expected.shape[1]]


def _widest(days: Matrix, reach: int) -> Matrix:
    """The largest of each bucket and `reach` ones at either side, around the clock: (s, d, n) -> (s, d, n)."""
    largest, width = days, 1
    while width < 2 * reach + 1:
        step = min(width, 2 * reach + 1 - width)
        largest = np.maximum(largest, np.roll(largest, step, axis=2))
        width += step
    return np.roll(largest, -reach, axis=2)


def overdispersion(
    excess: Matrix, expected: Matrix, *, unit_usd: Matrix, known: Flags, buckets_per_day: int, start: int
) -> Matrix:
    """The squared relative noise of a bucket beyond what chance gives at its number of requests.

    By moments, per day; the median of the 28 days before. Shapes: (s, t), unit_usd (s, days) -> (s, days - d0).
    """
    square = per_day(np.where(known, excess, 0.0) ** 2, buckets_per_day).sum(axis=2)
    base = per_day(expected, buckets_per_day).sum(axis=2)
    base_square = per_day(expected**2, buckets_per_day).sum(axis=2)
    beyond = np.maximum(square - unit_usd * base, 0.0)
    share = np.divide(beyond, base_square, out=np.full_like(beyond, np.inf), where=base_square > 0)
    padded = np.concatenate([np.full((len(share), REACH_DAYS), np.inf), share], axis=1)
    ranked = np.sort(np.lib.stride_tricks.sliding_window_view(padded, REACH_DAYS, axis=1)[:, : share.shape[1]], axis=2)
    count = np.isfinite(ranked).sum(axis=2)
    return np.where(count > 0, median(ranked, count), _UNKNOWN)[:, start // buckets_per_day :]
