"""Text files row by row: JSON lines and CSV, plain or gzipped, with memory bounded by one line."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from store.errors import BadInput

_MOST_BYTES = 16 * 2**20


class Unreadable(NamedTuple):
    """A line that is no row, as it came."""

    reason: str
    raw: bytes


def json_rows(path: Path) -> Iterator[dict[str, object] | Unreadable]:
    """The objects of a JSON-lines file; empty lines are passed over.

    Raises:
        BadInput: the file cannot be opened, is a JSON array, or is damaged from some row on.
    """
    rows = 0
    with _open(path) as file:
        for line in _lines(path, file):
            if rows == 0 and line.startswith(b"["):
                raise BadInput(f"{path}: this is one JSON array, not JSON lines; turn it over with `jq -c '.[]'`")
            rows += 1
            yield _object(line)


def csv_rows(path: Path) -> Iterator[dict[str, object] | Unreadable]:
    """The rows of a CSV file with a header; an empty cell is absent.

    Raises:
        BadInput: the file cannot be opened, has no header, or is damaged from some row on.
    """
    rows = 0
    with _open(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="") as decoded:
        reader = csv.DictReader(decoded, strict=True)
        try:
            if not reader.fieldnames:
                raise BadInput(f"{path}: the file is empty; a CSV file starts with a header")
            for row in reader:
                rows += 1
                if None in row or None in row.values():
                    yield Unreadable("the row has not as many cells as the header", repr(row).encode())
                else:
                    yield {name: cell if cell != "" else None for name, cell in row.items()}
        except (OSError, EOFError, zlib.error, csv.Error) as error:
            raise _damaged(path, rows, error) from error


def columns_of_csv(path: Path) -> list[str]:
    """The header of a CSV file."""
    with _open(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="") as decoded:
        try:
            return list(csv.DictReader(decoded).fieldnames or ())
        except (OSError, EOFError, zlib.error, csv.Error) as error:
            raise _damaged(path, 0, error) from error


def _open(path: Path) -> BinaryIO:
    try:
        if path.suffix == ".gz":
            return io.BufferedReader(gzip.GzipFile(path, "rb"))
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"{path}: the file cannot be opened: {error}") from error


def _lines(path: Path, file: BinaryIO) -> Iterator[bytes]:
    read = 0
    while True:
        try:
            line = file.readline(_MOST_BYTES)
            whole = line
            while len(whole) == _MOST_BYTES and not whole.endswith(b"\n"):  # the rest of a line that nobody can hold
                whole = file.readline(_MOST_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise _damaged(path, read, error) from error
        if not line:
            return
        if line.strip():
            read += 1
            yield line.strip()


def _object(line: bytes) -> dict[str, object] | Unreadable:
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        row = _lenient(line)
    if isinstance(row, dict):
        return row
    return Unreadable("the line is not a JSON object", line)


def _lenient(line: bytes) -> object:
    # Python's own writers put NaN and Infinity into JSON: such a row is a row, and is judged by its fields.
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _damaged(path: Path, rows: int, error: Exception) -> BadInput:
    return BadInput(
        f"{path}: the file is cut off or damaged after row {rows} ({error or type(error).__name__}); the {rows} rows "
        "before are kept, and reading the whole file again later counts none of them twice"
    )
