"""A week begins and ends by the clock on the team's wall."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from agent.report.week import instant, week_before, week_window
from store.errors import BadInput


def test_a_week_runs_from_local_monday_to_local_monday() -> None:
    """Berlin is an hour ahead of UTC in November."""
    window = week_window("2026-W47", "Europe/Berlin")
    assert window.start == datetime(2026, 11, 15, 23, tzinfo=UTC)
    assert window.end == datetime(2026, 11, 22, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("week", "zone", "hours"),
    [
        ("2026-W13", "Europe/Berlin", 167),
        ("2026-W43", "Europe/Berlin", 169),
        ("2026-W10", "America/New_York", 167),
        ("2026-W44", "America/New_York", 169),
        ("2026-W14", "Australia/Lord_Howe", 168.5),
        ("2026-W47", "Asia/Kolkata", 168),
    ],
)
def test_a_week_in_which_clocks_change_is_shorter_or_longer(week: str, zone: str, hours: float) -> None:
    """Weeks never overlap and never leave a gap."""
    assert week_window(week, zone).seconds == hours * 3600


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Africa/Cairo", "Asia/Beirut", "Pacific/Auckland"]
)
def test_weeks_follow_each_other_without_gap_or_overlap(zone: str) -> None:
    """The end of each week is the start of the next, through two years and a week 53."""
    monday, windows = datetime(2025, 12, 1, tzinfo=UTC), []
    for number in range(110):
        year, week, _ = (monday + timedelta(weeks=number)).isocalendar()
        windows.append(week_window(f"{year}-W{week:02d}", zone))
    assert all(first.end == second.start for first, second in pairwise(windows))
    assert any(window.start.isocalendar()[1] >= 52 for window in windows)


def test_a_skipped_time_is_the_first_instant_after_the_gap() -> None:
    """02:30 did not exist in Berlin on 29 March 2026: the clocks went from 02:00 to 03:00 at 01:00 UTC."""
    berlin = ZoneInfo("Europe/Berlin")
    change = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert instant(datetime(2026, 3, 29, 2, 0), berlin) == change  # noqa: DTZ001 - a wall time has no zone
    assert instant(datetime(2026, 3, 29, 2, 30), berlin) == change  # noqa: DTZ001
    assert instant(datetime(2026, 3, 29, 3, 0), berlin) == change  # noqa: DTZ001


def test_a_repeated_time_is_the_first_of_the_two() -> None:
    """02:30 came twice in Berlin on 25 October 2026."""
    twice = datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001 - a wall time has no zone
    assert instant(twice, ZoneInfo("Europe/Berlin")) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_the_last_whole_week_is_the_calendar_week_before() -> None:
    """On a Monday morning it is the week that has just ended, by the local calendar."""
    late_sunday_utc = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    assert week_before(late_sunday_utc, "Europe/Berlin") == "2026-W47"
    assert week_before(late_sunday_utc, "UTC") == "2026-W46"
    assert week_before(datetime(2027, 1, 5, tzinfo=UTC), "UTC") == "2026-W53"


@pytest.mark.parametrize("week", ["2026-47", "2026-W54", "2026-W00", "../../etc", "2026-W4", "2026-W47\n", "٢٠٢٦-W47"])
def test_what_is_no_week_is_refused(week: str) -> None:
    """The message names what was given."""
    with pytest.raises(BadInput, match="week"):
        week_window(week, "UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "", "Europe"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    """The message says what a zone looks like."""
    with pytest.raises(BadInput, match="IANA"):
        week_window("2026-W47", zone)
