"""Other engines that make the two cubes from the same records in memory; a peer that is not installed is left out.

Each takes the records as an Arrow table and gives a function that makes both cubes and says how many rows they have.
"""

# ruff: noqa: S608 - SQL of a benchmark, over names of our own.

import importlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from store.model.usage import CUBE_DIMENSIONS, CUBE_MEASURES
from store.usage.schema import SUMS_OF_RECORDS, SUMS_OF_ROLLUPS

Work = Callable[[], int]
_US = 10**6
_DIMS = ", ".join(CUBE_DIMENSIONS)
_DERIVED = frozenset({"errors", "refused", "retries", "cash_nanos", "unpriced"})
MEASURED = tuple(name for name in CUBE_MEASURES if name not in _DERIVED)
"""The measures that are plain sums of a column of the records; Polars is spared the others."""


def duckdb_text(records: pa.Table) -> Work:
    """DuckDB's own GROUP BY over the records: the product's sums, by the text of every dimension."""
    return _duckdb(records, _DIMS)


def duckdb_codes(records: pa.Table) -> Work:
    """The same where every combination of dimensions already has a number."""
    return _duckdb(records, "series")


def polars_text(records: pa.Table) -> Work:
    """Polars in memory, by the text of every dimension."""
    return _polars(records, list(CUBE_DIMENSIONS))


def polars_codes(records: pa.Table) -> Work:
    """Polars in memory where every combination of dimensions already has a number."""
    return _polars(records, ["series"])


PEERS: dict[str, tuple[str, Callable[[pa.Table], Work]]] = {
    "DuckDB GROUP BY, text": ("duckdb", duckdb_text),
    "DuckDB GROUP BY, ready numbers": ("duckdb", duckdb_codes),
    "Polars, text": ("polars", polars_text),
    "Polars, ready numbers": ("polars", polars_codes),
}
"""By name: the module that it needs, and what it does."""


def _duckdb(records: pa.Table, keys: str) -> Work:
    connection = _module("duckdb").connect()
    connection.execute("SET enable_progress_bar = false")
    connection.register("incoming", records)
    connection.execute("CREATE TABLE records AS SELECT * FROM incoming")
    connection.unregister("incoming")

    def work() -> int:
        bucket = f"occurred_us // {300 * _US}"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE fine AS "
            f"SELECT {bucket} AS bucket, {keys}, {SUMS_OF_RECORDS} FROM records GROUP BY {bucket}, {keys}"
        )
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE coarse AS "
            f"SELECT bucket // 12 AS hour, {keys}, {SUMS_OF_ROLLUPS} FROM fine GROUP BY bucket // 12, {keys}"
        )
        found = connection.execute("SELECT (SELECT count(*) FROM fine) + (SELECT count(*) FROM coarse)").fetchall()
        return int(found[0][0])

    return work


def _polars(records: pa.Table, keys: list[str]) -> Work:
    pl = _module("polars")
    frame = pl.from_arrow(records.select(["occurred_us", *keys, *MEASURED]))

    def work() -> int:
        sums = [pl.col(name).sum() for name in MEASURED]
        cut = frame.with_columns((pl.col("occurred_us") // (300 * _US)).alias("bucket"))
        fine = cut.group_by(["bucket", *keys]).agg(sums)
        coarse = fine.with_columns((pl.col("bucket") // 12).alias("hour")).group_by(["hour", *keys]).agg(sums)
        return int(fine.height + coarse.height)

    return work


def _module(name: str) -> Any:
    return importlib.import_module(name)
