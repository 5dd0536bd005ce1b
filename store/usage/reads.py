"""Reads: cubes, records, and the state of sources, prices and quarantine."""

# ruff: noqa: S608 - SQL fragments come from the fixed maps of store.usage.schema only; values are bound parameters.

from collections.abc import Sequence

import duckdb

from store.errors import BadInput
from store.model.usage import (
    CUBE_DIMENSIONS,
    CUBE_MEASURES,
    RECORD_DIMENSIONS,
    Cube,
    Intake,
    Quarantined,
    RecordTable,
    Role,
    Scope,
    SourceState,
    UsageRecord,
    Window,
    from_us,
)
from store.usage import columns as convert
from store.usage.schema import (
    COARSE_SECONDS,
    FINE_SECONDS,
    FROM_RECORDS,
    ROLLUPS,
    SUMS_OF_RECORDS,
    SUMS_OF_ROLLUPS,
    UNPRICED,
    bucket_of_record,
    bucket_of_rollup,
    dimension,
)

_US = 1_000_000
_RECORD_COLUMNS = (*UsageRecord._fields, "unpriced")
_SELECTED = {"unpriced": f"{UNPRICED} AS unpriced"}


def cube(
    connection: duckdb.DuckDBPyConnection,
    window: Window,
    *,
    bucket_seconds: int,
    dims: Sequence[str],
    scope: Scope,
    role: Role,
) -> Cube:
    """The rollup rows of buckets that start in the window.

    Reference rows, dimensions that rollups do not keep, and buckets finer than the finest rollup are summed from the
    records themselves.

    Raises:
        BadInput: an unknown dimension or bucket width.
    """
    if bucket_seconds not in (*FROM_RECORDS, FINE_SECONDS) and (bucket_seconds <= 0 or bucket_seconds % COARSE_SECONDS):
        raise BadInput(f"no cube of {bucket_seconds} s buckets; use 60, 300, 3600 or a multiple of 3600")
    first, last = _ceil(window.start_us, bucket_seconds), _ceil(window.end_us, bucket_seconds)
    names = (*dims, *(name for name, _ in scope.dims))
    params: list[str | int]
    rolled_up = role == "metered" and bucket_seconds not in FROM_RECORDS
    if rolled_up and all(name in CUBE_DIMENSIONS for name in names):
        table = ROLLUPS[FINE_SECONDS if bucket_seconds == FINE_SECONDS else COARSE_SECONDS]
        table = f"{table} JOIN series USING (series)" if names else table
        bucket, sums = bucket_of_rollup(bucket_seconds), SUMS_OF_ROLLUPS
        where, params = ["bucket >= ?", "bucket < ?"], [first, last]
    else:
        table, bucket, sums = "records", bucket_of_record(bucket_seconds), SUMS_OF_RECORDS
        where, params = ["role = ?", "occurred_us >= ?", "occurred_us < ?"], [role, first * _US, last * _US]
        if bucket_seconds <= FINE_SECONDS:
            where.append(f"period_seconds <= {bucket_seconds}")
    selected, dim_params = _dimensions(dims)
    filters, scope_params = scope_filters(scope)
    groups = ", ".join(str(at) for at in range(1, len(dims) + 2))
    found = connection.sql(
        f"SELECT {bucket} AS start{selected}, {sums} FROM {table} WHERE {' AND '.join([*where, *filters])} "
        f"GROUP BY {groups}",
        params=[*dim_params, *params, *scope_params],
    ).to_arrow_table()
    coded = {name: convert.encode(found.column(f"d{at}")) for at, name in enumerate(dims)}
    return Cube(
        window=window,
        bucket_seconds=bucket_seconds,
        bucket=convert.integers(found.column("start")),
        codes={name: codes for name, (codes, _) in coded.items()},
        values={name: values for name, (_, values) in coded.items()},
        measures={name: convert.integers(found.column(name)) for name in CUBE_MEASURES},
    )


