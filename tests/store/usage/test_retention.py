"""What is old goes, what was rolled up of it stays, and nothing that comes late can change it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store.model.span import Span
from store.model.statement import Offer, Statement
from store.model.usage import Expired, Intake, UsageRecord, Window, to_us
from store.usage.duckdb import DuckDBWarehouse, open_duckdb

NOW = datetime(2026, 11, 3, tzinfo=UTC)
FIRST = NOW - timedelta(days=100)
WHOLE = Window(start=FIRST, end=NOW)
FLOOR = NOW - timedelta(days=90)


def _call(day: float, name: str, **fields: object) -> UsageRecord:
    at_us = to_us(FIRST + timedelta(days=day))
    plain = UsageRecord(
        record_id=name,
        source="gateway",
        observed_us=at_us,
        occurred_us=at_us,
        provider="anthropic",
        model="claude-opus-4-5",
        team="search",
        output=10,
        cost_nanos=1000,
    )
    return plain._replace(**fields)  # type: ignore[arg-type]  # the caller names fields of the record


def _expire(warehouse: DuckDBWarehouse, *, records: int = 90, fine: int = 95, coarse: int = 800) -> Expired:
    ago = {"records_before": records, "fine_before": fine, "coarse_before": coarse}
    return warehouse.expire(**{name: NOW - timedelta(days=days) for name, days in ago.items()})


def _by_day(warehouse: DuckDBWarehouse, seconds: int = 86_400) -> dict[int, int]:
    cube = warehouse.cube(WHOLE, bucket_seconds=seconds, dims=())
    return dict(zip(cube.bucket.tolist(), cube.measures["requests"].tolist(), strict=True))


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    """A hundred days of one call a day, rolled up."""
    opened = open_duckdb(None, clock=lambda: NOW)
    opened.append([_call(day, f"r{day}") for day in range(100)])
    opened.roll_up()
    yield opened
    opened.close()


def test_history_stays_readable_after_its_records_are_gone(warehouse: DuckDBWarehouse) -> None:
    """Ten days of records go, five of them with their 5-minute cells too; every day still has its call."""
    before = _by_day(warehouse)
    assert _expire(warehouse) == Expired(floor=FLOOR, records=10, fine=5, coarse=0)
    assert _by_day(warehouse) == before
    assert len(_by_day(warehouse, 300)) == 95
    assert warehouse.records(WHOLE).rows == 90
    assert warehouse.taken() == Intake(accepted=100)


def test_doing_it_again_changes_nothing(warehouse: DuckDBWarehouse) -> None:
    """And a longer retention later brings no floor down."""
    _expire(warehouse)
    assert _expire(warehouse) == Expired(floor=FLOOR, records=0, fine=0, coarse=0)
    assert _expire(warehouse, records=99).floor == FLOOR


def test_hourly_cells_go_when_their_own_time_has_come(warehouse: DuckDBWarehouse) -> None:
    """Of a hundred days' cells fifty stay."""
    assert _expire(warehouse, records=50, fine=50, coarse=50) == Expired(
        floor=NOW - timedelta(days=50), records=50, fine=50, coarse=50
    )
    assert len(_by_day(warehouse)) == 50


def test_a_late_row_leaves_the_rest_of_its_hour(warehouse: DuckDBWarehouse) -> None:
    """Even where 5-minute cells are to be kept for a shorter time than the records."""
    warehouse.append([_call(20 + minute / 1440, f"beside{minute}") for minute in (10, 20)])
    warehouse.roll_up()
    before = _by_day(warehouse)
    _expire(warehouse, records=90, fine=35)
    warehouse.append([_call(20 + 30 / 1440, "late")])
    warehouse.roll_up()
    changed = {day: count - before[day] for day, count in _by_day(warehouse).items() if count != before[day]}
    assert list(changed.values()) == [1]


