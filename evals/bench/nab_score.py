"""The NAB score: detections on labelled series, early ones inside a window worth more, those outside cost.

Source: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms", ICMLA 2015; scorer of numenta/NAB v1.1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_MAX_PROBATION, _PROBATION_SHARE = 750, 0.15


class Profile(NamedTuple):
    """What a false detection and a missed window cost, relative to a window found at its very start."""

    name: str
    fp: float
    fn: float


PROFILES = (Profile("standard", 0.11, 1.0), Profile("reward low FP", 0.22, 1.0), Profile("reward low FN", 0.11, 2.0))


class Windows(NamedTuple):
    """The labelled windows of one series of `rows` rows: first and last row of each, both inclusive, ascending."""

    rows: int
    spans: Sequence[tuple[int, int]]


def probation(rows: int) -> int:
    """How many rows at the start of a series do not count."""
    return min(int(_PROBATION_SHARE * rows), _MAX_PROBATION)


def nab_score(scores: Sequence[Floats], windows: Sequence[Windows], profile: Profile, threshold: float) -> float:
    """The NAB score, 100 for every window found at its start and nothing else, 0 for no detection at all.

    `scores` has one array per series, one score per row; a row is a detection if its score is `threshold` or more.
    """
    total = 0.0
    for score, one in zip(scores, windows, strict=True):
        worth, window = _worth(one)
        hit = score[probation(one.rows) :] >= threshold
        total += profile.fp * float(worth[hit & (window < 0)].sum())
        for i in range(len(one.spans)):
            mine = worth[hit & (window == i)]
            total += float(mine.max()) + profile.fn if len(mine) else 0.0
    return _normal(total, windows, profile)


def best_threshold(scores: Sequence[Floats], windows: Sequence[Windows], profile: Profile) -> tuple[float, float]:
    """The threshold, one over all series, with the highest NAB score, and that score; infinity and 0 if none helps.

    A threshold chosen on the labels that it is scored on flatters: report the score at a fixed one beside it.
    """
    parts, offset = [], 0
    for score, one in zip(scores, windows, strict=True):
        worth, window = _worth(one)
        parts.append((score[probation(one.rows) :], worth, np.where(window < 0, -1, window + offset)))
        offset += len(one.spans)
    at, worth, window = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(-at, kind="stable")
    at, worth, window = at[order], worth[order], window[order]
    gain = np.where(window < 0, profile.fp * worth, 0.0)
    best_in: dict[int, float] = {}
    for i in np.flatnonzero(window >= 0):
        here = int(window[i])
        before = best_in.get(here)
        if before is None or worth[i] > before:
            gain[i] = worth[i] + profile.fn if before is None else worth[i] - before
            best_in[here] = float(worth[i])
    totals = np.cumsum(gain)
    whole = np.flatnonzero(np.append(at[1:] != at[:-1], True))
    best = int(whole[np.argmax(totals[whole])])
    if totals[best] <= 0:
        return float("inf"), 0.0
    return float(at[best]), _normal(float(totals[best]), windows, profile)


def _normal(total: float, windows: Sequence[Windows], profile: Profile) -> float:
    most = sum(len(one.spans) for one in windows) * (1 + profile.fn)
    return 100 * total / most


def _worth(one: Windows) -> tuple[Floats, npt.NDArray[np.int64]]:
    """What a detection in each row after probation is worth, and in which window the row lies (-1: in none)."""
    row = np.arange(one.rows)
    worth, window = np.full(one.rows, -1.0), np.full(one.rows, -1)
    for i, (first, last) in enumerate(one.spans):
        inside, after = slice(first, last + 1), slice(last + 1, None)
        worth[inside] = _sigmoid(-(last - row[inside] + 1) / (last - first + 1)) / _sigmoid(np.array(-1.0))
        window[inside] = i
        worth[after] = _sigmoid((row[after] - last) / max(1, last - first))
    start = probation(one.rows)
    return worth[start:], window[start:]


def _sigmoid(x: Floats) -> Floats:
    value: Floats = np.where(x > 3, -1.0, 2 / (1 + np.exp(np.minimum(5 * x, 50.0))) - 1)
    return value
