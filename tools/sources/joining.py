"""Batches one after the other as one batch, and the beginning of a batch."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from store.model.usage_batch import (
    NUMBER_FIELDS,
    TEXT_FIELDS,
    Coded,
    CodedTags,
    Integers,
    Packed,
    Tags,
    Text,
    UsageBatch,
    batch_of,
)

_T = TypeVar("_T")
_Codes = npt.NDArray[np.int32]


def joined(batches: Sequence[UsageBatch]) -> UsageBatch:
    """The rows of all of them, in order."""
    if len(batches) < 2:
        return batches[0] if batches else batch_of([])
    return UsageBatch(
        rows=sum(batch.rows for batch in batches),
        texts={name: _text(batches, name) for name in TEXT_FIELDS if any(name in each.texts for each in batches)},
        numbers={
            name: _number(batches, name) for name in NUMBER_FIELDS if any(name in each.numbers for each in batches)
        },
        tags=_tags(batches),
    )


def cut(batch: UsageBatch, rows: int) -> tuple[UsageBatch, UsageBatch]:
    """The first so many rows of a batch, and the others."""
    if batch.rows <= rows:
        return batch, batch_of([])
    return _slice(batch, slice(0, rows)), _slice(batch, slice(rows, batch.rows))


def _slice(batch: UsageBatch, part: slice) -> UsageBatch:
    return UsageBatch(
        rows=part.stop - part.start,
        texts={name: _slice_of(text, part) for name, text in batch.texts.items()},
        numbers={name: n if isinstance(n, int) else n[part] for name, n in batch.numbers.items()},
        tags=None if batch.tags is None else batch.tags[part],
    )


def _slice_of(text: Text, part: slice) -> Text:
    if isinstance(text, str):
        return text
    if isinstance(text, Coded):
        return Coded(text.codes[part], text.values)
    if isinstance(text, Packed):
        return Packed(text.offsets[part.start : part.stop + 1], text.data)
    return text[part]


def _number(batches: Sequence[UsageBatch], name: str) -> int | Integers:
    given = [batch.numbers.get(name) for batch in batches]
    first = given[0]
    if isinstance(first, int) and all(isinstance(one, int) and one == first for one in given):
        return first
    return np.concatenate([batch.number(name) for batch in batches])


def _text(batches: Sequence[UsageBatch], name: str) -> Text:
    given = [batch.text(name) for batch in batches]
    first = given[0]
    if isinstance(first, str) and all(isinstance(one, str) and one == first for one in given):
        return first
    rows = [batch.rows for batch in batches]
    if all(isinstance(one, str | Coded) for one in given):
        return _coded(
            [one if isinstance(one, Coded) else _one(str(one), n) for one, n in zip(given, rows, strict=True)]
        )
    return _packed([one if isinstance(one, Packed) else _pack(one, n) for one, n in zip(given, rows, strict=True)])


def _coded(parts: Sequence[Coded]) -> Coded:
    return Coded(*_one_code([(part.codes, part.values) for part in parts]))


def _one_code(parts: Iterable[tuple[_Codes, Sequence[_T]]]) -> tuple[_Codes, list[_T]]:
    """Codes into values of their own, as codes into the values of all."""
    known: dict[_T, int] = {}
    found = []
    for codes, values in parts:
        place = np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int32)
        found.append(place[codes])
    return np.concatenate(found), list(known)


def _one(value: str, rows: int) -> Coded:
    return Coded(np.zeros(rows, dtype=np.int32), [value])


def _packed(parts: Sequence[Packed]) -> Packed:
    data = [part.data[part.offsets[0] : part.offsets[-1]] for part in parts]
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return Packed(offsets, memoryview(b"".join(data)))


def _pack(text: Text, rows: int) -> Packed:
    if isinstance(text, str):
        text = [text] * rows
    elif isinstance(text, Coded):
        text = [text.values[code] for code in text.codes.tolist()]
    values = [value.encode() for value in text]
    offsets = np.cumsum([0, *map(len, values)], dtype=np.int32)
    return Packed(offsets, memoryview(b"".join(values)))


def _tags(batches: Sequence[UsageBatch]) -> Sequence[Tags] | None:
    if all(batch.tags is None for batch in batches):
        return None
    coded = [_coded_tags(batch) for batch in batches]
    return CodedTags(*_one_code([(tags.codes, tags.values) for tags in coded]))


def _coded_tags(batch: UsageBatch) -> CodedTags:
    if isinstance(batch.tags, CodedTags):
        return batch.tags
    if batch.tags is None:
        return CodedTags(np.zeros(batch.rows, dtype=np.int32), [()])
    return CodedTags(np.arange(batch.rows, dtype=np.int32), batch.tags)
