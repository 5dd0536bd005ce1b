"""Text files row by row: JSON lines and CSV, plain or gzipped, with memory bounded by a few mebibytes."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from store.errors import BadInput

_MOST_BYTES = 16 * 2**20
_BLOCK = 2**20


class Unreadable(NamedTuple):
    """A line that is no row, as it came."""

    reason: str
    raw: bytes


class Block(NamedTuple):
    """Lines, and how many bytes of the file were read with them."""

    lines: list[bytes]
    at: int


def json_rows(path: Path) -> Iterator[dict[str, object] | Unreadable]:
    """The objects of a JSON-lines file; empty lines are passed over.

    Raises:
        BadInput: the file cannot be opened, is a JSON array, or is damaged from some row on.
    """
    for block in line_blocks(path):
        for line in block.lines:
            yield json_row(line)


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


def _open(path: Path) -> io.BufferedReader | gzip.GzipFile:
    try:
        if path.suffix == ".gz":
            return gzip.GzipFile(path, "rb")
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"{path}: the file cannot be opened: {error}") from error


def line_blocks(path: Path) -> Iterator[Block]:
    """The lines of a JSON-lines file, about a mebibyte of them at once; empty ones are passed over.

    Raises:
        BadInput: the file cannot be opened, is a JSON array, or is damaged from some row on; blocks before it came.
    """
    rows = 0
    with _open(path) as file:
        for lines in _blocks(path, file):
            if rows == 0 and lines[0].startswith(b"["):
                raise BadInput(f"{path}: this is one JSON array, not JSON lines; turn it over with `jq -c '.[]'`")
            rows += len(lines)
            yield Block(lines, _place(file))


def _blocks(path: Path, file: io.BufferedReader | gzip.GzipFile) -> Iterator[list[bytes]]:
    read, rest, too_long = 0, b"", False
    while True:
        try:
            chunk = file.read1(_BLOCK)  # what comes before damage, which a whole read would lose
        except (OSError, EOFError, zlib.error) as error:
            raise _damaged(path, read, error) from error
        if not chunk:
            found, rest = [] if too_long else [rest], b""
        else:
            found = (rest + chunk).split(b"\n")
            rest = found.pop()
            if too_long and found:  # the end of a line that nobody can hold; its beginning was given
                del found[0]
                too_long = False
            if too_long:
                rest = b""
            elif len(rest) >= _MOST_BYTES:
                found.append(rest[:_MOST_BYTES])
                rest, too_long = b"", True
        lines = [line for one in found if (line := one.strip())]
        if lines:
            read += len(lines)
            yield lines
        if not chunk:
            return


def _place(file: io.BufferedReader | gzip.GzipFile) -> int:
    """How many bytes of the file itself were read, packed ones where it is packed."""
    found = file.fileobj if isinstance(file, gzip.GzipFile) else file
    return found.tell() if isinstance(found, io.BufferedReader) and found.seekable() else 0


def json_row(line: bytes) -> dict[str, object] | Unreadable:
    """The object that a line is."""
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
