"""The limit engines: which recorded requests a rate limit, a session cap or an output cap would have changed.

The middle figure takes the traffic as it was. The low one takes refused callers to come back: a refused call is tried
again, a stopped task is begun once more, a cut answer is asked for again.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from playbooks.replay.kernels import BUCKET, QUEUE, REQUEST
from playbooks.replay.outcome import Nanos, Replayed, numbers, without
from playbooks.replay.price import tokens_of, with_tokens
from store.model.prices import PriceTable
from store.model.usage import NONE, RecordTable

Refused = npt.NDArray[np.bool_]

_MINUTE_US = 60 * 10**6
_64_BITS = 2**62
_STRETCH = 32_768
"""Requests whose times fit into a processor's own cache."""

RETRIES_US = (1 * 10**6, 3 * 10**6, 7 * 10**6)
"""When a refused call comes back after it first came: pauses of 1, 2 and 4 s, as the vendors' clients make them."""


def minute_window(at_us: npt.NDArray[np.int64], *, per_minute: int) -> npt.NDArray[np.bool_]:
    """Which requests pass a limit that counts anew each calendar minute (UTC), as LiteLLM's rpm limit does.

    `at_us` is ascending. The first `per_minute` requests of every minute pass.
    """
    minutes = at_us // _MINUTE_US
    starts = np.searchsorted(minutes, minutes, side="left")
    return np.arange(len(at_us)) - starts < per_minute


def token_bucket(at_us: npt.NDArray[np.int64], *, per_minute: int, burst: int) -> npt.NDArray[np.bool_]:
    """Which requests pass a bucket that holds `burst` and refills evenly at `per_minute`; it starts full.

    `at_us` is ascending. Levels are integers (one request = 60,000,000 units), so no rounding decides a request.
    """
    passed = np.zeros(len(at_us), dtype=np.bool_)
    begin, span = (int(at_us[0]), int(at_us[-1]) - int(at_us[0])) if len(at_us) else (0, 0)
    room = (burst - 1) * REQUEST
    wide = span * per_minute + room >= _64_BITS
    run = BUCKET.fast if not wide and BUCKET.pays(len(at_us)) else BUCKET.plain
    due = -room
    for start in range(0, len(at_us), _STRETCH):
        at = at_us[start : start + _STRETCH]
        # NumPy reads ahead, so that the loop finds its stretch in the processor's cache: that makes half its time.
        flowed = ((at.astype(np.object_) if wide else at) - begin) * per_minute
        due = run(flowed, room, due, passed[start : start + _STRETCH])
    return passed


class Queued(NamedTuple):
    """What became of each request at a bucket with a line in front of it."""

    passed: npt.NDArray[np.bool_]
    delay_us: Nanos
    """From when it first came to when it passed; 0 where it never did."""
    tries: Nanos
    """How often it came."""


def queued(
    at_us: npt.NDArray[np.int64], *, per_minute: int, burst: int, patience_us: int = 0, waits_us: tuple[int, ...] = ()
) -> Queued:
    """Let requests wait in line for a bucket, give up, and come back.

    Args:
        at_us: when each request first came, ascending.
        per_minute: how many pass in a minute.
        burst: how many pass at once after a pause.
        patience_us: who would have to wait longer is refused.
        waits_us: when a refused request comes back, after it first came; ascending. After the last it gives up.
    """
    rows, retries = len(at_us), len(waits_us)
    waiting = np.zeros((max(retries, 1), rows), dtype=np.int64)
    passed, delay, tries = (np.zeros(rows, dtype=np.int64) for _ in range(3))
    waits = np.array(waits_us, dtype=np.int64)
    QUEUE(rows * (1 + retries), at_us, per_minute, burst, patience_us, waits, waiting, passed, delay, tries)
    return Queued(passed.astype(np.bool_), delay, tries)


def replay_rate_limit(records: RecordTable, *, per_minute: int) -> Replayed:
    """What the records would have cost under a requests-per-minute limit; provider buckets stay as they are."""
    refused = beyond_rate(records, per_minute=per_minute)
    single = np.flatnonzero(numbers(records, "requests") == 1)
    at_us = numbers(records, "occurred_us")[single]
    surely = np.zeros(records.rows, dtype=np.bool_)
    back = queued(at_us, per_minute=per_minute, burst=per_minute, waits_us=RETRIES_US)
    surely[single] = ~back.passed
    note = (
        f"at most {per_minute} requests a minute; refused calls do not come back later (low: they try three times more,"
        f" which makes {int(back.tries.sum()) - len(single):,} further calls)"
    )
    return without(records, refused, note, surely=surely)


