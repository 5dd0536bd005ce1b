"""Rows that cannot be right, kept with the reason."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from store.model.canonical import digest
from store.model.usage import Quarantined

_MOST_CHARACTERS = 4_000
_COLUMNS = ("digest", *Quarantined._fields)


def keep(connection: duckdb.DuckDBPyConnection, rows: Sequence[Quarantined]) -> None:
    """Keep each (source, reason, raw) once, with the time it was seen last; inside the caller's transaction."""
    newest: dict[str, Quarantined] = {}
    for row in rows:
        cut = row._replace(raw=row.raw[:_MOST_CHARACTERS])
        key = digest([cut.source, cut.reason, cut.raw])
        if key not in newest or newest[key].observed_us < cut.observed_us:
            newest[key] = cut
    if not newest:
        return
    connection.execute("INSERT INTO taken VALUES (0, 0, 0, ?)", [len(rows)])
    columns = zip(*((key, *row) for key, row in newest.items()), strict=True)
    connection.register("rejected", pa.table(dict(zip(_COLUMNS, map(list, columns), strict=True))))
    try:
        connection.execute(
            "INSERT INTO quarantine SELECT digest, source, observed_us, reason, raw FROM rejected "
            "ON CONFLICT (digest) DO UPDATE SET observed_us = greatest(observed_us, excluded.observed_us)"
        )
    finally:
        connection.unregister("rejected")
