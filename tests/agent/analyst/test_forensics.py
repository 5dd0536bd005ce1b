"""The forensics on a handful of hand-made calls."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from agent.analyst.case import KeyPast
from agent.analyst.columns import Calls
from agent.analyst.forensics.keys import look_at_key
from agent.analyst.forensics.people import look_at_people
from agent.analyst.forensics.retries import look_at_retries
from agent.analyst.forensics.sessions import look_at_sessions, peak_parallel
from agent.analyst.forensics.sizes import tokenizer_changes
from store.model.usage import NONE, TOTAL, RecordTable, UsageRecord, Window
from tests.agent.analyst.small_world import WINDOW, SmallWorld, call, moments
from tools.queries.keys import keys
from tools.queries.traces import CALL_COLUMNS


def table(records: list[UsageRecord], window: Window = WINDOW) -> RecordTable:
    """Records as the warehouse hands them out."""

    def column(name: str) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        values = [getattr(record, name) for record in records]
        return np.array(values, dtype=object if values and isinstance(values[0], str) else np.int64)

    return RecordTable(window=window, scope=TOTAL, columns={name: column(name) for name in CALL_COLUMNS})


def some(count: int, **change: Any) -> list[UsageRecord]:
    """Ordinary calls spread over the window, changed alike."""
    draw = np.random.default_rng(3)
    fields = {"cost_nanos": 10**6, **change}
    return [call(at, i, draw=draw)._replace(**fields) for i, at in enumerate(moments(WINDOW, count))]


def test_calls_that_overlap_are_counted_per_session() -> None:
    """Three calls at once in one session, one after the other in another; back to back is not parallel."""
    at = WINDOW.start_us + 10**8
    together = [r._replace(session_id="a", occurred_us=at + i, latency_ms=1000) for i, r in enumerate(some(3))]
    chain = [r._replace(session_id="b", occurred_us=at + i * 10**6, latency_ms=1000) for i, r in enumerate(some(4))]
    assert sorted(peak_parallel(Calls([table(together + chain)])).tolist()) == [1.0, 3.0]


def test_ping_pong_and_repeats_are_told_apart() -> None:
    """A, B, A, B alternates; A, A, A, A only repeats."""
    swing = [r._replace(session_id="s", prompt_hash="ab"[i % 2]) for i, r in enumerate(some(20))]
    stuck = [r._replace(session_id="s", prompt_hash="a") for r in some(20)]
    first, second = (look_at_sessions(Calls([table(rows)]), Calls([table(some(20))])) for rows in (swing, stuck))
    assert first is not None
    assert second is not None
    assert (first.data["ping_pong_share"], first.data["repeated_call_share"]) == (1.0, 0.9)
    assert (second.data["ping_pong_share"], second.data["repeated_call_share"]) == (0.0, 0.95)


def test_without_sessions_or_calls_there_is_no_note() -> None:
    """A question that the data cannot answer gives no evidence."""
    nothing = Calls([])
    assert look_at_sessions(Calls([table(some(5, session_id=NONE))]), nothing) is None
    assert look_at_retries(nothing, nothing) is None
    assert look_at_people(table([]), []) is None


def test_where_few_are_about_somebody_always_takes_a_large_share() -> None:
    """Half of the spend by another one of two than last week is no rise; of one of a hundred it is."""
    crowd = [record._replace(end_user=f"u{i}") for i, record in enumerate(some(100))]
    now = [record._replace(end_user="ann" if i < 60 else f"u{i}") for i, record in enumerate(some(100))]
    pair = [record._replace(end_user="bob" if i < 60 else "eve") for i, record in enumerate(some(100))]
    among_two, among_many = look_at_people(table(now), [table(pair)]), look_at_people(table(now), [table(crowd)])
    assert among_two is not None
    assert among_many is not None
    assert among_two.data["end_user_share_before"] == among_many.data["end_user_share_before"] == 0
    assert abs(float(among_two.data["end_user_share_rise"] or 0)) < 0.1
    assert float(among_many.data["end_user_share_rise"] or 0) > 0.5


def test_calls_that_our_remedy_refused_are_no_failures() -> None:
    """A rate limit of ours must not look like a retry storm."""
    refused = [r._replace(record_id=f"{r.record_id}-r", status="refused", status_code=429) for r in some(40)]
    note = look_at_retries(Calls([table(some(20) + refused)]), Calls([table(some(20))]))
    assert note is not None
    assert (note.data["attempts_per_success_now"], note.data["error_share_now"]) == (1.0, 0.0)


def test_an_outage_without_any_success_still_has_a_number() -> None:
    """All calls failed: each is an attempt at a success that has not come."""
    note = look_at_retries(Calls([table(some(12, status="error"))]), Calls([]))
    assert note is not None
    assert note.data["attempts_per_success_now"] == 12.0


def test_what_no_tokenizer_does_is_not_called_one() -> None:
    """Tokens per character 1.3 times as many can be a tokenizer; three times as many are something else."""
    usual = Calls([table(some(10, prompt_chars=10_000, cache_read=0, cache_write_5m=0, input_uncached=2500))])
    longer = Calls([table(some(10, prompt_chars=10_000, cache_read=0, cache_write_5m=0, input_uncached=3250))])
    other = Calls([table(some(10, prompt_chars=10_000, cache_read=0, cache_write_5m=0, input_uncached=7500))])
    assert tokenizer_changes(longer, usual)["support", "assist"] == pytest.approx((0.25, 0.325))
    assert tokenizer_changes(other, usual) == {}


def test_a_key_without_a_past_is_not_judged() -> None:
    """A new key may be a launch: there is nothing to compare it with."""
    warehouse = SmallWorld().warehouse()
    before = Window(start=WINDOW.start - timedelta(days=7), end=WINDOW.start)
    for key, known in (("key-new", False), ("key-assist", True)):
        used = keys(warehouse, api_key_id=key, window=before).need()
        past = KeyPast(api_key_id=key, window=before, hours=used.hours, calls=used.calls)
        assert (look_at_key(Calls([table(some(5, api_key_id=key))]), past, hours=3.0) is not None) is known
    warehouse.close()
