"""Pricing again: rows of a model that nobody knew get their cost once it is known."""

# ruff: noqa: S608 - SQL fragments come from the fixed maps of store.usage.schema only; values are bound parameters.

from collections.abc import Callable, Iterable

import duckdb
import pyarrow as pa

from store.model.prices import PriceKey, PriceTable
from store.model.usage import UsageRecord
from store.usage.columns import from_arrow
from store.usage.schema import FINE_SECONDS, UNPRICED, bucket_of_record

_ROWS = 20_000
_MODELS = f"SELECT DISTINCT provider, model FROM records WHERE {UNPRICED} ORDER BY provider, model"
_FIELDS = ", ".join(UsageRecord._fields)
_ROWS_OF = f"SELECT {_FIELDS}, rowid AS row_id FROM records WHERE {UNPRICED} AND provider = ? AND model = ?"
_COST = pa.schema([("row_id", pa.int64()), ("nanos", pa.int64())])


def reprice(connection: duckdb.DuckDBPyConnection, table_for: Callable[[Iterable[PriceKey]], PriceTable]) -> int:
    """Set the cost of unpriced rows that the table can price, and mark their buckets, inside the transaction."""
    keys = [PriceKey(*row) for row in connection.execute(_MODELS).fetchall()]
    table = table_for(keys) if keys else None
    return sum(_price_model(connection, table, key) for key in keys if table and table.prices.get(key))


def _price_model(connection: duckdb.DuckDBPyConnection, table: PriceTable, key: PriceKey) -> int:
    rows = connection.sql(_ROWS_OF, params=list(key)).to_arrow_table()
    priced = 0
    for at in range(0, rows.num_rows, _ROWS):
        part = rows.slice(at, _ROWS)
        costs = [table.cost(record) for record in from_arrow(part)]
        known = [
            (row, cost) for row, cost in zip(part.column("row_id").to_pylist(), costs, strict=True) if cost is not None
        ]
        if known:
            _set_costs(connection, known)
            priced += len(known)
    return priced


def _set_costs(connection: duckdb.DuckDBPyConnection, known: list[tuple[int, int]]) -> None:
    row_ids, nanos = zip(*known, strict=True)
    connection.register("costs", pa.table([pa.array(row_ids), pa.array(nanos)], schema=_COST))
    try:
        connection.execute(
            f"INSERT INTO dirty SELECT DISTINCT {bucket_of_record(FINE_SECONDS)} FROM records "
            "WHERE role = 'metered' AND rowid IN (SELECT row_id FROM costs)"
        )
        connection.execute("UPDATE records SET cost_nanos = costs.nanos FROM costs WHERE records.rowid = costs.row_id")
    finally:
        connection.unregister("costs")
