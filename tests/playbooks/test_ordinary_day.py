"""A normal day whose calls are made as the incident's are."""

from datetime import datetime, timedelta
from functools import partial

import pytest

from playbooks.ordinary_day import Day, ordinary_day
from playbooks.replay.limits import beyond_cap, beyond_rate, replay_rate_limit, replay_session_cap
from store.model.usage import UsageRecord, Window, to_us
from tests.playbooks.tables import NOW, START, WINDOW, every, table

WEEK = Window(start=START - timedelta(days=7), end=START)
ONE = 4_500_000
"""What a request of the tables costs, nano-USD."""


def _calls(each: int, *, hours: int, start: datetime = START, prefix: str = "c") -> list[UsageRecord]:
    """Six calls an hour, each of so many requests, a second apart in one trace; an hour's calls are one session."""
    rows: list[UsageRecord] = []
    for call in range(6 * hours):
        at = start + timedelta(minutes=10 * call)
        rows += [
            row._replace(trace_id=f"{prefix}{call}", session_id=f"{prefix}s{call // 6}")
            for row in every(1, each, start=at, first=len(rows))
        ]
    return rows


def _limited(now: list[UsageRecord], usual: list[UsageRecord], week: Window = WEEK) -> Day | None:
    """At most three requests a minute."""
    records = table(now)
    seen = replay_rate_limit(records, per_minute=3)
    refuses = partial(beyond_rate, per_minute=3)
    return ordinary_day(records, table(usual, week), WINDOW, seen, refuses, at_us=to_us(NOW))


def test_every_call_of_a_day_is_refused_its_fourth_and_fifth_request() -> None:
    """144 calls a day in a week without seasons, of which the incident makes five requests each."""
    day = _limited(_calls(5, hours=3), _calls(1, hours=168, start=WEEK.start))
    assert day is not None
    assert day.mid == pytest.approx(2 * 144 * ONE, rel=0.01)
    assert day.low <= day.mid <= day.high


def test_a_cap_meets_the_sessions_of_a_normal_day() -> None:
    """Six calls of five requests in each of the 24 sessions of a day: ten pass, twenty do not."""
    records, usual = table(_calls(5, hours=3)), table(_calls(1, hours=168, start=WEEK.start), WEEK)
    seen, refuses = replay_session_cap(records, max_calls=10), partial(beyond_cap, max_calls=10)
    day = ordinary_day(records, usual, WINDOW, seen, refuses, at_us=to_us(NOW))
    assert day is not None
    assert day.mid == pytest.approx(20 * 24 * ONE, rel=0.01)


def test_calls_from_before_the_fault_are_no_sample_of_it() -> None:
    """Two normal hours, then one of five requests a call: the day is made of the last hour's calls only."""
    now = [*_calls(1, hours=2, prefix="n"), *_calls(5, hours=1, start=START + timedelta(hours=2), prefix="f")]
    day = _limited(now, _calls(1, hours=168, start=WEEK.start))
    assert day is not None
    assert day.mid == pytest.approx(2 * 144 * ONE, rel=0.01)


def test_calls_as_they_always_were_tell_nothing() -> None:
    """Nothing is made of more requests than normal, or there is no normal, or not at the hours of the next day."""
    usual = _calls(1, hours=168, start=WEEK.start)
    assert _limited(_calls(1, hours=3), usual) is None
    assert _limited(_calls(5, hours=3), []) is None
    half = Window(start=START - timedelta(hours=12), end=START)
    assert _limited(_calls(5, hours=3), _calls(1, hours=12, start=half.start), half) is None


def test_the_names_of_calls_decide_nothing() -> None:
    """Traces and sessions under other names, in another alphabetical order, give the same figures."""
    mixed = [*_calls(5, hours=2), *_calls(8, hours=1, start=START + timedelta(hours=2), prefix="d")]
    usual = _calls(1, hours=168, start=WEEK.start)
    renamed = [row._replace(trace_id=row.trace_id[::-1] + "x", session_id=row.session_id[::-1] + "x") for row in mixed]
    assert _limited(mixed, usual) == _limited(renamed, usual)
