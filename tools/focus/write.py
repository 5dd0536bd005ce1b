"""FOCUS rows as a file: CSV, or Parquet with exact decimals."""

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from store.errors import BadInput
from tools.focus.export import COLUMNS, MOMENTS, NUMBERS, FocusRow

_ROWS = 20_000
_PLACES = Decimal(1).scaleb(-18)


def _type_of(name: str) -> pa.DataType:
    if name in NUMBERS:
        return pa.decimal128(38, 18)
    return pa.timestamp("us", tz="UTC") if name in MOMENTS else pa.string()


SCHEMA: pa.Schema = pa.schema([(name, _type_of(name)) for name in COLUMNS])


def write_focus(rows: Iterable[FocusRow], path: Path) -> int:
    """Write the rows to a .csv or .parquet file and say how many; the file appears only once it is whole.

    Raises:
        BadInput: another suffix, or the file cannot be written.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise BadInput(f"{path}: a FOCUS export is written as .csv or .parquet")
    partial = path.with_name(f".{path.name}.partial")
    try:
        written = _write_parquet(rows, partial) if path.suffix == ".parquet" else _write_csv_file(rows, partial)
        partial.replace(path)
    except OSError as error:
        raise BadInput(f"{path}: the export cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return written


def write_csv(rows: Iterable[FocusRow], file: TextIO) -> int:
    """Write the rows with a header, amounts as plain decimals, absent values empty; how many rows."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    written = 0
    for row in rows:
        writer.writerow([_cell(row[name]) for name in COLUMNS])
        written += 1
    return written


def _write_csv_file(rows: Iterable[FocusRow], path: Path) -> int:
    with path.open("w", encoding="utf-8", newline="") as file:
        return write_csv(rows, file)


def _write_parquet(rows: Iterable[FocusRow], path: Path) -> int:
    written = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for batch in _batches(rows):
            columns = {name: [_value(name, row[name]) for row in batch] for name in COLUMNS}
            writer.write_table(pa.table(columns, schema=SCHEMA))
            written += len(batch)
    return written


def _batches(rows: Iterable[FocusRow]) -> Iterator[list[FocusRow]]:
    source = iter(rows)
    while batch := list(islice(source, _ROWS)):
        yield batch


def _cell(value: str | Decimal | None) -> str:
    if isinstance(value, Decimal):
        plain = format(value.normalize(), "f")
        # With a point always: readers that guess types from the first rows must not guess integers.
        return plain if "." in plain else f"{plain}.0"
    return value or ""


def _value(name: str, value: str | Decimal | None) -> str | Decimal | datetime | None:
    if isinstance(value, Decimal):
        return value.quantize(_PLACES)
    return datetime.fromisoformat(value) if value is not None and name in MOMENTS else value
