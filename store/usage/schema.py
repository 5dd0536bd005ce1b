"""The tables of the usage warehouse, and every SQL fragment whose text is not fixed.

Identifiers come from the maps in this module only; values always travel as bound parameters. Buckets are integer
epoch seconds. Nothing here is DuckDB's own except `tags MAP` and `md5_number_lower`, so that another engine can be
put behind the same port by replacing this module and `append`.
"""

from typing import get_type_hints

import pyarrow as pa

from store.model.span import Span
from store.model.usage import (
    CASH_MODES,
    CUBE_DIMENSIONS,
    CUBE_MEASURES,
    NONE,
    RECORD_DIMENSIONS,
    TOKEN_CLASSES,
    UsageRecord,
)

SCHEMA_VERSION = 3
FINE_SECONDS = 300
COARSE_SECONDS = 3600
FROM_RECORDS = (60,)
"""Widths of buckets that no rollup keeps: for little traffic that must be judged within a minute or two."""
ROLLUPS = {FINE_SECONDS: "rollups_300", COARSE_SECONDS: "rollups_3600"}

_US = 1_000_000
_HINTS = get_type_hints(UsageRecord)
_INTEGERS = frozenset(name for name, hint in _HINTS.items() if hint in (int, int | None))
_MAPS = frozenset({"tags"})
_DERIVED = frozenset({"observed_us", "cost_nanos"})


def _arrow_type(name: str) -> pa.DataType:
    if name in _MAPS:
        return pa.map_(pa.string(), pa.string())
    return pa.int64() if name in _INTEGERS else pa.string()


RECORD_SCHEMA: pa.Schema = pa.schema([(name, _arrow_type(name)) for name in UsageRecord._fields])
"""Records as an Arrow table: text as string, numbers as int64 (null where absent), tags as map."""

SPAN_SCHEMA: pa.Schema = pa.schema(
    [(name, pa.int64() if name.endswith("_us") else pa.string()) for name in Span._fields]
)
"""Spans as an Arrow table."""

TEXT_COLUMNS = frozenset(UsageRecord._fields) - _INTEGERS - _MAPS

CONTENT = (
    "md5_number_lower(concat_ws(chr(31), "
    + ", ".join(f"coalesce(CAST({name} AS VARCHAR), '')" for name in UsageRecord._fields if name not in _DERIVED)
    + "))"
)
"""The content hash of a record: everything that its source said. `observed_us` is when it was said, `cost_nanos` is
what our price book made of it; neither makes another version of the call. It is computed when an id is seen again, from
the row that is kept: most ids come once."""

_TOKENS = "(" + " + ".join(TOKEN_CLASSES) + ")"
UNPRICED = f"(cost_nanos IS NULL AND {_TOKENS} > 0)"
"""A record that used tokens and has no price; a call that used none needs none."""

_CASH = ", ".join(f"'{mode}'" for mode in sorted(CASH_MODES))
FLAGGED = {
    "errors": ("requests", "status = 'error'"),
    "refused": ("requests", "status = 'refused'"),
    "retries": ("requests", "attempt > 1"),
    "cash_nanos": ("cost_nanos", f"billing_mode IN ({_CASH})"),
    "unpriced": ("requests", UNPRICED),
}
"""Measures that are another one of some records only: that other measure, and of which records."""
_PLAIN = {
    **{name: name for name in CUBE_MEASURES if name not in FLAGGED},
    "cost_nanos": "coalesce(cost_nanos, 0)",
    "billed_nanos": "coalesce(billed_nanos, 0)",
}
_PER_RECORD = {
    **_PLAIN,
    **{name: f"CASE WHEN {which} THEN {_PLAIN[other]} ELSE 0 END" for name, (other, which) in FLAGGED.items()},
}

AMOUNTS_OF_RECORDS = ", ".join(f"{expression} AS {name}" for name, expression in _PLAIN.items())
"""The measures of a record that no flag is needed for."""
FLAGS_OF_RECORDS = " + ".join(f"{2**at} * CAST({which} AS UTINYINT)" for at, (_, which) in enumerate(FLAGGED.values()))
"""One byte: a bit for each of FLAGGED, in its order."""
MEASURES_OF_RECORDS = ", ".join(f"{_PER_RECORD[name]} AS {name}" for name in CUBE_MEASURES)
SUMS_OF_RECORDS = ", ".join(f"CAST(sum({_PER_RECORD[m]}) AS BIGINT) AS {m}" for m in CUBE_MEASURES)
SUMS_OF_ROLLUPS = ", ".join(f"CAST(sum({m}) AS BIGINT) AS {m}" for m in CUBE_MEASURES)


