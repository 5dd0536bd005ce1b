"""Roll-ups say what the records say, however little was dirty and however the work was cut."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from store.errors import StorageFailed
from store.model.usage import CUBE_MEASURES, UsageRecord, Window, from_us
from store.model.usage_batch import batch_of
from store.usage.append import append
from store.usage.cells import wider_cells
from store.usage.columns import coded, to_arrow
from store.usage.connection import connect, transaction
from store.usage.rollups import MOST_ROWS, roll_up
from store.usage.schema import SUMS_OF_RECORDS, bucket_of_record
from tests.checks.check_warehouse import DAY, START, record

_Cells = dict[tuple[int, int], tuple[int, ...]]


def _rows(cells: Iterable[tuple[int, int, int]]) -> pa.Table:
    """Rows of (bucket, series, amount): the amount is the cost, one request each."""
    buckets, series, amounts = zip(*cells, strict=True)
    zeros = np.zeros(len(buckets), dtype=np.int64)
    columns = dict.fromkeys(CUBE_MEASURES, zeros) | {"requests": zeros + 1, "cost_nanos": np.array(amounts, np.int64)}
    return pa.table({"bucket": np.array(buckets, np.int64), "series": np.array(series, np.int64), **columns})


def _found(table: pa.Table) -> dict[tuple[int, int], tuple[int, int]]:
    names = ("bucket", "series", "requests", "cost_nanos")
    rows = list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
    assert rows == sorted(rows), "cells in order of (bucket, series) are small on disk and quick to find"
    return {(bucket, series): (requests, nanos) for bucket, series, requests, nanos in rows}


_AMOUNTS = st.integers(-(2**62), 2**62)
_CELLS = st.lists(
    st.tuples(st.integers(0, 40_000), st.sampled_from([0, 1, 2, 7, 2**20, 2**40]), _AMOUNTS), min_size=1, max_size=30
)


@settings(max_examples=150, deadline=None)
@given(cells=_CELLS)
@example(cells=[(0, 1, 2**62), (0, 1, 2**62), (0, 1, -(2**62))])
@example(cells=[(0, 1, 2**62), (299, 1, 2**62)])
def test_sums_are_exact_or_refused(cells: list[tuple[int, int, int]]) -> None:
    """Whatever the numbers of the series and however great the amounts; float64 would be out from 2**53 on."""
    wanted: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    for bucket, series, amount in cells:
        wanted[bucket // 300 * 300, series][0] += 1
        wanted[bucket // 300 * 300, series][1] += amount
    if all(-(2**63) <= nanos < 2**63 for _, nanos in wanted.values()):
        assert _found(wider_cells(_rows(cells), 300)) == {key: tuple(sums) for key, sums in wanted.items()}
    else:
        with pytest.raises(StorageFailed, match="64 bits"):
            wider_cells(_rows(cells), 300)


def test_rows_in_several_chunks_wider_cells() -> None:
    """What comes from the engine comes in chunks, empty ones among them."""
    rows = _rows([(at % 700, at % 3, at) for at in range(1_000)])
    parts = pa.concat_tables([rows.slice(0, 10), rows.slice(0, 0), rows.slice(10)])
    assert _found(wider_cells(parts, 300)) == _found(wider_cells(rows, 300))


@contextmanager
def _opened() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = connect(None, lambda: START)
    yield connection
    connection.close()


def _append(connection: duckdb.DuckDBPyConnection, rows: list[UsageRecord]) -> None:
    with transaction(connection, "appending"):
        append(connection, to_arrow(coded(batch_of(rows))), "metered")


def _roll_up(connection: duckdb.DuckDBPyConnection, most_rows: int = MOST_ROWS) -> Window | None:
    with transaction(connection, "rolling up"):
        return roll_up(connection, most_rows=most_rows)


def _cube(connection: duckdb.DuckDBPyConnection, seconds: int) -> _Cells:
    found = connection.execute(f"SELECT bucket, series, {', '.join(CUBE_MEASURES)} FROM rollups_{seconds}").fetchall()
    cells = {row[:2]: row[2:] for row in found}
    assert len(cells) == len(found), "a cell stands in the cube twice"
    return cells


_MINUTES = st.tuples(st.integers(0, 40), st.integers(0, 200)).map(lambda at: at[0] * 1440 + at[1])
_RECORDS = st.builds(
    record,
    record_id=st.sampled_from("abcdefgh"),
    minute=_MINUTES,
    seen=st.integers(0, 3),
    period_seconds=st.sampled_from([0, 0, 60, 300, 3600, 86_400]),
    requests=st.integers(1, 3),
    status=st.sampled_from(["ok", "error", "refused"]),
    attempt=st.integers(1, 2),
    team=st.sampled_from(["search", "ads"]),
    billing_mode=st.sampled_from(["metered", "included"]),
    cost_nanos=st.one_of(st.none(), st.integers(0, 3)),
)
_BATCHES = st.lists(st.lists(_RECORDS, min_size=1, max_size=6), min_size=1, max_size=4)


@settings(max_examples=15, deadline=None)
@given(batches=_BATCHES, most_rows=st.integers(1, 5))
def test_recomputing_what_is_dirty_is_enough(batches: list[list[UsageRecord]], most_rows: int) -> None:
    """Both cubes are what the engine sums from all records, days apart or in one hour, in parts or at once."""
    with _opened() as connection:
        for rows in batches:
            _append(connection, rows)
            _roll_up(connection, most_rows)
            for seconds, longest in ((300, 300), (3600, 10**6)):
                bucket = bucket_of_record(seconds)
                query = (
                    f"SELECT {bucket}, series, {SUMS_OF_RECORDS} FROM records WHERE period_seconds <= ? GROUP BY 1, 2"
                )
                sums = connection.execute(query, [longest]).fetchall()
                assert _cube(connection, seconds) == {row[:2]: row[2:] for row in sums}


def test_parts_are_whole_hours() -> None:
    """A roll-up in parts of three records leaves no hour short and no bucket dirty."""
    with _opened() as connection:
        _append(connection, [record(f"r{minute}", minute=minute) for minute in range(0, 1440, 7)])
        assert _roll_up(connection, most_rows=3) == DAY
        assert _roll_up(connection) is None
        requests = CUBE_MEASURES.index("requests")
        by_hour = {from_us(bucket * 10**6): sums[requests] for (bucket, _), sums in _cube(connection, 3600).items()}
        assert by_hour == {
            START + timedelta(hours=hour): sum(minute // 60 == hour for minute in range(0, 1440, 7))
            for hour in range(24)
        }


def test_an_absurd_row_does_not_stop_the_others() -> None:
    """Amounts near what 64 bits hold are summed exactly; beyond it nothing is written and somebody is told."""
    with _opened() as connection:
        _append(connection, [record(f"r{hour}", minute=60 * hour, output=2**62, attempt=2) for hour in range(4)])
        _roll_up(connection)
        output = CUBE_MEASURES.index("output")
        before = _cube(connection, 3600)
        assert [sums[output] for sums in before.values()] == [2**62] * 4
        _append(connection, [record("more", minute=1, output=2**62)])
        with pytest.raises(StorageFailed, match="64 bits"):
            _roll_up(connection)
        assert _cube(connection, 3600) == before
