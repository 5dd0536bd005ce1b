"""Between batches and columns: records to Arrow on the way in, Arrow to NumPy on the way out."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from store.model.usage import CUBE_DIMENSIONS, UsageRecord
from store.model.usage_batch import (
    ABSENT,
    AMOUNT_FIELDS,
    NUMBER_FIELDS,
    Coded,
    CodedTags,
    Packed,
    Tags,
    Text,
    UsageBatch,
)
from store.usage.schema import RECORD_SCHEMA, TEXT_COLUMNS

_TAGS = UsageRecord._fields.index("tags")


def coded(batch: UsageBatch, names: Iterable[str] = CUBE_DIMENSIONS) -> UsageBatch:
    """The batch with those text columns as codes: pricing, series and the engine all work on codes."""
    return batch.with_texts({name: _coded(batch.text(name)) for name in names})


def to_arrow(batch: UsageBatch) -> pa.Table:
    """A batch as an Arrow table with the columns of RECORD_SCHEMA; coded text as dictionaries."""
    arrays = [_to_array(batch, name) for name in UsageRecord._fields]
    return pa.Table.from_arrays(arrays, names=list(UsageRecord._fields))


def from_arrow(table: pa.Table) -> list[UsageRecord]:
    """The records of an Arrow table of RECORD_SCHEMA, in its order."""
    columns = [table.column(name).to_pylist() for name in UsageRecord._fields]
    columns[_TAGS] = [tuple(tags) for tags in columns[_TAGS]]
    return [UsageRecord(*row) for row in zip(*columns, strict=True)]


def to_numpy(table: pa.Table) -> dict[str, npt.NDArray[np.generic]]:
    """Columns as NumPy: text and tags as object arrays, numbers as int64 with 0 for an absent one."""
    return {name: _column(name, table.column(name)) for name in table.column_names}


def encode(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], list[str]]:
    """A text column as int32 codes and the values that they stand for."""
    whole = column.combine_chunks()
    encoded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int32), encoded.dictionary.to_pylist()


def integers(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """A column without nulls as int64."""
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _coded(text: Text) -> Text:
    if isinstance(text, str | Coded):
        return text
    return Coded(*encode(pa.chunked_array([_strings(text)])))


def _to_array(batch: UsageBatch, name: str) -> pa.Array:
    if name == "tags":
        return _tags(batch.tags, batch.rows)
    if name in NUMBER_FIELDS:
        values = batch.number(name)
        return pa.array(values, mask=values == ABSENT if name in AMOUNT_FIELDS else None)
    text = batch.text(name)
    if isinstance(text, str):
        text = Coded(np.zeros(batch.rows, dtype=np.int32), [text])
    if isinstance(text, Coded):
        return pa.DictionaryArray.from_arrays(pa.array(text.codes), pa.array(text.values, pa.string()))
    return _strings(text)


def _tags(tags: Sequence[Tags] | None, rows: int) -> pa.Array:
    if tags is None:
        tags = CodedTags(np.zeros(rows, dtype=np.int32), [()])
    kind = RECORD_SCHEMA.field("tags").type
    if isinstance(tags, CodedTags):
        return pa.array(tags.values, kind).take(pa.array(tags.codes))
    return pa.array(tags, kind)


def _strings(text: list[str] | tuple[str, ...] | Packed) -> pa.Array:
    if isinstance(text, Packed):
        buffers = pa.py_buffer(text.offsets), pa.py_buffer(text.data)
        return pa.StringArray.from_buffers(len(text), *buffers)
    return pa.array(text, pa.string())


def _column(name: str, column: pa.ChunkedArray) -> npt.NDArray[np.generic]:
    if name == "tags":
        tags = np.empty(len(column), dtype=object)
        tags[:] = [tuple(row) for row in column.to_pylist()]
        return tags
    if name in TEXT_COLUMNS:
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)
    if column.type == pa.bool_():
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.bool_)
    return integers(column.fill_null(0) if column.null_count else column)
