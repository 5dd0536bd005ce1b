"""Spend judged while it arrives: O(1) per series and bucket, with the verdicts of the batch road.

What a bucket is judged by, its baseline and the threshold of every window, follows from whole days before it
(judge.py). So it is laid out once a day from history by the batch code itself (`plan`), for every bucket of the coming
day; a tick is then one addition, and one subtraction and one division per window. Windows reach over midnight through a
ring of running totals. Nothing but history is needed to start: a process that died starts again from the warehouse.
Series are columns here (time-major), so that a tick reads memory in order. Memory per series and bucket of
a day: 4 bytes for each window and 17 more; 8 for each bucket of the longest window: 1.5 kB for hours, 18 kB for five
minutes.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from agent.detectors.noise import REACH_DAYS
from agent.detectors.refit import refit
from agent.detectors.series import Flags, Ints, Matrix, SeriesSet
from agent.detectors.settings import DetectorSettings
from agent.detectors.spend import judge_spend

Single = npt.NDArray[np.float32]
_CHUNK = 512


class Plan(NamedTuple):
    """One day: baseline and warm USD (buckets, s), thresholds in USD (buckets, windows, s), and whether it is known."""

    baseline: Matrix
    warm: Matrix
    threshold: Single
    known: Flags


class Ticked(NamedTuple):
    """The verdict on one bucket: excess over threshold of the strongest window, that window, and whether it is hot."""

    ratio: Single
    window: npt.NDArray[np.int8]
    hot: Flags


class Stream:
    """The state of all series: today's plan, and running totals of the excess over the longest window."""

    def __init__(self, today: Plan, past: Matrix, settings: DetectorSettings) -> None:
        """Start a day with its plan, and the excess of the buckets before it: (t, s) USD, oldest first."""
        rows = today.baseline.shape[1]
        self._plan, self._bucket = today, 0
        self._windows = np.array(settings.windows, dtype=np.int64)
        self._ring, self._at = np.zeros((int(self._windows[-1]) + 1, rows)), 0
        for excess in past[-int(self._windows[-1]) :]:
            self._advance(excess)
        self._ratio = np.zeros(rows, dtype=np.float32)
        self._strongest, self._hot = np.zeros(rows, dtype=np.int8), np.zeros(rows, dtype=np.bool_)

    @classmethod
    def after(cls, history: SeriesSet, settings: DetectorSettings) -> "Stream":
        """Start after the last whole day of history; its later buckets are ticked by the caller."""
        today, past = plan(history, settings)
        return cls(today, past, settings)

    def tick(self, usd: Matrix) -> Ticked:
        """Judge the next bucket of every series: (s,) USD. The arrays of the answer are used again by the next tick.

        A day has as many ticks as buckets; then `turn` must come.
        """
        today, at = self._plan, self._bucket
        kernel()(
            usd,
            today.baseline[at],
            today.known[at],
            today.warm[at],
            today.threshold[at],
            self._windows,
            self._ring,
            self._at,
            self._ratio,
            self._strongest,
            self._hot,
        )
        self._at = (self._at + 1) % len(self._ring)
        self._bucket += 1
        return Ticked(self._ratio, self._strongest, self._hot)

    def turn(self, tomorrow: Plan) -> None:
        """A day is over: go on with the plan of the next one."""
        self._plan, self._bucket = tomorrow, 0

    def _advance(self, excess: Matrix) -> None:
        after = (self._at + 1) % len(self._ring)
        self._ring[after] = self._ring[self._at] + excess
        self._at = after


def plan(history: SeriesSet, settings: DetectorSettings) -> tuple[Plan, Matrix]:
    """The day after the last whole day of history, and the excess of the buckets before it: (t, s) USD, oldest first.

    By the batch code, over a day of zeros put behind the history: no verdict looks at the day that it is for.
    """
    per, rows = settings.buckets_per_day, len(history.usd)
    start = history.buckets // per * per
    reach = min(start, int(settings.windows[-1]))
    baseline, warm = np.zeros((per, rows)), np.zeros((per, rows))
    threshold = np.zeros((per, len(settings.windows), rows), np.float32)
    known, past = np.zeros((per, rows), np.bool_), np.zeros((reach, rows))
    for low in range(0, rows, _CHUNK):
        some = slice(low, min(rows, low + _CHUNK))
        part = _padded(history, some, start, per)
        judged = judge_spend(part, start=start, settings=settings, every=True, worst=_refitted)
        baseline[:, some] = judged.baseline[:, start:].T
        known[:, some] = judged.known[:, start:].T
        warm[:, some] = judged.warm.T
        threshold[:, :, some] = judged.threshold.transpose(2, 0, 1)
        past[:, some] = judged.excess[:, start - reach : start].T
    return Plan(baseline, warm, threshold, known), past


def _padded(history: SeriesSet, some: slice, start: int, per: int) -> SeriesSet:
    part = history.take(np.arange(some.start, some.stop))
    fill = np.zeros((len(part.usd), per))

    def wider(values: Matrix) -> Matrix:
        return np.concatenate([values[:, :start], fill], axis=1)

    return part._replace(
        usd=wider(part.usd),
        requests=wider(part.requests),
        tokens_in=wider(part.tokens_in),
        cache_read=wider(part.cache_read),
    )


def _refitted(
    usd: Matrix, *, first: Ints, windows: tuple[int, ...], buckets_per_day: int, start: int
) -> dict[int, Matrix]:
    """As noise.worst_days, for the one day that a plan is for."""
    past = np.where(np.arange(start)[None, :] >= first[:, None], usd[:, :start], np.inf)
    reach = REACH_DAYS * buckets_per_day
    if start < reach:
        past = np.concatenate([np.full((len(usd), reach - start), np.inf), past], axis=1)
    worst = refit(past[:, -reach:].T, windows=windows, buckets_per_day=buckets_per_day)
    return {window: worst[k].T[:, None, :] for k, window in enumerate(windows)}


@cache
def kernel() -> Callable[..., None]:
    """The compiled tick; numba is loaded by the first call, and by nobody who does not stream."""
    from numba import njit

    compiled: Callable[..., None] = njit(cache=False, nogil=True)(_tick)
    return compiled


def _tick(
    usd: Any,
    baseline: Any,
    known: Any,
    warm: Any,
    threshold: Any,
    windows: Any,
    ring: Any,
    at: int,
    ratio: Any,
    strongest: Any,
    hot: Any,
) -> None:
    """One bucket of all series; plain loops over rows that lie in memory order, for numba."""
    length, rows = ring.shape
    after = (at + 1) % length
    before, now = ring[at], ring[after]
    for i in range(rows):
        excess = usd[i] - baseline[i] if known[i] else 0.0
        now[i] = before[i] + excess
        hot[i] = excess > warm[i]
    for k in range(len(windows)):
        old, limit = ring[(after - windows[k]) % length], threshold[k]
        for i in range(rows):
            over = np.float32(now[i] - old[i]) / limit[i]
            better = k == 0 or over > ratio[i]
            ratio[i] = over if better else ratio[i]
            strongest[i] = k if better else strongest[i]
