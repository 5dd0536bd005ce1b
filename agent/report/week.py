"""The week of a team: Monday to Monday on the clock on its wall."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from store.errors import BadInput
from store.model.usage import Window

_WEEK = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name.

    Raises:
        BadInput: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise BadInput(f"unknown time zone {name!r}: give an IANA name, such as Europe/Berlin or UTC") from error


def monday_of(week: str) -> date:
    """The Monday of an ISO week, "2026-W47".

    Raises:
        BadInput: the text is not an ISO week, or that year has no such week.
    """
    match = _WEEK.fullmatch(week)
    if match is None:
        raise BadInput(f"not an ISO week: {week!r}; write it as 2026-W47")
    try:
        return date.fromisocalendar(int(match[1]), int(match[2]), 1)
    except ValueError as error:
        raise BadInput(f"there is no week {week!r}: {error}") from error


def week_window(week: str, time_zone: str) -> Window:
    """The week as a half-open UTC window; 167 or 169 hours long where the clocks change.

    Raises:
        BadInput: the week or the zone does not exist.
    """
    zone, monday = zone_of(time_zone), datetime.combine(monday_of(week), time())
    return Window(start=instant(monday, zone), end=instant(monday + timedelta(days=7), zone))


def week_before(moment: datetime, time_zone: str) -> str:
    """The last whole ISO week before the moment, as the zone's calendar has it."""
    local = moment.astimezone(zone_of(time_zone)).date() - timedelta(days=7)
    year, week, _ = local.isocalendar()
    return f"{year:04d}-W{week:02d}"


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant at which the zone's clocks show a naive time.

    A time that they show twice is the first of the two; one that they skip is the first instant after the gap.
    """
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _change_between(early, first, zone)


def _change_between(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)
