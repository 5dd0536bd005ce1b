"""Late data: a source that reports hours after the calls is named, a history that is loaded at once is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.detectors.late import late_notes
from agent.detectors.settings import DetectorSettings
from agent.steps.trust import trust
from store.model.usage import Arrival, UsageRecord, Window, to_us
from store.usage.duckdb import open_duckdb

UNTIL = datetime(2026, 11, 20, 12, tzinfo=UTC)
UNTIL_S = int(UNTIL.timestamp())
USD = 10**9


def hours(*, delay: int, usd: float, first: int, last: int = 0) -> list[Arrival]:
    """One arrival for each hour from `first` to `last` hours before."""
    return [
        Arrival("gateway", UNTIL_S - hour * 3600, delay, round(usd * USD))
        for hour in range(first, max(last, delay), -1)
    ]


@pytest.mark.parametrize(
    ("arrivals", "late"),
    [
        (hours(delay=0, usd=9, first=168), False),
        (hours(delay=0, usd=9, first=168) + hours(delay=4, usd=3, first=40), True),
        (hours(delay=0, usd=9, first=168) + hours(delay=1, usd=9, first=40), False),
        (hours(delay=0, usd=9, first=168) + hours(delay=4, usd=1, first=40), False),
        (hours(delay=0, usd=0.01, first=168) + hours(delay=4, usd=0.1, first=40), False),
        (hours(delay=0, usd=9, first=168) + hours(delay=4, usd=9, first=150, last=60), False),
        ([Arrival("gateway", UNTIL_S - hour * 3600, hour - 1, 9 * USD) for hour in range(168, 0, -1)], False),
    ],
    ids=["on time", "a third is late", "an hour is no delay", "a tenth", "small change", "days ago", "history at once"],
)
def test_what_counts_as_late(arrivals: list[Arrival], late: bool) -> None:
    """A fifth of the cost of two days, from 5 USD, two hours after the calls; what was loaded at once is history."""
    notes = late_notes(arrivals, until_s=UNTIL_S)
    assert [(note.kind, note.scope.as_dict()) for note in notes] == [("late", {"source": "gateway"})] * late


def test_a_gateway_that_reports_once_a_day_is_named(tmp_path: Path) -> None:
    """By the warehouse: when a call was first known counts, not when it was said last; provider buckets do not."""
    start = UNTIL - timedelta(days=6)
    warehouse = open_duckdb(None, clock=lambda: UNTIL)

    def calls(day: int, *, seen: datetime, source: str = "gateway", period_seconds: int = 0) -> list[UsageRecord]:
        at = [to_us(start + timedelta(days=day, hours=hour)) for hour in range(24)]
        return [
            UsageRecord(
                f"{source}{us}",
                source,
                to_us(seen),
                us,
                "p",
                "m",
                output=9,
                cost_nanos=USD,
                period_seconds=period_seconds,
            )
            for us in at
            if us < to_us(UNTIL)
        ]

    def kinds() -> list[str]:
        return [note.kind for note in trust(warehouse=warehouse, now=UNTIL, settings=DetectorSettings())]

    for day in range(6):
        for one in calls(day, seen=UNTIL, source="live"):
            warehouse.append([one._replace(observed_us=one.occurred_us + 1)])
    warehouse.append(calls(0, seen=UNTIL, source="live"))
    warehouse.append([one for day in range(6) for one in calls(day, seen=UNTIL, source="org", period_seconds=3600)])
    warehouse.roll_up()
    assert "late" not in kinds()
    for day in range(6):
        warehouse.append(calls(day, seen=start + timedelta(days=day + 1)))
    warehouse.roll_up()
    assert kinds().count("late") == 1
    (note,) = (n for n in trust(warehouse=warehouse, now=UNTIL, settings=DetectorSettings()) if n.kind == "late")
    assert note.scope.as_dict() == {"source": "gateway"}
    assert "2 hours or more after the calls" in note.says
    known = warehouse.arrivals(Window(start=start, end=UNTIL))
    warehouse.append([one._replace(observed_us=to_us(UNTIL)) for one in calls(5, seen=UNTIL)])
    copy = open_duckdb(None, clock=lambda: UNTIL)
    copy.load_snapshot(warehouse.snapshot(Window(start=start, end=UNTIL), tmp_path))
    assert copy.arrivals(Window(start=start, end=UNTIL)) == known == warehouse.arrivals(Window(start=start, end=UNTIL))
    copy.close()
    warehouse.expire(records_before=UNTIL, fine_before=start, coarse_before=start)
    assert "late" not in kinds(), "it goes with the records of its time"
    warehouse.close()
