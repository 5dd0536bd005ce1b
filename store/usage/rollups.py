"""Roll-ups: the dirty buckets are computed again from the deduplicated records, never added to.

The 5-minute cube holds records of single requests and of periods up to 5 minutes. A provider row of a longer period
is in the hourly cube only, in the hour of its start: a series is never finer than its coarsest source, so such
sources are to be read at their own period or coarser.
"""

# ruff: noqa: S608 - SQL fragments come from the fixed maps of store.usage.schema only; values are bound parameters.

import duckdb

from store.model.usage import CUBE_DIMENSIONS, CUBE_MEASURES, Window, from_us
from store.usage.schema import COARSE_SECONDS, FINE_SECONDS, ROLLUPS, SUMS_OF_RECORDS, bucket_of_record

_US = 1_000_000
_DIMS = ", ".join(CUBE_DIMENSIONS)
_COLUMNS = ", ".join(("bucket", *CUBE_DIMENSIONS, *CUBE_MEASURES))


def roll_up(connection: duckdb.DuckDBPyConnection) -> Window | None:
    """Recompute all dirty buckets inside the caller's transaction; the hours they lie in, or None."""
    first, last = connection.execute("SELECT min(bucket), max(bucket) FROM dirty").fetchall()[0]
    if first is None:
        return None
    start = first // COARSE_SECONDS * COARSE_SECONDS
    end = (last // COARSE_SECONDS + 1) * COARSE_SECONDS
    for seconds in ROLLUPS:
        _recompute(connection, seconds, start, end)
    connection.execute("DELETE FROM dirty")
    return Window(start=from_us(start * _US), end=from_us(end * _US))


def _recompute(connection: duckdb.DuckDBPyConnection, seconds: int, start: int, end: int) -> None:
    table, bucket = ROLLUPS[seconds], bucket_of_record(seconds)
    due = f"SELECT DISTINCT bucket // {seconds} * {seconds} FROM dirty"
    finest = f"AND period_seconds <= {seconds}" if seconds == FINE_SECONDS else ""
    connection.execute(f"DELETE FROM {table} WHERE bucket IN ({due})")
    connection.execute(
        f"INSERT INTO {table} ({_COLUMNS}) SELECT {bucket} AS bucket, {_DIMS}, {SUMS_OF_RECORDS} FROM records "
        # The span lets the engine skip row groups before it looks at single buckets.
        f"WHERE role = 'metered' AND occurred_us >= ? AND occurred_us < ? AND {bucket} IN ({due}) {finest} "
        f"GROUP BY {bucket}, {_DIMS}",
        [start * _US, end * _US],
    )
