"""Roll-ups: the dirty buckets are computed again from the deduplicated records, never added to.

The 5-minute cube holds records of single requests and of periods up to 5 minutes. A provider row of a longer period
is in the hourly cube only, in the hour of its start: a series is never finer than its coarsest source, so such
sources are to be read at their own period or coarser.
"""

# ruff: noqa: S608 - SQL fragments come from the fixed maps of store.usage.schema only; values are bound parameters.

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import duckdb
import numpy as np
import pyarrow as pa

from store.model.usage import CUBE_MEASURES, Window, from_us
from store.usage.cells import Ints, cells_of_records, wider_cells
from store.usage.schema import (
    AMOUNTS_OF_RECORDS,
    COARSE_SECONDS,
    FINE_SECONDS,
    FLAGS_OF_RECORDS,
    MEASURES_OF_RECORDS,
    ROLLUPS,
    bucket_of_record,
    bucket_of_rollup,
)

_US = 1_000_000
MOST_ROWS = 2**20
"""So many records are in memory at once, about 150 bytes each, or those of one hour."""

_COLUMNS = ", ".join(("bucket", "series", *CUBE_MEASURES))
_HOUR = bucket_of_rollup(COARSE_SECONDS)
_DIRTY = "SELECT bucket FROM dirty"
_DIRTY_HOURS = f"SELECT {_HOUR} FROM dirty"
_SPAN = "FROM records WHERE occurred_us >= ? AND occurred_us < ?"
_COUNT = f"SELECT count(*), coalesce(max(period_seconds), 0) {_SPAN}"
_OF_PERIOD = f"{_SPAN} AND role = 'metered' AND period_seconds"
_FINE_BUCKET, _COARSE_BUCKET = bucket_of_record(FINE_SECONDS), bucket_of_record(COARSE_SECONDS)
_FINE = (
    f"SELECT ({_FINE_BUCKET} - ?) // {FINE_SECONDS} * ? + series AS place, {AMOUNTS_OF_RECORDS}, "
    f"{FLAGS_OF_RECORDS} AS flags {_OF_PERIOD} <= {FINE_SECONDS}"
)
_FINE_DUE = f"{_FINE} AND {_FINE_BUCKET} IN ({_DIRTY})"
_CLEAN = (
    f"SELECT {_COLUMNS} FROM {ROLLUPS[FINE_SECONDS]} WHERE bucket >= ? AND bucket < ? "
    f"AND {_HOUR} IN ({_DIRTY_HOURS}) AND bucket NOT IN ({_DIRTY})"
)
"""The other 5-minute buckets of dirty hours."""
_LONG = (
    f"SELECT {_COARSE_BUCKET} AS bucket, series, {MEASURES_OF_RECORDS} {_OF_PERIOD} > {FINE_SECONDS} "
    f"AND {_COARSE_BUCKET} IN ({_DIRTY_HOURS})"
)
"""What dirty hours hold beside all 5-minute buckets."""


def roll_up(connection: duckdb.DuckDBPyConnection, *, most_rows: int = MOST_ROWS) -> Window | None:
    """Recompute all dirty buckets inside the caller's transaction; the hours they lie in, or None.

    They are computed in parts of whole hours that hold at most so many records, for the sake of memory.

    Raises:
        StorageFailed: a sum does not fit 64 bits.
    """
    dirty: Ints = connection.execute(f"{_DIRTY} GROUP BY bucket ORDER BY bucket").fetchnumpy()["bucket"]
    if not len(dirty):
        return None
    for part, longest in _parts(connection, dirty, most_rows):
        _recompute(connection, part, longest)
    connection.execute("DELETE FROM dirty")
    start, end = _hours(dirty)
    return Window(start=from_us(start * _US), end=from_us(end * _US))


def _parts(connection: duckdb.DuckDBPyConnection, dirty: Ints, most_rows: int) -> Iterator[tuple[Ints, int]]:
    """The dirty buckets in parts of whole hours, and each part's longest period; what spans too many rows is halved."""
    start, end = _hours(dirty)
    rows, longest = connection.execute(_COUNT, [start * _US, end * _US]).fetchall()[0]
    hours = np.unique(dirty // COARSE_SECONDS)
    if rows <= most_rows or len(hours) == 1:
        yield dirty, longest
        return
    middle = np.searchsorted(dirty, hours[len(hours) // 2] * COARSE_SECONDS)
    yield from _parts(connection, dirty[:middle], most_rows)
    yield from _parts(connection, dirty[middle:], most_rows)


def _recompute(connection: duckdb.DuckDBPyConnection, dirty: Ints, longest: int) -> None:
    first, last = int(dirty[0]), int(dirty[-1]) + FINE_SECONDS
    (series,) = connection.execute("SELECT coalesce(max(series), 0) + 1 FROM series").fetchall()[0]
    due = _FINE if len(dirty) * FINE_SECONDS == last - first else _FINE_DUE
    records = connection.sql(due, params=[first, series, first * _US, last * _US]).to_arrow_table()
    fine = cells_of_records(records, first=first, seconds=FINE_SECONDS, series=series)
    start, end = _hours(dirty)
    in_hours = [fine]
    if len(dirty) * FINE_SECONDS < end - start:
        in_hours.append(connection.sql(_CLEAN, params=[start, end]).to_arrow_table())
    if longest > FINE_SECONDS:
        in_hours.append(connection.sql(_LONG, params=[start * _US, end * _US]).to_arrow_table())
    with ThreadPoolExecutor(1) as beside:
        coarse = beside.submit(wider_cells, pa.concat_tables(in_hours), COARSE_SECONDS)
        _replace(connection, FINE_SECONDS, f"bucket IN ({_DIRTY})", [first, last], fine)
        _replace(connection, COARSE_SECONDS, f"bucket IN ({_DIRTY_HOURS})", [start, end], coarse.result())


def _replace(connection: duckdb.DuckDBPyConnection, seconds: int, which: str, span: list[int], cells: pa.Table) -> None:
    connection.execute(f"DELETE FROM {ROLLUPS[seconds]} WHERE bucket >= ? AND bucket < ? AND {which}", span)
    connection.register("cells", cells)
    try:
        connection.execute(f"INSERT INTO {ROLLUPS[seconds]} ({_COLUMNS}) SELECT {_COLUMNS} FROM cells")
    finally:
        connection.unregister("cells")


def _hours(dirty: Ints) -> tuple[int, int]:
    """The span of whole hours around dirty buckets."""
    return (
        int(dirty[0]) // COARSE_SECONDS * COARSE_SECONDS,
        (int(dirty[-1]) // COARSE_SECONDS + 1) * COARSE_SECONDS,
    )
