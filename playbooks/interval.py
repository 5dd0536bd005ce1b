"""Between which amounts the saving of a day may be expected to lie: what strays, and by how much.

Three things do, each by itself: the few requests from which the saving was told, the sessions that will come, and how
busy their hours will be. Requests of a session come and cost together, so sessions are what is counted.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from playbooks.replay.outcome import Nanos
from store.model.usage import NONE, RecordTable

_NINE_IN_TEN = 1.645
"""Standard deviations on either side of the mean."""


class Interval(NamedTuple):
    """Nano-USD."""

    low: int
    high: int


def interval(mid: int, variance: float) -> Interval:
    """Where nine in ten such days lie; `variance` is relative to `mid`. Amounts stray by factors, not by sums."""
    factor = float(np.exp(_NINE_IN_TEN * np.log1p(variance) ** 0.5))
    return Interval(low=round(mid / factor), high=round(mid * factor))


def of_the_sample(records: RecordTable, gain: Nanos, like: Nanos | None) -> float:
    """The relative variance of a total gain, told from these records; with `like`, of the gain over the total of that.

    By sessions, each with what it gains beyond its part. Source: Cochran, Sampling Techniques, chapter 6.
    """
    whose = _sessions(records)
    each = np.bincount(whose, weights=gain)
    if like is not None and like.sum() > 0:
        parts = np.bincount(whose, weights=like)
        beyond = each - each.sum() / parts.sum() * parts
    else:
        beyond = each
    many = int(whose.max()) + 1
    return float((beyond**2).sum() / each.sum() ** 2 * many / max(many - 1, 1))


def of_sessions_to_come(records: RecordTable, gain: Nanos, day_nanos: int, *, share: float) -> float:
    """The relative variance of a day's gain because sessions come by chance, and `share` of them is drawn by lot.

    That of a compound Poisson sum: squares over the sum of what the sessions gain, over the day's sum.
    """
    each = np.bincount(_sessions(records), weights=gain)
    return float((each**2).sum() / each.sum() / day_nanos / share)


def _sessions(records: RecordTable) -> npt.NDArray[np.int64]:
    """A number from 0 for each record's session; a record without one is by itself."""
    sessions = records.column("session_id")
    alone = np.char.add(f"{NONE} ", np.arange(records.rows).astype(str))
    names = np.where(sessions == NONE, alone, sessions).astype(str)
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
