"""Between records and columns: NamedTuples to Arrow on the way in, Arrow to NumPy on the way out."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from store.model.usage import UsageRecord
from store.usage.schema import RECORD_SCHEMA, TEXT_COLUMNS

_SLICE = 20_000
_TAGS = UsageRecord._fields.index("tags")


def to_arrow(records: Sequence[UsageRecord]) -> pa.Table:
    """Records as an Arrow table of RECORD_SCHEMA, in slices so that the transposed copy stays small."""
    slices = [_transpose(records[at : at + _SLICE]) for at in range(0, len(records), _SLICE)]
    return pa.Table.from_batches(slices, schema=RECORD_SCHEMA)


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
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int32), encoded.dictionary.to_pylist()


def integers(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """A column without nulls as int64."""
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _transpose(records: Sequence[UsageRecord]) -> pa.RecordBatch:
    columns: list[Sequence[object]] = list(zip(*records, strict=True))
    # A map holds a key once, and the order of tags says nothing: equal tags must have equal contents.
    columns[_TAGS] = [sorted(dict(record.tags).items()) if record.tags else () for record in records]
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, RECORD_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=RECORD_SCHEMA)


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