def beyond_rate(records: RecordTable, *, per_minute: int) -> Refused:
    """Which records a requests-per-minute limit refuses; provider buckets never."""
    single = np.flatnonzero(numbers(records, "requests") == 1)
    refused = np.zeros(records.rows, dtype=np.bool_)
    refused[single] = ~minute_window(numbers(records, "occurred_us")[single], per_minute=per_minute)
    return refused


def beyond_cap(records: RecordTable, *, max_calls: int) -> Refused:
    """Which records are later than the so manieth call of their session, counted from the first record."""
    return _nth_call(records) > max_calls


def _nth_call(records: RecordTable) -> Nanos:
    """The how manieth call of its session each record is; 0 where it has none."""
    sessions = records.column("session_id")
    seen: dict[str, int] = {}
    calls = np.zeros(records.rows, dtype=np.int64)
    for row, session in enumerate(sessions.tolist()):
        if session != NONE:
            seen[session] = calls[row] = seen.get(session, 0) + 1
    return calls


def replay_session_cap(records: RecordTable, *, max_calls: int) -> Replayed:
    """What the records would have cost if each session ended after so many calls, counted from the first record."""
    calls = _nth_call(records)
    note = f"at most {max_calls} calls in a session; a stopped task is not begun anew (low: it is, once)"
    return without(records, calls > max_calls, note, surely=calls > 2 * max_calls)


def replay_output_cap(records: RecordTable, prices: PriceTable, *, max_tokens: int) -> Replayed:
    """What the records would have cost if no answer were longer; provider buckets stay as they are."""
    old = tokens_of(records)
    cut = (numbers(records, "requests") == 1) & (old["output"] > max_tokens)
    new = {**old, "output": np.where(cut, max_tokens, old["output"])}
    again = {name: np.where(cut, 2 * counts, counts) for name, counts in new.items()}
    note = f"at most {max_tokens} output tokens a request; a cut answer is not asked for again (low: it is, once)"
    return with_tokens(records, prices, new, note, cautious=again)


def replay_attempts(records: RecordTable, *, most: int) -> Replayed:
    """What the records would have cost if nothing were tried more than `most` times; also needs `attempt`."""
    late = (numbers(records, "requests") == 1) & (numbers(records, "attempt") > most)
    return without(records, late, f"at most {most} attempts for a request; what fails then is not asked again")


def replay_context_cap(records: RecordTable, *, max_input_tokens: int) -> Replayed:
    """What the records would have cost if longer prompts were refused; provider buckets stay as they are."""
    tokens = tokens_of(records)
    context = tokens["input_uncached"] + tokens["cache_read"] + tokens["cache_write_5m"] + tokens["cache_write_1h"]
    long = (numbers(records, "requests") == 1) & (context > max_input_tokens)
    note = f"prompts of more than {max_input_tokens:,} tokens are refused and not sent again in parts (low: half are)"
    half = long & (np.cumsum(long) % 2 == 0)
    return without(records, long, note, surely=half)


def replay_budget(records: RecordTable, *, max_nanos: int) -> Replayed:
    """What the records would have cost if each UTC day ended once so much was spent; the last request may pass it."""
    days = numbers(records, "occurred_us") // (24 * 60 * _MINUTE_US)
    cost = numbers(records, "cost_nanos")
    starts = np.flatnonzero(np.diff(days, prepend=days[:1] - 1))
    spent = np.cumsum(cost) - cost
    spent_today = spent - np.repeat(spent[starts], np.diff(np.append(starts, len(days))))
    return without(records, spent_today >= max_nanos, "a daily budget (UTC); refused calls do not come back tomorrow")


def replay_block(records: RecordTable, *, normal_nanos: int) -> Replayed:
    """What the records would have cost if none had been answered, but for the owner's own calls by a new key.

    `normal_nanos`: what the target normally spends in the time of the records; that part is never saved.
    """
    before = numbers(records, "cost_nanos")
    total = int(before.sum())
    kept = min(max(normal_nanos, 0), total)
    # A day of nano-USD times another leaves 64 bits; Python's integers do not mind.
    after = np.array([nanos * kept // total for nanos in before.tolist()] if total else before, dtype=np.int64)
    note = "nothing of the target is answered any more; its owner goes on with a new key as was normal before"
    return Replayed(before, after, np.ones(records.rows, dtype=np.bool_), note)
