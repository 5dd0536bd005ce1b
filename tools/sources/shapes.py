"""Typed reading of the JSON paths that a source reads: many lines at once into one Arrow column for each path.

Lines go by the block through Arrow's reader. If any line of a block is not as plain as expected, msgspec says which
ones are, and only they go through the reader; a line whose values have other types than those expected is left to the
source's own row-by-row reading, which judges it. So a shape decides nothing: it only says which lines are plain.
"""

from collections.abc import Iterator, Mapping, Set
from enum import Enum
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from tools.sources.lines import Block

_LINES = 4_096
_MOST_CHARACTERS = 512
_MOST_COUNT = 10**11


class _Choice(msgspec.Struct, gc=False):
    finish_reason: Annotated[str, msgspec.Meta(max_length=_MOST_CHARACTERS)] | None = None


_CHOICES = pa.list_(pa.struct([("finish_reason", pa.string())]))


class Kind(Enum):
    """What a path leads to: its type for Arrow and for msgspec."""

    TEXT = (pa.string(), Annotated[str, msgspec.Meta(max_length=_MOST_CHARACTERS)] | None)
    COUNT = (pa.int64(), Annotated[int, msgspec.Meta(ge=0, le=_MOST_COUNT)] | None)
    NUMBER = (pa.float64(), float | None)
    FLAG = (pa.bool_(), bool | None)
    TEXTS = (pa.list_(pa.string()), list[str] | None)
    CHOICES = (_CHOICES, list[_Choice] | None)
    """Becomes the finish reason of the first one."""


class Misfit(Exception):
    """Two paths that cannot both be read: one leads through what the other takes for a value."""


class Shape:
    """The paths that a source reads, dotted, with the kind of value each leads to.

    Raises:
        Misfit: the paths contradict each other.
    """

    def __init__(self, paths: Mapping[str, Kind]) -> None:
        self._paths = dict(paths)
        tree: dict[str, Any] = {}
        for path, kind in paths.items():
            *inner, last = path.split(".")
            at = tree
            for name in inner:
                at = at.setdefault(name, {})
                if not isinstance(at, dict):
                    raise Misfit(path)
            if at.setdefault(last, kind) is not kind:
                raise Misfit(path)
        self._tree = tree
        self._full = _parsing(tree, None)
        self._lean: tuple[frozenset[str], pj.ParseOptions] = frozenset(), self._full
        """Paths that led to a value, and those that led to an object on the way to one; and how to read only those."""
        self._decode = msgspec.json.Decoder(_msgspec_type(tree)).decode

    def columns(self, block: Block) -> tuple[pa.Table, npt.NDArray[np.int64]]:
        """(a column for each path that any line has, which line each of its rows is); the other lines do not fit.

        Several threads may ask at once.
        """
        table = self._all(block)
        if table is not None:
            return table, np.arange(block.rows)
        # An odd line spoils the block: the lines that fit are found one by one, and go through the reader without it.
        fit = np.array([number for number, line in enumerate(block.lines()) if self._fits(line)], dtype=np.int64)
        parts = [fit[start : start + _LINES] for start in range(0, len(fit), _LINES)]
        sifted = [(part, self._all(block.only(part.tolist()))) for part in parts]
        # Even then the reader refuses a name that comes twice in an object.
        tables = [table for _, table in sifted if table is not None]
        if not tables:
            return pa.table({}), np.empty(0, dtype=np.int64)
        lines = np.concatenate([part for part, table in sifted if table is not None])
        return pa.concat_tables(tables, promote_options="default"), lines

    def _fits(self, line: bytes) -> bool:
        if not _is_utf8(line):
            return False
        try:
            self._decode(line)
        except (msgspec.MsgspecError, RecursionError):
            return False
        return True

    def _all(self, block: Block) -> pa.Table | None:
        """The columns of lines that are all plain, or None."""
        # One object a line, and no text that a database cannot store.
        if not (_is_one_object_a_line(block) and _is_utf8(block.data)):
            return None
        seen, lean = self._lean
        nested, paths = _parsed(block.data, lean), seen & self._paths.keys()
        if nested is None or not paths:
            nested, paths = _parsed(block.data, self._full), frozenset(self._paths)
        if nested is None or nested.num_rows != block.rows:
            return None
        found = {path: _at(nested, path, self._paths[path]) for path in paths}
        given = {path: column for path, column in found.items() if column.null_count < block.rows}
        self._learn(given.keys() | set(_objects(nested)))
        return pa.table(given) if given and all(map(_is_plain, given.values())) else None

    def _learn(self, given: Set[str]) -> None:
        """Most paths lead nowhere in a given log, and one null for all that is absent costs half of declaring it.

        What does come where null is expected, value or object, is refused by the reader, and all is read again as
        declared.
        """
        seen, _ = self._lean
        if not given <= seen:
            self._lean = seen | given, _parsing(self._tree, seen | given)


