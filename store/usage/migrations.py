"""A warehouse that an earlier Bursar wrote, brought to the schema of this one when it is opened."""

# ruff: noqa: S608 - SQL fragments come from the fixed maps of store.usage.schema only; values are bound parameters.

from collections.abc import Sequence

import duckdb

from store.model.usage import CUBE_DIMENSIONS, NONE
from store.usage.schema import ARRIVALS_DDL, FINE_SECONDS, ROLLUPS, SPANS_DDL, bucket_of_record

_DIMS = ", ".join(CUBE_DIMENSIONS)
_SAME = " AND ".join(f"records.{name} = s.{name}" for name in CUBE_DIMENSIONS)

_TO: dict[int, Sequence[str]] = {
    # Roll-ups by the number of a series instead of by text; contents are computed when they are needed. The roll-ups
    # are made again from the records, which are all there.
    2: (
        *(f"DROP TABLE IF EXISTS {table}" for table in ROLLUPS.values()),
        f"CREATE TABLE series AS SELECT row_number() OVER ()::BIGINT AS series, {_DIMS} "
        f"FROM (SELECT DISTINCT {_DIMS} FROM records)",
        "ALTER TABLE records DROP COLUMN content",
        "ALTER TABLE records ADD COLUMN IF NOT EXISTS prefix_break_at BIGINT DEFAULT 0",
        f"ALTER TABLE records ADD COLUMN IF NOT EXISTS prefix_break_kind VARCHAR DEFAULT '{NONE}'",
        "ALTER TABLE records ADD COLUMN series BIGINT",
        f"UPDATE records SET series = s.series FROM series s WHERE {_SAME}",
        f"INSERT INTO dirty SELECT DISTINCT {bucket_of_record(FINE_SECONDS)} FROM records WHERE role = 'metered' "
        "EXCEPT SELECT bucket FROM dirty",
    ),
    # Traces and arrivals. A version of their own, because an older Bursar would never drop the old ones.
    3: (SPANS_DDL, ARRIVALS_DDL),
}


def migrate(connection: duckdb.DuckDBPyConnection, *, found: int, wanted: int) -> None:
    """Bring the tables from one version to another, inside the caller's transaction; before missing ones are created.

    Raises:
        KeyError: no way is known between the two.
    """
    for version in range(found + 1, wanted + 1):
        for statement in _TO[version]:
            connection.execute(statement)
    connection.execute("UPDATE meta SET version = ?", [wanted])
