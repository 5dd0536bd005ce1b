"""Snapshots: deduplicated records and spans as one Parquet file, for readers beside the process that writes."""

# ruff: noqa: S608 - SQL fragments come from the fixed maps of store.usage.schema only; values are bound parameters.

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store.errors import BadInput, StorageFailed
from store.model.span import Span
from store.model.usage import Role, UsageRecord, Window
from store.usage.schema import RECORD_SCHEMA, SPAN_SCHEMA

_SPAN = pa.field("span", pa.struct(list(SPAN_SCHEMA)))
_SCHEMA = RECORD_SCHEMA.append(pa.field("role", pa.string())).append(pa.field("slot", pa.string())).append(_SPAN)
"""A row is a record with its role, or a span and nothing else."""
_OF_RECORDS = pa.schema([field for field in _SCHEMA if field != _SPAN])
_NOTES = b"bursar"
"""The key of the file's metadata under which the statements and the pulls lie."""
_ROWS = 50_000
_ROLES: tuple[Role, ...] = ("metered", "reference")


def write(connection: duckdb.DuckDBPyConnection, window: Window, folder: Path, *, notes: bytes) -> Path:
    """Write the records of the window, both roles, and its spans to a file named after the window; its path.

    The file appears under its name only when it is whole. `notes` travel with it.

    Raises:
        StorageFailed: the folder cannot be written.
    """
    path = folder / f"usage-{window.start_us}-{window.end_us}.parquet"
    part = path.with_suffix(".part")
    reader = connection.sql(
        f"SELECT {', '.join(UsageRecord._fields)}, role, (SELECT min(slot) FROM stated s WHERE s.role = records.role "
        "AND s.record_id = records.record_id) AS slot FROM records WHERE occurred_us >= ? AND occurred_us < ? "
        "ORDER BY occurred_us, record_id, role",
        params=[window.start_us, window.end_us],
    ).to_arrow_reader(_ROWS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(part, _SCHEMA.with_metadata({_NOTES: notes}), compression="zstd") as writer:
            for batch in reader:
                writer.write_table(_padded(pa.Table.from_batches([batch]).cast(_OF_RECORDS)))
            for found in _spans(connection, window):
                writer.write_table(_padded(found))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageFailed(f"{path}: the snapshot cannot be written: {error}") from error
    return path


def _spans(connection: duckdb.DuckDBPyConnection, window: Window) -> Iterator[pa.Table]:
    reader = connection.sql(
        f"SELECT {', '.join(Span._fields)} FROM spans WHERE ended_us >= ? AND ended_us < ?",
        params=[window.start_us, window.end_us],
    ).to_arrow_reader(_ROWS)
    for batch in reader:
        columns = [column.combine_chunks() for column in pa.Table.from_batches([batch]).cast(SPAN_SCHEMA).columns]
        yield pa.table({_SPAN.name: pa.StructArray.from_arrays(columns, fields=list(SPAN_SCHEMA))})


def _padded(rows: pa.Table) -> pa.Table:
    """With nulls for the columns that such rows do not have."""
    known = set(rows.column_names)
    columns = [rows.column(f.name) if f.name in known else pa.nulls(rows.num_rows, f.type) for f in _SCHEMA]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)


def notes_of(path: Path) -> bytes:
    """The notes of a snapshot.

    Raises:
        BadInput: the file is not a snapshot, or is damaged.
    """
    try:
        found = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInput(f"{path}: the snapshot cannot be read: {error}") from error
    if _NOTES not in found:
        raise BadInput(f"{path}: not a usage snapshot of this version; write it again with `snapshot`")
    return bytes(found[_NOTES])


def read(path: Path) -> Iterator[tuple[Role, Sequence[str | None], pa.Table]]:
    """(role, the slot of each row, rows) of a snapshot, in batches.

    Raises:
        BadInput: the file is not a snapshot, or is damaged.
    """
    for batch in _batches(path, _OF_RECORDS.names):
        yield from _by_role(batch)


def read_spans(path: Path) -> Iterator[list[Span]]:
    """The spans of a snapshot, in batches.

    Raises:
        BadInput: the file is not a snapshot, or is damaged.
    """
    for batch in _batches(path, [_SPAN.name]):
        found = batch.column(_SPAN.name).drop_null()
        if len(found):
            yield [Span(**row) for row in found.to_pylist()]


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(_SCHEMA):
                raise BadInput(f"{path}: not a usage snapshot of this version; write it again with `snapshot`")
            for batch in file.iter_batches(_ROWS, columns=columns):
                yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInput(f"{path}: the snapshot cannot be read: {error}") from error


def _by_role(rows: pa.Table) -> Iterator[tuple[Role, Sequence[str | None], pa.Table]]:
    for role in _ROLES:
        found = rows.filter(pc.equal(rows.column("role"), role))
        if found.num_rows:
            yield role, found.column("slot").to_pylist(), found.select(UsageRecord._fields)
