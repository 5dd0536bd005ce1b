"""Order statistics of the past: per cell over lags of itself, per day over the days before it."""

import numpy as np

from agent.detectors.series import Flags, Ints, Matrix


def lagged_median(
    values: Matrix, *, step: int, lags: int, first: Ints, start: int, stop: int | None = None
) -> tuple[Matrix, Ints]:
    """For each column in [start, stop), the median of the values 1..lags steps earlier, and how many there were.

    Values before the column `first[row]` do not exist. Where none exists the median is 0.
    Shapes: values (s, t) -> (s, stop - start), (s, stop - start).
    """
    rows = values.shape[0]
    stop = values.shape[1] if stop is None else stop
    there = np.clip((np.arange(start, stop)[None, :] - first[:, None]) // step, 0, lags)
    most = int(there.max(initial=0))
    ranked: list[Matrix] = []
    for lag in range(1, most + 1):
        fresh = min(max(0, lag * step - start), stop - start)
        line = np.full((rows, stop - start), np.inf)
        line[:, fresh:] = values[:, start + fresh - lag * step : stop - lag * step]
        if lag > int(there.min(initial=lags)):
            line = np.where(there < lag, np.inf, line)
        ranked.append(line)
    sort_lines(ranked)
    middle = np.zeros((rows, stop - start))
    for count in range(max(1, int(there.min(initial=lags))), most + 1):
        both = (ranked[(count - 1) // 2] + ranked[count // 2]) / 2
        middle = np.where(there == count, both, middle)
    return middle, there


def sort_lines(lines: list[Matrix]) -> None:
    """Sort across the list, cell by cell: a network of minima and maxima, several times faster than np.sort here."""
    for end in range(len(lines) - 1, 0, -1):
        for i in range(end):
            upper = np.maximum(lines[i], lines[i + 1])
            np.minimum(lines[i], lines[i + 1], out=lines[i])
            lines[i + 1] = upper


def past_days(days: Matrix, *, valid: Flags, reach: int, start: int) -> tuple[Matrix, Ints]:
    """For each day from `start` on, the valid values of the `reach` days before it, ascending, absent ones last as inf.

    Shapes: days (s, d), valid (s, d) -> (s, d - start, reach), and how many are there (s, d - start).
    """
    held = np.where(valid, days, np.inf)
    padded = np.concatenate([np.full((len(days), reach), np.inf), held], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=1)[:, start : days.shape[1]]
    ranked = np.sort(windows, axis=2)
    return ranked, np.isfinite(ranked).sum(axis=2)


def rank(ranked: Matrix, index: Ints) -> Matrix:
    """The element at `index` (clipped to what exists) of each ascending list; 0 where the list is empty."""
    rows, days, length = ranked.shape
    # By hand: np.take_along_axis takes several times as long for the small lists of a look.
    lists = np.arange(rows * days).reshape(rows, days) * length
    picked = ranked.ravel().take(lists + np.minimum(np.maximum(index, 0), length - 1))
    return np.where(np.isfinite(picked), picked, 0.0)


def median(ranked: Matrix, count: Ints) -> Matrix:
    """The median of each ascending list with `count` elements; 0 where it is empty."""
    return (rank(ranked, (count - 1) // 2) + rank(ranked, count // 2)) / 2


def per_day(values: Matrix, buckets_per_day: int, *, filler: float = 0.0) -> Matrix:
    """Cut columns into UTC days, the last one filled up: (s, t) -> (s, days, buckets_per_day)."""
    rows, columns = values.shape
    missing = -columns % buckets_per_day
    if missing:
        values = np.concatenate([values, np.full((rows, missing), filler)], axis=1)
    return values.reshape(rows, values.shape[1] // buckets_per_day, buckets_per_day)


def whole_days(known: Flags, buckets_per_day: int) -> Flags:
    """Which UTC days are known throughout; a day that is not over is not: (s, t) -> (s, days)."""
    days = per_day(known.astype(np.float64), buckets_per_day)
    whole: Flags = days.min(axis=2, initial=1.0) > 0
    return whole
