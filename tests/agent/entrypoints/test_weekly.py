"""Each weekly summary is made exactly once, at its local hour, whatever the clocks do."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.entrypoints.weekly import MOST, due_at, weeks_due
from agent.report.week import week_window
from agent.settings import WeeklySettings

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "Australia/Sydney",
    "America/Santiago",
    "Africa/Cairo",
]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("hour", [0, 2, 9])
def test_no_week_is_missed_or_doubled_in_a_year(zone: str, hour: int) -> None:
    """Looking every hour through 2026, all changes of the clocks included, makes each of its weeks once, in order."""
    when = WeeklySettings(time_zone=zone, weekday=0, hour=hour)
    now, made, last = datetime(2026, 1, 12, tzinfo=UTC), list[str](), week_window("2026-W01", zone).start
    while now < datetime(2027, 1, 4, tzinfo=UTC):
        for week in weeks_due(now, when, last=last):
            made.append(week)
            last = week_window(week, zone).start
        now += timedelta(hours=1)
    expected = [f"2026-W{number:02d}" for number in range(2, 53)]
    assert made[: len(expected)] == expected
    assert len(made) == len(set(made))


def test_it_is_due_at_the_local_hour() -> None:
    """Monday 09:00 in Berlin is 08:00 UTC in winter and 07:00 UTC in summer."""
    when = WeeklySettings(time_zone="Europe/Berlin", weekday=0, hour=9)
    assert due_at(week_window("2026-W47", "Europe/Berlin").end, when) == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert due_at(week_window("2026-W26", "Europe/Berlin").end, when) == datetime(2026, 6, 29, 7, tzinfo=UTC)


def test_a_long_stop_is_caught_up_within_bounds() -> None:
    """After ten weeks without a service the last four are made, oldest first."""
    when = WeeklySettings()
    last = week_window("2026-W30", "UTC").start
    due = weeks_due(datetime(2026, 10, 5, 10, tzinfo=UTC), when, last=last)
    assert due == ["2026-W37", "2026-W38", "2026-W39", "2026-W40"]
    assert len(due) == MOST
