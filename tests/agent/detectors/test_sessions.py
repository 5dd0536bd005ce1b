"""Sessions far above their app's are found without history; ordinary and cheap ones are not."""

from datetime import UTC, datetime, timedelta

import numpy as np

from agent.detectors.sessions import session_spikes
from agent.detectors.settings import DetectorSettings
from store.model.incident import Spike
from store.model.usage import NONE, TOTAL, RecordTable, Scope, Window, to_us

START = datetime(2026, 5, 4, tzinfo=UTC)
UNTIL = START + timedelta(hours=10)
SETTINGS = DetectorSettings()


def table(*sessions: tuple[str, str, int, float, int]) -> RecordTable:
    """Records of (session, app, calls, USD per call, minute of the first call); one call a minute."""
    rows = [
        (session, app, to_us(START + timedelta(minutes=first + i)), round(usd * 1e9))
        for session, app, calls, usd, first in sessions
        for i in range(calls)
    ]
    rows.sort(key=lambda row: row[2])
    return RecordTable(
        window=Window(start=START, end=UNTIL),
        scope=TOTAL,
        columns={
            "session_id": np.array([row[0] for row in rows], dtype=object),
            "team": np.array(["search"] * len(rows), dtype=object),
            "app": np.array([row[1] for row in rows], dtype=object),
            "occurred_us": np.array([row[2] for row in rows], dtype=np.int64),
            "cost_nanos": np.array([row[3] for row in rows], dtype=np.int64),
        },
    )


def crowd(calls: int, count: int = 40) -> list[tuple[str, str, int, float, int]]:
    return [(f"s{i}", "agent", calls, 0.05, i) for i in range(count)]


def found(*sessions: tuple[str, str, int, float, int], until: datetime = UNTIL) -> list[Spike]:
    return session_spikes(table(*sessions), until=until, settings=SETTINGS)


def test_a_looping_session_is_found() -> None:
    """Three hundred calls where others make five are one spike of that session, from its first hour on."""
    (spike,) = found(*crowd(5), ("loop", "agent", 300, 0.05, 70))
    assert spike.series == Scope.of(team="search", app="agent", session_id="loop")
    assert spike.signal == "session_calls"
    assert spike.started_at == START + timedelta(hours=1)
    assert spike.actual_nanos == 15 * 10**9
    assert spike.excess_nanos == spike.actual_nanos - spike.baseline_nanos
    assert spike.score > 0.5


def test_the_alarm_is_the_end_of_the_bucket_that_passed() -> None:
    """Sixty-one calls from minute 70 on pass at minute 130, so the alarm is at three o'clock, and not before."""
    sessions = (*crowd(5), ("loop", "agent", 300, 0.05, 70))
    (spike,) = found(*sessions)
    assert spike.opened_at == START + timedelta(hours=3)
    assert found(*sessions, until=START + timedelta(hours=2)) == []
    assert len(found(*sessions, until=START + timedelta(hours=3))) == 1


def test_no_history_is_needed() -> None:
    """The first session ever is measured against the floors."""
    assert len(found(("loop", "agent", 300, 0.05, 0))) == 1
    assert found(("work", "agent", 50, 0.05, 0)) == []


def test_long_sessions_may_be_usual() -> None:
    """Where sessions of an app make a hundred calls, two hundred are no news."""
    assert found(*crowd(100), ("long", "agent", 200, 0.05, 0)) == []


def test_cheap_sessions_do_not_matter() -> None:
    """Three hundred calls for thirty cents are left alone."""
    assert found(*crowd(5), ("loop", "agent", 300, 0.001, 0)) == []


def test_calls_without_a_session_are_no_session() -> None:
    """Records without a session id are not one long session."""
    assert found((NONE, "agent", 500, 0.05, 0)) == []


def test_a_session_ends() -> None:
    """Six hours after its last call a session is over; before that it lasts."""
    sessions = (*crowd(5), ("loop", "agent", 90, 0.05, 0))
    (running,) = found(*sessions, until=START + timedelta(hours=7))
    (over,) = found(*sessions, until=START + timedelta(hours=8))
    assert running.ended_at is None
    assert over.ended_at == START + timedelta(hours=2)
