"""JSON documents that hold many rows each: pages of a report, OTLP exports, traces; and what becomes of their rows.

A file is JSON lines, or one document (an object or a list of objects) over as many lines as it likes, either gzipped.
"""

import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from store.errors import BadInput
from store.model.ports import Clock
from store.model.span import SourceRow, Span
from store.model.usage import UsageRecord, to_us
from tools.sources.fields import Faulty, reject, vet
from tools.sources.lines import Unreadable, json_rows

_MOST_BYTES = 64 * 2**20
_MOST_LINE = 16 * 2**20

Object = dict[str, object]


class Broken(NamedTuple):
    """A part of a document that is no row. It says what was found, not its content, which may be a prompt."""

    reason: str
    found: str


class Skipped(NamedTuple):
    """A row that is fine and no usage of a model: why it was passed over, in words that do not come from the row."""

    reason: str


class Traced(NamedTuple):
    """A row that is a span of a trace, and the usage that it is or is not."""

    span: Span
    usage: UsageRecord | Skipped


class DocumentSource:
    """A source whose documents are unfolded into rows, and whose rows become records.

    `unfold` yields the rows of a document, or Broken for what is none. `record` makes a row's record, and its span
    where it has one, says that it is to be skipped, or raises Faulty. `shown` is what the quarantine may keep of a row:
    no prompt, no answer. `skipped` counts what was passed over, by reason.
    """

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        unfold: Callable[[Object], Iterator[Object | Broken]],
        record: Callable[[Object, str, int], UsageRecord | Skipped | Traced],
        shown: Callable[[Object], object] = lambda row: row,
    ) -> None:
        self.skipped: Counter[str] = Counter()
        self._name = name
        self._clock = clock
        self._unfold = unfold
        self._record = record
        self._shown = shown

    def read(self, paths: Iterable[Path]) -> Iterator[SourceRow]:
        """Records and spans in file order, lazily; rows that cannot be right as Quarantined.

        Raises:
            BadInput: a file cannot be opened, or is damaged from some row on; the rows before it were yielded.
        """
        observed_us = to_us(self._clock())
        for path in paths:
            for document in json_documents(path):
                yield from self._judged(document, observed_us)

    def parse(self, documents: Iterable[object]) -> Iterator[SourceRow]:
        """The same of decoded JSON values, as they are pushed or answered."""
        observed_us = to_us(self._clock())
        for document in documents:
            found = document if isinstance(document, dict) else Unreadable("the element is not a JSON object", b"")
            yield from self._judged(found, observed_us)

    def _judged(self, document: Object | Unreadable, observed_us: int) -> Iterator[SourceRow]:
        if isinstance(document, Unreadable):
            yield reject(self._name, observed_us, document.reason, document.raw)
            return
        for row in self._unfold(document):
            if isinstance(row, Broken):
                yield reject(self._name, observed_us, row.reason, row.found)
                continue
            try:
                found = self._record(row, self._name, observed_us)
                usage = found.usage if isinstance(found, Traced) else found
                record = None if isinstance(usage, Skipped) else vet(usage)
                if isinstance(usage, Skipped):
                    self.skipped[usage.reason] += 1
                if isinstance(found, Traced):
                    yield found.span
                if record is not None:
                    yield record
            except Faulty as error:
                yield reject(self._name, observed_us, str(error), self._shown(row))


def listed(holder: Object, name: str) -> Iterator[Object | Broken]:
    """The objects of a list that may be absent; whatever else is found there as Broken."""
    value = holder.get(name)
    if value is None:
        return
    if not isinstance(value, list):
        yield Broken(f"{name} is not a list", type(value).__name__)
        return
    for element in value:
        if isinstance(element, dict):
            yield element
        else:
            yield Broken(f"an element of {name} is not an object", type(element).__name__)


def first(row: Object, names: Iterable[str]) -> object:
    """The value of the first of the names that the row has, or None."""
    for name in names:  # a generator takes twice as long, and this runs a dozen times for every row
        value = row.get(name)
        if value is not None:
            return value
    return None


def json_documents(path: Path) -> Iterator[Object | Unreadable]:
    """The objects of a JSON-lines file, or of a file that is one object or one list of objects.

    Raises:
        BadInput: the file cannot be opened, is damaged from some row on, or is one document that is no JSON or holds
            more than 64 MiB.
    """
    # The first line is enough to tell: then memory stays at one line, however long the file.
    start = _bytes(path, _first_line)
    one_document = start.startswith(b"[") or start == b"{"
    if not one_document and (not start.startswith(b"{") or _decoded(start) is not None):
        yield from json_rows(path)
        return
    whole = _whole(path, one_document=one_document)
    if whole is None:
        yield from json_rows(path)
        return
    for element in whole if isinstance(whole, list) else [whole]:
        yield element if isinstance(element, dict) else Unreadable("the element is not a JSON object", b"")


def _whole(path: Path, *, one_document: bool) -> object:
    """The file as one JSON value; None where it is none, and need not be."""
    content = _bytes(path, lambda file: file.read(_MOST_BYTES + 1))
    found = _decoded(content) if len(content) <= _MOST_BYTES else None
    if found is None and one_document:
        raise BadInput(
            f"{path}: one JSON document that is cut off, damaged, or larger than 64 MiB; nothing of it was read. "
            "`jq -c '.[]'` turns a list into JSON lines"
        )
    return found


def _first_line(file: BinaryIO) -> bytes:
    while line := file.readline(_MOST_LINE):
        if line.strip():
            return line.strip()
    return b""


def _bytes(path: Path, some_of: Callable[[BinaryIO], bytes]) -> bytes:
    try:
        with _opened(path) as file:
            return some_of(file)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b""  # damaged: reading it by lines says after which row
    except OSError as error:
        raise BadInput(f"{path}: the file cannot be opened: {error}") from error


def _opened(path: Path) -> BinaryIO:
    return io.BufferedReader(gzip.GzipFile(path)) if path.suffix == ".gz" else path.open("rb")


def _decoded(content: bytes) -> object:
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(content)  # Python's own writers put NaN and Infinity into JSON
    except (ValueError, RecursionError):
        return None
