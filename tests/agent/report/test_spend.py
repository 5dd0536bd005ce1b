"""Hours are set against the same hours of earlier weeks, whatever the clocks do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from agent.report.spend import by_team, earlier, hourly
from agent.report.week import week_window
from store.model.usage import Cube, Window

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = week_window("2026-W47", "Europe/Berlin")


def cube(spend: dict[datetime, int], teams: list[str] | None = None) -> Cube:
    """A cube of 5-minute buckets; one row for each moment, of the team at its place."""
    known = sorted(set(teams or ["search"]))
    return Cube(
        window=WEEK,
        bucket_seconds=300,
        bucket=np.array([int(moment.timestamp()) for moment in spend], dtype=np.int64),
        codes={"team": np.array([known.index(team) for team in teams or ["search"] * len(spend)], dtype=np.int32)},
        values={"team": known},
        measures={"cost_nanos": np.array(list(spend.values()), dtype=np.int64)},
    )


def test_each_hour_holds_the_buckets_that_begin_in_it() -> None:
    """The last bucket of an hour belongs to it, the first of the next does not; sums lose nothing."""
    start = WEEK.start
    spend = {start: 1, start + timedelta(minutes=55): 2, start + timedelta(minutes=60): 4}
    points = hourly(cube(spend), cube({}), WEEK, BERLIN)
    assert [point.actual_nanos for point in points[:3]] == [3, 4, 0]
    assert len(points) == 168
    assert sum(point.actual_nanos for point in points) == 7


def test_expected_is_the_median_of_the_weeks_that_are_known() -> None:
    """A wild week does not move it; weeks before the first record are left out, not taken for zero."""
    hour = WEEK.start + timedelta(hours=10)
    weeks = {hour - timedelta(weeks=back): nanos for back, nanos in ((1, 10), (2, 9000), (3, 12))}
    points = hourly(cube({hour: 11}), cube(weeks), WEEK, BERLIN)
    assert (points[10].actual_nanos, points[10].baseline_nanos) == (11, 12)
    assert points[9].baseline_nanos == 0


def test_the_same_hour_is_the_same_wall_clock_hour() -> None:
    """After the clocks went back, 10:00 is compared with 10:00, although UTC has moved an hour."""
    after = week_window("2026-W44", "Europe/Berlin")
    first = datetime(2026, 10, 19, tzinfo=BERLIN).astimezone(UTC)
    ten = datetime(2026, 10, 20, 10, tzinfo=BERLIN).astimezone(UTC)
    points = hourly(cube({}), cube({first: 1, ten: 7}), after, BERLIN)
    (point,) = [one for one in points if one.baseline_nanos == 7]
    assert point.at == datetime(2026, 10, 27, 10, tzinfo=BERLIN).astimezone(UTC)


def test_an_earlier_span_keeps_its_wall_clock() -> None:
    """A week before a week in which the clocks changed begins at its own midnight."""
    week = week_window("2026-W44", "Europe/Berlin")
    assert earlier(week, BERLIN, weeks=1) == week_window("2026-W43", "Europe/Berlin")


def test_teams_come_largest_first_and_none_is_lost() -> None:
    """A team that spent only in one of the two weeks is there, too."""
    at = WEEK.start
    now = cube({at: 5, at + timedelta(hours=1): 9}, ["search", "data"])
    past = cube({at: 3, at + timedelta(hours=1): 2}, ["search", "gone"])
    assert by_team(now, past) == (("data", 9, 0), ("search", 5, 3), ("gone", 0, 2))


def test_no_usage_gives_zero_hours() -> None:
    """An empty store is a week of zeros, not an error."""
    points = hourly(cube({}), cube({}), Window(start=WEEK.start, end=WEEK.start + timedelta(hours=2)), BERLIN)
    assert [(point.actual_nanos, point.baseline_nanos) for point in points] == [(0, 0), (0, 0)]
