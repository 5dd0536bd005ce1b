"""Roll-ups: the dirty buckets are computed again from the deduplicated records, never added to.

The 5-minute cube holds records of single requests and of periods up to 5 minutes. A provider row of a longer period
is in the hourly cube only, in the hour of its start: a series is never finer than its coarsest source, so such
sources are to be read at their own period or coarser.
"""

# ruff: noqa: S608 - SQL fragments come from the fixed maps of store.usage.schema only; values are bound parameters.

import duckdb

from store.model.usage import CUBE_MEASURES, Window, from_us
from store.usage.schema import (
    COARSE_SECONDS,
    FINE_SECONDS,
    ROLLUPS,
    SUMS_OF_RECORDS,
    SUMS_OF_ROLLUPS,
    bucket_of_record,
    bucket_of_rollup,
)

_US = 1_000_000
_COLUMNS = ", ".join(("bucket", "series", *CUBE_MEASURES))


def _due(seconds: int) -> str:
    return f"SELECT DISTINCT bucket // {seconds} * {seconds} FROM dirty"


def _of_records(seconds: int, periods: str) -> str:
    bucket = bucket_of_record(seconds)
    return (
        f"SELECT {bucket} AS bucket, series, {SUMS_OF_RECORDS} FROM records "
        # The span lets the engine skip row groups before it looks at single buckets.
        f"WHERE role = 'metered' AND occurred_us >= ? AND occurred_us < ? AND {bucket} IN ({_due(seconds)}) "
        f"AND period_seconds {periods} GROUP BY {bucket}, series"
    )


_HOUR = bucket_of_rollup(COARSE_SECONDS)
_FINE = _of_records(FINE_SECONDS, f"<= {FINE_SECONDS}")
_COARSE = (
    f"SELECT {_HOUR} AS hour, series, {SUMS_OF_ROLLUPS} FROM ("
    f"SELECT {_COLUMNS} FROM {ROLLUPS[FINE_SECONDS]} "
    f"WHERE bucket >= ? AND bucket < ? AND {_HOUR} IN ({_due(COARSE_SECONDS)}) "
    f"UNION ALL {_of_records(COARSE_SECONDS, f'> {FINE_SECONDS}')}) GROUP BY {_HOUR}, series"
)
"""The hours add up the 5-minute cube, which is up to date by then, and the rows of longer periods."""


def roll_up(connection: duckdb.DuckDBPyConnection) -> Window | None:
    """Recompute all dirty buckets inside the caller's transaction; the hours they lie in, or None."""
    first, last = connection.execute("SELECT min(bucket), max(bucket) FROM dirty").fetchall()[0]
    if first is None:
        return None
    start = first // COARSE_SECONDS * COARSE_SECONDS
    end = (last // COARSE_SECONDS + 1) * COARSE_SECONDS
    _recompute(connection, FINE_SECONDS, _FINE, [start * _US, end * _US])
    _recompute(connection, COARSE_SECONDS, _COARSE, [start, end, start * _US, end * _US])
    connection.execute("DELETE FROM dirty")
    return Window(start=from_us(start * _US), end=from_us(end * _US))


def _recompute(connection: duckdb.DuckDBPyConnection, seconds: int, cells: str, params: list[int]) -> None:
    connection.execute(f"DELETE FROM {ROLLUPS[seconds]} WHERE bucket IN ({_due(seconds)})")
    connection.execute(f"INSERT INTO {ROLLUPS[seconds]} ({_COLUMNS}) {cells}", params)
