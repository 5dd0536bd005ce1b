"""What was normal before, from the records of the week before: a limit acts at every hour, not only at this one.

A finding's facts compare the same hours of the week; a limit takes the larger of both, so that a loop at night does
not set a cap that the next working day cannot live with.
"""

import numpy as np
import numpy.typing as npt

from playbooks.replay.outcome import numbers
from store.model.usage import NONE, RecordTable

_MINUTE_US = 60 * 10**6


def requests_per_minute(records: RecordTable, *, per: str | None = None) -> float | None:
    """The 95th percentile of requests a minute over the minutes that had any; None without records.

    With `per`, of each value of that dimension by itself: what one end user or one key normally does.
    """
    keep = numbers(records, "requests") == 1
    if per is not None:
        keep &= records.column(per) != NONE
    if not keep.any():
        return None
    minutes = numbers(records, "occurred_us")[keep] // _MINUTE_US
    whose = np.zeros(len(minutes), dtype=np.int64) if per is None else _codes(records.column(per)[keep])
    _, counts = np.unique(np.stack([minutes, whose], axis=1), axis=0, return_counts=True)
    return float(np.percentile(counts, 95))


def calls_per_session(records: RecordTable) -> float | None:
    """The 99th percentile of calls in a session; None where no record names one."""
    sessions = records.column("session_id")
    sessions = sessions[sessions != NONE]
    if len(sessions) == 0:
        return None
    return float(np.percentile(np.bincount(_codes(sessions)), 99))


def output_tokens(records: RecordTable) -> float | None:
    """The 95th percentile of output tokens of single answered requests; None without any."""
    keep = (numbers(records, "requests") == 1) & (records.column("status") == "ok")
    return float(np.percentile(numbers(records, "output")[keep], 95)) if keep.any() else None


def input_tokens(records: RecordTable) -> float | None:
    """The 95th percentile of input tokens of single answered requests, cached ones included; None without any."""
    keep = (numbers(records, "requests") == 1) & (records.column("status") == "ok")
    classes = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")
    total = sum((numbers(records, name) for name in classes), np.zeros(records.rows, dtype=np.int64))
    return float(np.percentile(total[keep], 95)) if keep.any() else None


def normal_spend(records: RecordTable, seconds: int) -> int:
    """What these records of an earlier time come to in so many seconds, nano-USD.

    Where a row limit cut them, only the time from the first of them on counts.
    """
    if records.rows == 0:
        return 0
    start_us = int(records.column("occurred_us")[0]) if records.cut else records.window.start_us
    covered = max(1, (records.window.end_us - start_us) // 10**6)
    return int(numbers(records, "cost_nanos").sum()) * seconds // covered


def larger(fact: float | None, counted: float | None) -> float | None:
    """The larger of what a finding says and what was counted; None where neither is known."""
    known = [value for value in (fact, counted) if value is not None]
    return max(known, default=None)


def _codes(values: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    return np.unique(values.astype(str), return_inverse=True)[1].astype(np.int64)
