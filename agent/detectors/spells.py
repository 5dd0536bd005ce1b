"""Turns judged buckets into spells: when the series became abnormal, when that could be said, and when it ended."""

from typing import NamedTuple

import numpy as np

from agent.detectors.judge import Judged
from agent.detectors.series import Ints


class Spell(NamedTuple):
    """Columns, half-open: abnormal from `onset` to `end` (None while it lasts); it could be said after `alarm`.

    `row` counts within the judged rows. `ratio` is the largest excess over its threshold since then.
    """

    row: int
    onset: int
    alarm: int
    end: int | None
    ratio: float
    window: int


def spells(judged: Judged, *, quiet: int) -> list[Spell]:
    """All spells that could be raised from `judged.start` on, by row and time.

    A spell ends once `quiet` buckets in a row were not above normal; a later one may not count what came before that
    end. Every verdict uses earlier columns only, so a longer series repeats the spells of a shorter one.
    """
    alarms = (judged.ratio >= 1).any(axis=0) & judged.hot
    return [
        spell
        for row in np.flatnonzero(alarms.any(axis=1))
        for spell in _of_row(judged, int(row), alarms[row], quiet=quiet)
    ]


def _of_row(judged: Judged, row: int, alarms: np.ndarray, *, quiet: int) -> list[Spell]:
    total = np.concatenate([[0.0], np.cumsum(judged.excess[row])])
    hot, start = judged.hot[row], judged.start
    found: list[Spell] = []
    fence = 0
    columns = len(hot)
    resume = 0
    for at in np.flatnonzero(alarms):
        if at < resume:
            continue
        ratio, window = _strongest(judged, row, int(at), total, fence)
        if ratio < 1:
            continue
        onset = _onset(judged.excess[row], alarm=start + int(at), window=window, fence=fence, hot=hot, start=start)
        end = _end(hot, int(at), quiet)
        last = columns if end is None else end
        peak = max(ratio, _peak(judged, row, np.flatnonzero(hot[at:last]) + at, total, fence))
        found.append(Spell(row, onset, start + int(at), None if end is None else start + end, peak, window))
        if end is None:
            break
        fence = start + end
        resume = end
    return found


def _strongest(judged: Judged, row: int, at: int, total: np.ndarray, fence: int) -> tuple[float, int]:
    """The largest excess over threshold of the windows that end in this column, cut at the fence; its length."""
    column = judged.start + at
    best, length = 0.0, 1
    for i, window in enumerate(judged.windows):
        low = max(column + 1 - window, fence)
        ratio = float((total[column + 1] - total[low]) / judged.threshold[i, row, at])
        if ratio > best:
            best, length = ratio, column + 1 - low
    return best, length


def _peak(judged: Judged, row: int, columns: Ints, total: np.ndarray, fence: int) -> float:
    """The largest excess over threshold of the windows that end in any of these columns, cut at the fence."""
    after = judged.start + columns + 1
    low = np.maximum(after - np.array(judged.windows)[:, None], fence)
    return float(((total[after] - total[low]) / judged.threshold[:, row, columns]).max(initial=0.0))


def _onset(excess: np.ndarray, *, alarm: int, window: int, fence: int, hot: np.ndarray, start: int) -> int:
    """Where the cumulative excess, less half the alerting window's mean, began to rise for good.

    Source: Page (1954), the CUSUM change-point estimate. Adjoining buckets above normal belong to it.
    """
    low = max(fence, alarm + 1 - 2 * window)
    drift = excess[alarm + 1 - window : alarm + 1].mean() / 2
    climb = np.cumsum((excess[low : alarm + 1] - drift)[::-1])
    onset = alarm - int(np.argmax(climb))
    while onset - 1 >= max(fence, start) and hot[onset - 1 - start]:
        onset -= 1
    return onset


def _end(hot: np.ndarray, at: int, quiet: int) -> int | None:
    """The column after the last abnormal one, once `quiet` columns followed it; None while they have not."""
    warm = np.flatnonzero(hot[at:]) + at
    gaps = np.flatnonzero(np.diff(warm) > quiet)
    last = int(warm[gaps[0]] if len(gaps) else warm[-1]) + 1
    return last if len(hot) - last >= quiet else None