def bucket_of_record(seconds: int) -> str:
    """The start of a record's bucket of that width, in epoch seconds."""
    return f"(occurred_us // {seconds * _US} * {seconds})"


def bucket_of_rollup(seconds: int) -> str:
    """The start of the coarser bucket that holds a rollup's bucket, in epoch seconds."""
    return f"(bucket // {seconds} * {seconds})"


def dimension(name: str) -> tuple[str, list[str]]:
    """The SQL expression of a dimension and its bound parameters.

    Raises:
        KeyError: no such dimension.
    """
    if name.startswith("tags."):
        return f"coalesce(map_extract_value(tags, ?), '{NONE}')", [name.removeprefix("tags.")]
    if name not in RECORD_DIMENSIONS:
        raise KeyError(name)
    return name, []


def _sql_type(name: str) -> str:
    if name in _MAPS:
        return "MAP(VARCHAR, VARCHAR)"
    return "BIGINT" if name in _INTEGERS else "VARCHAR"


def _rollup_ddl(table: str) -> str:
    measures = ", ".join(f"{name} BIGINT" for name in CUBE_MEASURES)
    return f"CREATE TABLE IF NOT EXISTS {table} (bucket BIGINT, series BIGINT, {measures})"


_RECORD_COLUMNS = ", ".join(f"{name} {_sql_type(name)}" for name in UsageRecord._fields)

SPANS_DDL = "CREATE TABLE IF NOT EXISTS spans ({})".format(
    ", ".join(f"{name} {'BIGINT' if name.endswith('_us') else 'VARCHAR'}" for name in Span._fields)
)
"""What ran in traces (store.usage.spans): one row per (trace_id, span_id)."""

ARRIVALS_DDL = (
    "CREATE TABLE IF NOT EXISTS arrivals (source VARCHAR, hour BIGINT, delay_hours BIGINT, cost_nanos BIGINT)"
)
"""How late calls were first known (store.usage.arrivals)."""

META = "CREATE TABLE IF NOT EXISTS meta (version BIGINT, created_us BIGINT)"
DDL = (
    # One row per (role, record_id): the version that won. `series` is the number of its combination of dimensions.
    f"CREATE TABLE IF NOT EXISTS records ({_RECORD_COLUMNS}, series BIGINT, role VARCHAR)",
    f"CREATE TABLE IF NOT EXISTS series (series BIGINT, {', '.join(f'{name} VARCHAR' for name in CUBE_DIMENSIONS)})",
    # Contents that were seen under an id and did not win; without them the counts would depend on the order.
    "CREATE TABLE IF NOT EXISTS earlier_versions (role VARCHAR, record_id VARCHAR, content UBIGINT)",
    # What became of the rows of each append; the sum over all is the history's intake.
    "CREATE TABLE IF NOT EXISTS taken (accepted BIGINT, duplicate BIGINT, superseded BIGINT, quarantined BIGINT)",
    # 5-minute buckets whose metered records changed since the last roll-up.
    "CREATE TABLE IF NOT EXISTS dirty (bucket BIGINT)",
    "CREATE TABLE IF NOT EXISTS quarantine (digest VARCHAR PRIMARY KEY, source VARCHAR, observed_us BIGINT, "
    "reason VARCHAR, raw VARCHAR)",
    # The statements that hold (store.usage.manifests), and every id that any statement ever had.
    "CREATE TABLE IF NOT EXISTS statements (role VARCHAR, slot VARCHAR, source VARCHAR, account VARCHAR, "
    "start_us BIGINT, end_us BIGINT, version_us BIGINT, digest VARCHAR, PRIMARY KEY (role, slot))",
    "CREATE TABLE IF NOT EXISTS stated (role VARCHAR, slot VARCHAR, record_id VARCHAR)",
    # How far each scheduled pull has come; it lives and dies with the rows that it speaks of.
    "CREATE TABLE IF NOT EXISTS pulls (source VARCHAR PRIMARY KEY, body VARCHAR)",
    # The time before which there are no records any more; one row once something was dropped.
    "CREATE TABLE IF NOT EXISTS retention (floor_us BIGINT)",
    SPANS_DDL,
    ARRIVALS_DDL,
    *(_rollup_ddl(table) for table in ROLLUPS.values()),
)
