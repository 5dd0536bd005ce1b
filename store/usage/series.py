"""Series: every combination of the cube's dimensions has a number, and roll-ups group by that instead of by text."""

# ruff: noqa: S608 - SQL fragments come from the fixed maps of store.usage.schema only; values are bound parameters.

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from store.model.usage import CUBE_DIMENSIONS
from store.usage.columns import encode

_DIMS = ", ".join(CUBE_DIMENSIONS)
_SAME = " AND ".join(f"s.{name} = c.{name}" for name in CUBE_DIMENSIONS)
_ADD_NEW = f"""
INSERT INTO series (series, {_DIMS})
SELECT (SELECT coalesce(max(series), 0) FROM series) + row_number() OVER (), {_DIMS}
FROM combinations c WHERE NOT EXISTS (SELECT 1 FROM series s WHERE {_SAME})
"""
_NUMBERS = f"SELECT c.at, s.series FROM combinations c JOIN series s ON {_SAME}"
"""Without a row for a combination that is new."""
_MOST = 2**62


def number_series(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> pa.Array:
    """The series of each row as int64, new combinations added inside the caller's transaction."""
    at, first = _combinations(rows)
    distinct = rows.select(CUBE_DIMENSIONS).take(pa.array(first))
    distinct = distinct.append_column("at", pa.array(np.arange(len(first))))
    connection.register("combinations", distinct)
    try:
        found = connection.execute(_NUMBERS).fetchnumpy()
        if len(found["at"]) < len(first):
            connection.execute(_ADD_NEW)
            found = connection.execute(_NUMBERS).fetchnumpy()
    finally:
        connection.unregister("combinations")
    numbers = np.zeros(len(first), dtype=np.int64)
    numbers[found["at"]] = found["series"]
    return pa.array(numbers[at])


def _combinations(rows: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each row the number of its combination within the table, and for each combination its first row."""
    combined, size = np.zeros(rows.num_rows, dtype=np.int64), 1
    for name in CUBE_DIMENSIONS:
        codes, values = encode(rows.column(name))
        if len(values) < 2:
            continue
        if size * len(values) >= _MOST:
            combined, size = _dense(combined)
        combined, size = combined * len(values) + codes, size * len(values)
    at, found = _dense(combined)
    first = np.empty(found, dtype=np.int64)
    first[at[::-1]] = np.arange(rows.num_rows - 1, -1, -1)
    return at, first


def _dense(codes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    encoded = pa.array(codes).dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(), dtype=np.int64), len(encoded.dictionary)
