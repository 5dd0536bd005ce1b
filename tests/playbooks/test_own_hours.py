"""What keeps hours of its own goes on by day and by night, from when it began."""

from datetime import timedelta

import pytest

from playbooks.own_hours import limited_beside_the_usual, own_hours_day, since_it_began
from playbooks.replay.limits import replay_block, replay_rate_limit
from store.model.usage import RecordTable, UsageRecord, Window, to_us
from tests.playbooks.tables import NOW, START, WINDOW, every, table

WEEK = Window(start=START - timedelta(days=7), end=START)
ONE = 4_500_000
"""What a request of the tables costs, nano-USD."""


def _usual(seconds: float, *, hours: range = range(24)) -> RecordTable:
    """A request each so many seconds at those hours of every day of the week before."""
    rows: list[UsageRecord] = []
    for hour in range(168):
        at = WEEK.start + timedelta(hours=hour)
        if at.hour in hours:
            rows += every(seconds, int(3600 / seconds), start=at, first=len(rows))
    return table(rows, WEEK)


def test_what_began_in_the_last_hour_is_a_day_of_such_hours() -> None:
    """A thief of the last hour of three makes a day of 24 hours, not of eight windows."""
    quiet = every(360, 20, start=START, first=9000)
    rows = table([*quiet, *every(5, 720, start=START + timedelta(hours=2))])
    day = own_hours_day(rows, _usual(360), replay_block(rows, normal_nanos=20 * ONE), WINDOW)
    assert day is not None
    assert day.mid == pytest.approx(24 * 720 * ONE, rel=0.01)
    assert day.low < day.mid < day.high


def test_chance_is_no_beginning() -> None:
    """Even spend, and spend that falls, began before the window; who was never seen before began with his first."""
    even = table(every(10, 1080))
    assert since_it_began(even, WINDOW, always=True) == WINDOW
    falling = table([*every(5, 1440), *every(60, 60, start=START + timedelta(hours=2), first=2000)])
    assert since_it_began(falling, WINDOW, always=True) == WINDOW
    late = table(every(10, 1020, start=START + timedelta(minutes=10)))
    assert since_it_began(late, WINDOW, always=True) == WINDOW
    since = since_it_began(late, WINDOW, always=False)
    assert abs((since.start - (START + timedelta(minutes=10))).total_seconds()) <= 11


def test_by_day_a_limit_refuses_the_usual_requests_too() -> None:
    """Eleven a minute at a limit of ten; twelve hours of the day have two usual ones a minute besides."""
    rows = table(every(60 / 11, 11 * 180))
    hours = range(0, 12)
    day = limited_beside_the_usual(rows, _usual(30, hours=hours), WINDOW, to_us(NOW), per_minute=10)
    assert day is not None
    assert day / 1e6 == pytest.approx((12 * 60 * 1 + 12 * 60 * 3) / 180, rel=0.02)


def test_the_usual_requests_of_the_window_are_not_counted_twice() -> None:
    """Two of twelve a minute are usual and there at every hour: the day is eight windows."""
    rows = table(every(5, 12 * 180))
    day = limited_beside_the_usual(rows, _usual(30), WINDOW, to_us(NOW), per_minute=10)
    assert day is not None
    assert day / 1e6 == pytest.approx(8, rel=0.02)


def test_a_limit_that_refused_nothing_tells_nothing() -> None:
    """Nor does a week that did not see the hours of the next day."""
    rows = table(every(10, 1080))
    assert limited_beside_the_usual(rows, _usual(360), WINDOW, to_us(NOW), per_minute=10) is None
    short = table(every(60, 60, start=START - timedelta(hours=1)), Window(start=START - timedelta(hours=1), end=START))
    assert limited_beside_the_usual(rows, short, WINDOW, to_us(NOW), per_minute=3) is None


def test_a_rate_limit_without_a_past_goes_on_at_its_pace() -> None:
    """Nobody else counts against the limit of one user: a day refuses 24 times what an hour does."""
    nobody = table([], WEEK)
    rows = table(every(5, 720, start=START + timedelta(hours=2)))
    replayed = replay_rate_limit(rows, per_minute=10)
    day = own_hours_day(
        rows,
        nobody,
        replayed,
        WINDOW,
        lambda since: limited_beside_the_usual(rows, nobody, since, to_us(NOW), per_minute=10),
    )
    assert day is not None
    assert day.mid == pytest.approx(2 * 60 * 24 * ONE, rel=0.01)
    assert day.low <= day.mid