def records(
    connection: duckdb.DuckDBPyConnection,
    window: Window,
    *,
    scope: Scope,
    columns: Sequence[str] | None,
    limit: int | None,
    role: Role,
) -> RecordTable:
    """Deduplicated records of the window, oldest first; `limit` keeps the newest.

    Raises:
        BadInput: an unknown column.
    """
    names = _RECORD_COLUMNS if columns is None else tuple(dict.fromkeys(columns))
    unknown = [name for name in names if name not in _RECORD_COLUMNS]
    if unknown:
        raise BadInput(f"no such record column: {', '.join(unknown)}; known: {', '.join(_RECORD_COLUMNS)}")
    filters, scope_params = scope_filters(scope)
    where = " AND ".join(["role = ?", "occurred_us >= ?", "occurred_us < ?", *filters])
    newest = "ORDER BY occurred_us DESC, record_id DESC LIMIT ?" if limit is not None else ""
    selected = ", ".join(_SELECTED.get(name, name) for name in names)
    # The sort keys are fetched beside the asked columns under names that no column has.
    found = connection.sql(
        f"SELECT {selected}, occurred_us AS sort_us, record_id AS sort_id FROM records WHERE {where} {newest}",
        params=[role, window.start_us, window.end_us, *scope_params, *([] if limit is None else [limit + 1])],
    ).to_arrow_table()
    found = found.sort_by([("sort_us", "ascending"), ("sort_id", "ascending")])
    cut = limit is not None and found.num_rows > limit
    kept = found.slice(found.num_rows - limit) if cut and limit is not None else found
    return RecordTable(
        window=window, scope=scope, columns=convert.to_numpy(kept.drop_columns(["sort_us", "sort_id"])), cut=cut
    )


def sources(connection: duckdb.DuckDBPyConnection) -> list[SourceState]:
    """How far each source has come, one row per (source, role), sorted."""
    rows = connection.execute(
        "SELECT source, role, count(*), min(occurred_us), max(occurred_us), max(observed_us), "
        f"count(*) FILTER (WHERE {UNPRICED}) FROM records GROUP BY source, role ORDER BY source, role"
    ).fetchall()
    return [
        SourceState(
            source=source,
            role=role,
            records=count,
            first_at=from_us(first),
            last_at=from_us(last),
            last_observed_at=from_us(observed),
            unpriced=unpriced,
        )
        for source, role, count, first, last, observed, unpriced in rows
    ]


def taken(connection: duckdb.DuckDBPyConnection) -> Intake:
    """What became of every row that ever came in."""
    names = tuple(Intake.model_fields)
    sums = ", ".join(f"CAST(coalesce(sum({name}), 0) AS BIGINT)" for name in names)
    row = connection.execute(f"SELECT {sums} FROM taken").fetchall()[0]
    return Intake(**dict(zip(names, row, strict=True)))


def unpriced(connection: duckdb.DuckDBPyConnection, window: Window) -> list[tuple[str, str, int, int]]:
    """(provider, model, records, tokens) of metered rows that used tokens and have no price; most tokens first."""
    tokens = "input_uncached + cache_read + cache_write_5m + cache_write_1h + output"
    rows = connection.execute(
        f"SELECT provider, model, count(*), CAST(sum({tokens}) AS BIGINT) AS tokens FROM records "
        f"WHERE role = 'metered' AND occurred_us >= ? AND occurred_us < ? AND {UNPRICED} "
        "GROUP BY provider, model ORDER BY tokens DESC, provider, model",
        [window.start_us, window.end_us],
    ).fetchall()
    return [(provider, model, count, total) for provider, model, count, total in rows]


def quarantined(connection: duckdb.DuckDBPyConnection, limit: int) -> list[Quarantined]:
    """The newest quarantined rows."""
    rows = connection.execute(
        "SELECT source, observed_us, reason, raw FROM quarantine ORDER BY observed_us DESC, digest LIMIT ?", [limit]
    ).fetchall()
    return [Quarantined(*row) for row in rows]


def _dimensions(dims: Sequence[str]) -> tuple[str, list[str]]:
    selected, params = "", []
    for at, name in enumerate(dims):
        expression, bound = _dimension(name)
        selected += f", {expression} AS d{at}"
        params += bound
    return selected, params


def scope_filters(scope: Scope) -> tuple[list[str], list[str]]:
    """SQL conditions that all must hold for a record of the scope, and their bound parameters.

    Raises:
        BadInput: an unknown dimension.
    """
    filters, params = [], []
    for name, value in scope.dims:
        expression, bound = _dimension(name)
        filters.append(f"{expression} = ?")
        params += [*bound, value]
    return filters, params


def _dimension(name: str) -> tuple[str, list[str]]:
    try:
        return dimension(name)
    except KeyError:
        known = ", ".join(RECORD_DIMENSIONS)
        raise BadInput(f"no such dimension: {name!r}; known: {known}, tags.NAME") from None


def _ceil(us: int, seconds: int) -> int:
    return -(-us // (seconds * _US)) * seconds
