"""The limit engines: which recorded requests a rate limit, a session cap or an output cap would have changed.

They take the traffic as it was: a refused caller might have tried again later, or stopped.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from playbooks.replay.outcome import Replayed, numbers, without
from playbooks.replay.price import tokens_of, with_tokens
from store.model.prices import PriceTable
from store.model.usage import NONE, RecordTable

_MINUTE_US = 60 * 10**6


def minute_window(at_us: npt.NDArray[np.int64], *, per_minute: int) -> npt.NDArray[np.bool_]:
    """Which requests pass a limit that counts anew each calendar minute (UTC), as LiteLLM's rpm limit does.

    `at_us` is ascending. The first `per_minute` requests of every minute pass.
    """
    minutes = at_us // _MINUTE_US
    starts = np.searchsorted(minutes, minutes, side="left")
    return np.arange(len(at_us)) - starts < per_minute


def token_bucket(at_us: Iterable[int], *, per_minute: int, burst: int) -> npt.NDArray[np.bool_]:
    """Which requests pass a bucket that holds `burst` and refills evenly at `per_minute`; it starts full.

    `at_us` is ascending. Levels are integers (one request = 60,000,000 units), so no rounding decides a request.
    """
    full, level, before = burst * _MINUTE_US, burst * _MINUTE_US, None
    passed = []
    for now in at_us:
        if before is not None:
            level = min(full, level + (now - before) * per_minute)
        before = now
        admitted = level >= _MINUTE_US
        level -= _MINUTE_US * admitted
        passed.append(admitted)
    return np.array(passed, dtype=np.bool_)


def replay_rate_limit(records: RecordTable, *, per_minute: int) -> Replayed:
    """What the records would have cost under a requests-per-minute limit; provider buckets stay as they are."""
    single = np.flatnonzero(numbers(records, "requests") == 1)
    refused = np.zeros(records.rows, dtype=np.bool_)
    refused[single] = ~minute_window(numbers(records, "occurred_us")[single], per_minute=per_minute)
    return without(records, refused, f"at most {per_minute} requests a minute; refused calls do not come back later")


def replay_session_cap(records: RecordTable, *, max_calls: int) -> Replayed:
    """What the records would have cost if each session ended after so many calls, counted from the first record."""
    sessions = records.column("session_id")
    seen: dict[str, int] = {}
    refused = np.zeros(records.rows, dtype=np.bool_)
    for row, session in enumerate(sessions.tolist()):
        if session == NONE:
            continue
        seen[session] = seen.get(session, 0) + 1
        refused[row] = seen[session] > max_calls
    return without(records, refused, f"at most {max_calls} calls in a session; a stopped task is not begun anew")


def replay_output_cap(records: RecordTable, prices: PriceTable, *, max_tokens: int) -> Replayed:
    """What the records would have cost if no answer were longer; provider buckets stay as they are."""
    old = tokens_of(records)
    single = numbers(records, "requests") == 1
    capped = np.where(single, np.minimum(old["output"], max_tokens), old["output"])
    note = f"at most {max_tokens} output tokens a request; a cut answer is not asked for again"
    return with_tokens(records, prices, {**old, "output": capped}, note)


def replay_block(records: RecordTable) -> Replayed:
    """What the records would have cost if none had been answered."""
    return without(records, np.ones(records.rows, dtype=np.bool_), "nothing of the target is answered any more")
