"""Text files row by row: JSON lines and CSV, plain or gzipped, with memory bounded by a few mebibytes."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from store.errors import BadInput

_MOST_BYTES = 16 * 2**20
_BLOCK = 4 * 2**20
_PIECE = 2**16
_NEWLINE = ord("\n")
_IS_SPACE = np.isin(np.arange(256), list(b" \t\n\r\v\f"))
"""What bytes.strip takes off."""


class Unreadable(NamedTuple):
    """A line that is no row, as it came."""

    reason: str
    raw: bytes


class Block(NamedTuple):
    """Whole lines, none of them empty or with white space around it, each with a newline at its end."""

    data: bytearray
    ends: npt.NDArray[np.int64]
    """Where in `data` each line's newline is."""
    at: int
    """How many bytes of the file were read with them."""

    @property
    def rows(self) -> int:
        """How many lines they are."""
        return len(self.ends)

    def lines(self) -> list[bytes]:
        """All of them, without their newlines."""
        return bytes(self.data[:-1]).split(b"\n")

    def line(self, number: int) -> bytes:
        """One of the lines, without its newline."""
        start = int(self.ends[number - 1]) + 1 if number else 0
        return bytes(self.data[start : int(self.ends[number])])

    def only(self, numbers: Sequence[int]) -> "Block":
        """Those of the lines."""
        lines = [self.line(number) for number in numbers]
        data = bytearray().join(line + b"\n" for line in lines)
        return Block(data, np.cumsum([len(line) + 1 for line in lines], dtype=np.int64) - 1, self.at)


def json_rows(path: Path) -> Iterator[dict[str, object] | Unreadable]:
    """The objects of a JSON-lines file; empty lines are passed over.

    Raises:
        BadInput: the file cannot be opened, is a JSON array, or is damaged from some row on.
    """
    for block in line_blocks(path):
        for line in block.lines():
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
    """The lines of a JSON-lines file, a few mebibytes of them at once.

    Raises:
        BadInput: the file cannot be opened, is a JSON array, or is damaged from some row on; blocks before it came.
    """
    rows = 0
    with _open(path) as file:
        for data, damage in _whole_lines(file):
            block = _block(data, _place(file))
            if rows == 0 and block.data.startswith(b"["):
                raise BadInput(f"{path}: this is one JSON array, not JSON lines; turn it over with `jq -c '.[]'`")
            rows += block.rows
            if block.rows:
                yield block
            if damage is not None:
                raise _damaged(path, rows, damage) from damage


def _whole_lines(file: io.BufferedReader | gzip.GzipFile) -> Iterator[tuple[bytearray, Exception | None]]:
    """What the file holds, cut after a newline; with the damage where no more of it can be read."""
    rest, too_long, ended = bytearray(), False, False
    while not ended:
        data, damage = _read_on(file, rest)
        ended = len(data) == len(rest) or damage is not None
        if too_long:  # the rest of a line that nobody can hold; its beginning was given
            end = data.find(b"\n") + 1
            too_long = not end
            del data[: end or len(data)]
        cut = len(data) if ended and damage is None else data.rfind(b"\n") + 1
        rest = data[cut:]
        if len(rest) >= _MOST_BYTES:
            cut, rest, too_long = cut + _MOST_BYTES, bytearray(), True
        del data[cut:]
        if data or damage is not None:
            yield data, damage


def _read_on(file: io.BufferedReader | gzip.GzipFile, rest: bytearray) -> tuple[bytearray, Exception | None]:
    """The rest and a block of what follows, nothing at the end of the file; with the damage where it is damaged."""
    data = bytearray(len(rest) + _BLOCK)  # read into, because memory that is new costs more than what is done in it
    data[: len(rest)] = rest
    end, damage = len(rest), None
    with memoryview(data) as view:
        try:
            while end < len(data) and (read := file.readinto1(view[end:])):  # a whole read would lose what came before
                end += read
        except (OSError, EOFError, zlib.error) as error:
            damage = error
    del data[end:]
    return data, damage


def _block(data: bytearray, at: int) -> Block:
    """Those lines as a block, put right where they are not as a block has them."""
    if data and not data.endswith(b"\n"):
        data += b"\n"
    while data:
        characters = np.frombuffer(data, dtype=np.uint8)
        ends = _newlines(characters)
        starts = np.concatenate(([0], ends[:-1] + 1))
        if not (_IS_SPACE[characters[starts]].any() or _IS_SPACE[characters[ends - 1]].any()):
            return Block(data, ends, at)
        data = bytearray().join(line + b"\n" for one in data.split(b"\n") if (line := one.strip()))
    return Block(data, np.empty(0, dtype=np.int64), at)


def _newlines(characters: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    pieces = range(0, len(characters), _PIECE)
    return np.concatenate([np.flatnonzero(characters[at : at + _PIECE] == _NEWLINE) + at for at in pieces])


def _place(file: io.BufferedReader | gzip.GzipFile) -> int:
    """How many bytes of the file itself were read, packed ones where it is packed."""
    found = file.fileobj if isinstance(file, gzip.GzipFile) else file
    return found.tell() if isinstance(found, io.BufferedReader) and found.seekable() else 0


def json_row(line: bytes) -> dict[str, object] | Unreadable:
    """The object that a line is."""
    try:
        row = msgspec.json.decode(line)
    except (ValueError, RecursionError):
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