def test_a_late_row_is_refused_and_counted(warehouse: DuckDBWarehouse) -> None:
    """A row read again and one never seen, both too old: nobody can say which is which, so neither changes a bucket."""
    before = _by_day(warehouse)
    _expire(warehouse)
    late = [_call(3, "r3"), _call(3.5, "new"), _call(4, "other"), _call(99.5, "fresh")]
    assert warehouse.append(late) == Intake(accepted=1, quarantined=3)
    assert warehouse.append(late) == Intake(duplicate=1, quarantined=3)
    warehouse.roll_up()
    assert _by_day(warehouse) == {**before, max(before): 2}
    assert warehouse.taken() == Intake(accepted=101, duplicate=1, quarantined=6)
    assert [(row.source, row.raw) for row in warehouse.quarantined()] == [
        ("gateway", "rows of 2026-07-30"),
        ("gateway", "rows of 2026-07-29"),
    ]


def test_what_was_not_rolled_up_is_before_it_goes(warehouse: DuckDBWarehouse) -> None:
    """A service that was stopped for months loses no cell."""
    warehouse.append([_call(2, "late")])
    _expire(warehouse)
    assert _by_day(warehouse)[to_us(FIRST + timedelta(days=2)) // 10**6] == 2


def test_a_snapshot_with_old_rows_brings_the_new_ones(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """`bursar ingest` beside the service hands over by snapshot."""
    other = open_duckdb(None, clock=lambda: NOW)
    other.append([_call(1, "old"), _call(99.5, "fresh")])
    path = other.snapshot(WHOLE, tmp_path)
    _expire(warehouse)
    assert warehouse.load_snapshot(path) == Intake(accepted=1, quarantined=1)
    other.close()


def test_spans_go_with_the_records_of_their_time(warehouse: DuckDBWarehouse) -> None:
    """Spans before the floor are dropped, those after it stay; one that comes again late goes the next time."""
    call = _call(80, "kept", trace_id="t")
    warehouse.append([call])
    ends = to_us(FLOOR) - 1, call.occurred_us
    spans = [Span("t", f"s{end}", "spans", 1, end - 1, end, "tool", "search") for end in ends]
    for _ in range(2):
        warehouse.append_spans(spans)
        assert warehouse.spans(WHOLE, limit=9) == spans
        _expire(warehouse)
        assert warehouse.spans(WHOLE, limit=9) == spans[1:]


def test_a_statement_of_old_days_withdraws_nothing_that_was_counted(warehouse: DuckDBWarehouse) -> None:
    """A provider that restates a dropped day changes neither its cells nor the count of withdrawn rows."""
    day = [to_us(FIRST + timedelta(days=5)), to_us(FIRST + timedelta(days=6))]

    def offer(version: int) -> Offer:
        return Offer(Statement("admin", "org", day[0], day[1], version), f"digest {version}")

    def rows(version: int) -> list[UsageRecord]:
        return [_call(5.5, "s", source="admin", output=version)]

    slot = offer(1).statement.slot
    warehouse.restate([offer(1)], [([slot], rows(1))])
    warehouse.roll_up()
    before = _by_day(warehouse)
    _expire(warehouse)
    assert warehouse.restate([offer(2)], [([slot], rows(2))]) == Intake(quarantined=1)
    warehouse.roll_up()
    assert _by_day(warehouse) == before
    assert [state.withdrawn for state in warehouse.statements()] == [0]


def test_the_file_does_not_grow_with_time(tmp_path: Path) -> None:
    """After eight months of 3,000 calls, two of them kept, the file is hardly larger than after the third."""
    path = tmp_path / "usage.duckdb"
    now = NOW
    sizes: list[int] = []
    warehouse = open_duckdb(path, clock=lambda: NOW)
    for month in range(8):
        start_us = to_us(now)
        warehouse.append(
            [
                _call(0, f"{month}.{n}", occurred_us=start_us + n * 800 * 10**6, prompt_hash=f"{month * n * 7919:016x}")
                for n in range(3_000)
            ]
        )
        warehouse.roll_up()
        now += timedelta(days=28)
        before = now - timedelta(days=56)
        warehouse.expire(records_before=before, fine_before=before, coarse_before=before)
        sizes.append(path.stat().st_size)
    assert warehouse.records(Window(start=NOW, end=now)).rows == 6_000
    warehouse.close()
    assert max(sizes[4:]) <= 1.3 * max(sizes[:4])