def _parsing(tree: Mapping[str, Any], seen: Set[str] | None) -> pj.ParseOptions:
    return pj.ParseOptions(
        explicit_schema=pa.schema(list(_arrow_type(tree, seen, ""))),
        newlines_in_values=False,
        unexpected_field_behavior="ignore",
    )


def _parsed(block: bytearray, parsing: pj.ParseOptions) -> pa.Table | None:
    reading = pj.ReadOptions(use_threads=False, block_size=len(block) + 1)
    try:
        return pj.read_json(pa.BufferReader(pa.py_buffer(block)), read_options=reading, parse_options=parsing)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _arrow_type(tree: Mapping[str, Any], seen: Set[str] | None, prefix: str) -> pa.StructType:
    """The declared type, with null in place of every value and every object whose path was not seen."""
    fields: list[tuple[str, pa.DataType]] = []
    for name, sub in tree.items():
        path = prefix + name
        if seen is not None and path not in seen:
            fields.append((name, pa.null()))
        else:
            fields.append((name, _arrow_type(sub, seen, f"{path}.") if isinstance(sub, dict) else sub.value[0]))
    return pa.struct(fields)


def _objects(nested: pa.Table) -> Iterator[str]:
    """The paths of the objects that any row has; an object of a list is part of its value."""
    waiting = [(name, nested.column(name)) for name in nested.column_names]
    while waiting:
        path, column = waiting.pop()
        if pa.types.is_struct(column.type) and column.null_count < len(column):
            yield path
            waiting += [(f"{path}.{field.name}", pc.struct_field(column, field.name)) for field in column.type]


def _msgspec_type(tree: Mapping[str, Any]) -> Any:
    fields = [
        (f"f{at}", _msgspec_type(sub) | None if isinstance(sub, dict) else sub.value[1], None)
        for at, sub in enumerate(tree.values())
    ]
    rename = {f"f{at}": name for at, name in enumerate(tree)}
    return msgspec.defstruct("Shape", fields, gc=False, omit_defaults=True, rename=rename)


def _is_one_object_a_line(block: Block) -> bool:
    characters = np.frombuffer(block.data, dtype=np.uint8)
    starts = np.concatenate(([0], block.ends[:-1] + 1))
    return bool((characters[starts] == ord("{")).all() and (characters[block.ends - 1] == ord("}")).all())


def _is_utf8(text: bytes | bytearray) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _at(table: pa.Table, path: str, kind: Kind) -> pa.ChunkedArray:
    name, *inner = path.split(".")
    column = pc.struct_field(table.column(name), inner) if inner else table.column(name)
    if kind is not Kind.CHOICES:
        return column
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), pa.string())])
    some = pc.if_else(pc.greater(pc.list_value_length(column), 0), column, None)
    return pc.struct_field(pc.list_element(some, 0), "finish_reason")


def _is_plain(column: pa.ChunkedArray) -> bool:
    if column.null_count == len(column):
        return True
    if column.type == pa.string():
        return any(pc.max(length(column)).as_py() <= _MOST_CHARACTERS for length in (pc.binary_length, pc.utf8_length))
    if column.type == pa.int64():
        ends = pc.min_max(column).as_py()
        return bool(ends["min"] >= 0 and ends["max"] <= _MOST_COUNT)
    return True
