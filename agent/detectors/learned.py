"""Keeps what a look at the spend learned of past days for the looks after it: days that are over seldom change."""

from collections.abc import Callable
from hashlib import blake2b

import numpy as np

from agent.detectors.noise import worst_days
from agent.detectors.series import Ints, Matrix

Line = dict[int, Matrix]
"""Of one series, per window: (days, 28) USD, as noise.worst_days has it."""


class Learned:
    """What noise.worst_days says, kept by what it was told from, so that restated usage is learned anew.

    The caller keeps one, hands it to every look and says when a day begins (`turn`); what a day did not ask for is
    forgotten at its end. A new one gives the same verdicts and costs the first look's time. Memory per series: 224
    bytes for each window and judged day.
    """

    def __init__(self, learn: Callable[..., dict[int, Matrix]] = worst_days) -> None:
        """Start with nothing; `learn` is noise.worst_days or gives the same."""
        self._learn = learn
        self._day = -1
        self._fresh: dict[bytes, Line] = {}
        self._old: dict[bytes, Line] = {}

    def turn(self, day: int) -> None:
        """A look at this day begins; days are numbered in any way."""
        if day != self._day:
            self._day, self._old, self._fresh = day, self._fresh, {}

    def __call__(
        self, usd: Matrix, *, first: Ints, windows: tuple[int, ...], buckets_per_day: int, start: int
    ) -> dict[int, Matrix]:
        """As noise.worst_days, which is asked only about the series whose past is another than it was."""
        past = max(0, usd.shape[1] - 1) // buckets_per_day * buckets_per_day
        keys = _keys(usd[:, :past], first, (*windows, buckets_per_day, start // buckets_per_day, past))
        new = np.array([row for row, key in enumerate(keys) if not self._known(key)], dtype=np.int64)
        if len(new) or not keys:
            found = self._learn(
                usd[new], first=first[new], windows=windows, buckets_per_day=buckets_per_day, start=start
            )
            if not keys:
                return found
            for i, row in enumerate(new):
                self._fresh[keys[row]] = {window: found[window][i].copy() for window in windows}
        return {window: np.stack([self._fresh[key][window] for key in keys]) for window in windows}

    def _known(self, key: bytes) -> bool:
        if key not in self._fresh and key in self._old:
            self._fresh[key] = self._old[key]
        return key in self._fresh


def _keys(past: Matrix, first: Ints, asked: tuple[int, ...]) -> list[bytes]:
    """Of each series, what its noise is told from: the USD of its whole days, its first bucket, and the question."""
    question = np.array(asked, dtype=np.int64).tobytes()
    return [
        blake2b(line.tobytes() + int(begin).to_bytes(8, "big") + question, digest_size=16).digest()
        for line, begin in zip(past, first, strict=True)
    ]
