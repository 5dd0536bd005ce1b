"""Spans of traces: kept once by (trace_id, span_id), whichever way and order they come; read by the calls of a scope.

Nearly every span comes once, so ids that no earlier span had are inserted as they are (store.usage.known_ids).
"""

# ruff: noqa: S608 - SQL fragments come from Span's own field names and the caller's scope only; values are bound.

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import duckdb
import numpy as np
import pyarrow as pa

from store.model.span import Span
from store.model.usage import NONE, Window
from store.usage.known_ids import Hashes, KnownIds
from store.usage.schema import SPAN_SCHEMA

COLUMNS = ", ".join(Span._fields)
_KNOWN: WeakKeyDictionary[duckdb.DuckDBPyConnection, KnownIds] = WeakKeyDictionary()
"""By connection. A rollback only leaves ids in it that the table does not hold: those are looked for in vain."""
_HASHES = "SELECT hash(trace_id, span_id) AS hash FROM"
_NEWEST = f"""
CREATE OR REPLACE TEMP TABLE newest_spans AS
SELECT {COLUMNS} FROM (
    SELECT {COLUMNS} FROM spans WHERE (trace_id, span_id) IN (SELECT (trace_id, span_id) FROM again_spans)
    UNION ALL SELECT {COLUMNS} FROM again_spans
) QUALIFY row_number() OVER (PARTITION BY trace_id, span_id ORDER BY observed_us DESC, {COLUMNS}) = 1
"""
_REPLACE = (
    _NEWEST,
    "DELETE FROM spans WHERE (trace_id, span_id) IN (SELECT (trace_id, span_id) FROM newest_spans)",
    f"INSERT INTO spans SELECT {COLUMNS} FROM newest_spans",
)


def append(connection: duckdb.DuckDBPyConnection, spans: Sequence[Span]) -> None:
    """Keep the spans, inside the caller's transaction."""
    if not spans:
        return
    rows = pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(zip(*spans, strict=True), SPAN_SCHEMA, strict=True)],
        schema=SPAN_SCHEMA,
    )
    connection.register("incoming_spans", rows)
    try:
        if connection not in _KNOWN:
            _KNOWN[connection] = KnownIds(_hashes(connection, "spans"))
        again = _KNOWN[connection].meet(_hashes(connection, "incoming_spans"))
    finally:
        connection.unregister("incoming_spans")
    connection.register("new_spans", rows.filter(pa.array(~again)))
    connection.register("again_spans", rows.filter(pa.array(again)))
    try:
        connection.execute(f"INSERT INTO spans SELECT {COLUMNS} FROM new_spans")
        if again.any():
            for statement in _REPLACE:
                connection.execute(statement)
    finally:
        connection.unregister("new_spans")
        connection.unregister("again_spans")


def read(
    connection: duckdb.DuckDBPyConnection, window: Window, filters: Sequence[str], params: Sequence[str], limit: int
) -> list[Span]:
    """The newest spans that ended in the window, of traces in which a call of the scope ended then; oldest first.

    A call belongs to a trace by its own trace id, or as what a span of the trace says it is: a gateway that made up its
    trace ids is joined by the id of the answer. `filters` and their `params` say which calls the scope has.
    """
    span = [window.start_us, window.end_us]
    inside = "ended_us >= ? AND ended_us < ?"
    if not connection.execute(f"SELECT 1 FROM spans WHERE {inside} LIMIT 1", span).fetchall():
        return []
    calls = " AND ".join(["occurred_us >= ?", "occurred_us < ?", *filters])
    found = connection.execute(
        f"WITH calls AS (SELECT record_id, trace_id FROM records WHERE {calls}), traces AS ("
        f"SELECT trace_id FROM calls WHERE trace_id <> '{NONE}' UNION "
        f"SELECT trace_id FROM spans WHERE {inside} AND record_id IN (SELECT record_id FROM calls)) "
        f"SELECT {COLUMNS} FROM spans WHERE {inside} AND trace_id IN (SELECT trace_id FROM traces) "
        "ORDER BY ended_us DESC, trace_id, span_id LIMIT ?",
        [*span, *params, *span, *span, limit],
    ).fetchall()
    return [Span(*row) for row in reversed(found)]


def _hashes(connection: duckdb.DuckDBPyConnection, table: str) -> Hashes:
    return np.asarray(connection.execute(f"{_HASHES} {table}").fetchnumpy()["hash"], dtype=np.uint64)
