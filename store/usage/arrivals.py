"""Arrivals: how long after a call it was first known here. A record's own `observed_us` is when it was said last.

Kept for metered calls that came within a week, one row per append, source, hour and delay; older history that is
loaded is not late, it is history.
"""

import duckdb

from store.model.usage import Arrival, Window

_US = 1_000_000
_HOUR_US = 3600 * _US
_MOST_US = 7 * 24 * _HOUR_US
_NOTE = f"""
INSERT INTO arrivals
SELECT source, occurred_us // {_HOUR_US} * 3600, (observed_us - occurred_us) // {_HOUR_US},
       CAST(sum(coalesce(cost_nanos, 0)) AS BIGINT)
"""
_CALLS = f"period_seconds = 0 AND observed_us >= occurred_us AND observed_us - occurred_us < {_MOST_US}"
_READ = """
SELECT source, hour, delay_hours, CAST(sum(cost_nanos) AS BIGINT) FROM arrivals
WHERE hour >= ? AND hour < ? AND hour + delay_hours * 3600 < ?
GROUP BY source, hour, delay_hours ORDER BY source, hour, delay_hours
"""
_DAYS_SECONDS = 10 * 86_400
_NEWEST = """
SELECT source, hour, delay_hours, CAST(sum(cost_nanos) AS BIGINT) FROM arrivals
WHERE hour > (SELECT max(hour) FROM arrivals) - ? GROUP BY ALL ORDER BY ALL
"""


def note(connection: duckdb.DuckDBPyConnection, new: str) -> None:
    """Note the calls of `new`, a FROM clause over rows whose ids were not known, inside the caller's transaction."""
    where = "AND" if " WHERE " in new else "WHERE"
    connection.execute(f"{_NOTE} {new} {where} {_CALLS} GROUP BY ALL")


def read(connection: duckdb.DuckDBPyConnection, window: Window) -> list[Arrival]:
    """What is known at the end of the window of the arrivals of its hours, sorted."""
    start, end = window.start_us // _US, window.end_us // _US
    return [Arrival(*row) for row in connection.execute(_READ, [start, end, end]).fetchall()]


def newest(connection: duckdb.DuckDBPyConnection) -> list[Arrival]:
    """Those of the last days that there are, for a copy: the records that it gets no longer tell when they were new."""
    return [Arrival(*row) for row in connection.execute(_NEWEST, [_DAYS_SECONDS]).fetchall()]


def replace(connection: duckdb.DuckDBPyConnection, arrivals: list[Arrival]) -> None:
    """Hold these instead of what was noted, inside the caller's transaction."""
    connection.execute("DELETE FROM arrivals")
    if arrivals:
        connection.executemany("INSERT INTO arrivals VALUES (?, ?, ?, ?)", arrivals)


def expire(connection: duckdb.DuckDBPyConnection, floor_us: int) -> None:
    """Drop hours from before that time, and take the rows of one hour together."""
    connection.execute("DELETE FROM arrivals WHERE hour < ?", [floor_us // _US])
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE summed AS SELECT source, hour, delay_hours, "
        "CAST(sum(cost_nanos) AS BIGINT) FROM arrivals GROUP BY ALL"
    )
    connection.execute("DELETE FROM arrivals")
    connection.execute("INSERT INTO arrivals SELECT * FROM summed")
