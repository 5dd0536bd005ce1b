"""Many records at once, as columns: what sources deliver, the price book prices and a warehouse takes in.

One row means what one UsageRecord means. A column that is left out has UsageRecord's default in every row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, get_type_hints, overload

import numpy as np
import numpy.typing as npt

from store.model.span import Span
from store.model.usage import Quarantined, UsageRecord

ABSENT = -(2**63)
"""Stands in a column of amounts for an amount that is not known."""

ROW_GROUP = 122_880
"""DuckDB writes whole groups of so many rows straight to disk, at half the cost."""
DELIVERY_ROWS = 2 * ROW_GROUP
"""How many rows go together as columns: two groups are written by two threads at once."""

_HINTS = get_type_hints(UsageRecord)
NUMBER_FIELDS = frozenset(name for name, hint in _HINTS.items() if hint in (int, int | None))
AMOUNT_FIELDS = frozenset(name for name, hint in _HINTS.items() if hint == int | None)
TEXT_FIELDS = frozenset(UsageRecord._fields) - NUMBER_FIELDS - {"tags"}

Tags = tuple[tuple[str, str], ...]
Integers = npt.NDArray[np.int64]


class CodedTags(Sequence[Tags]):
    """Each row's tags as int32 codes into the sets of tags that there are: few, beside the rows."""

    def __init__(self, codes: npt.NDArray[np.int32], values: Sequence[Tags]) -> None:
        self.codes = codes
        self.values = values

    def __len__(self) -> int:
        """How many rows it has."""
        return len(self.codes)

    @overload
    def __getitem__(self, at: int) -> Tags: ...
    @overload
    def __getitem__(self, at: slice) -> "CodedTags": ...
    def __getitem__(self, at: int | slice) -> "Tags | CodedTags":
        """The tags of a row, or of several; IndexError past the end."""
        return CodedTags(self.codes[at], self.values) if isinstance(at, slice) else self.values[self.codes[at]]


class Coded(NamedTuple):
    """A text column as int32 codes into its distinct values."""

    codes: npt.NDArray[np.int32]
    values: list[str]


class Packed(Sequence[str]):
    """A text column as UTF-8, one value after the other; value n lies between offsets n and n + 1."""

    def __init__(self, offsets: npt.NDArray[np.int32], data: memoryview) -> None:
        self.offsets = offsets
        self.data = data

    def __len__(self) -> int:
        """How many rows it has."""
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        """The value of a row; IndexError past the end."""
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        return str(self.data[self.offsets[at] : self.offsets[at + 1]], "utf-8")


Text = str | list[str] | tuple[str, ...] | Coded | Packed
"""A text column: one value for every row, a value per row, codes, or packed text."""


@dataclass(frozen=True)
class UsageBatch:
    """`rows` records as columns. A number column is one int for every row, or int64 with ABSENT where not known."""

    rows: int
    texts: Mapping[str, Text] = field(default_factory=dict)
    numbers: Mapping[str, int | Integers] = field(default_factory=dict)
    tags: Sequence[Tags] | None = None
    """Each row's tags, sorted by name, a name once; None where no row has any."""

    def text(self, name: str) -> Text:
        """A text column, its default where it was left out."""
        return self.texts[name] if name in self.texts else str(UsageRecord._field_defaults[name])

    def number(self, name: str) -> Integers:
        """A number column as one int64 per row."""
        value = self.numbers[name] if name in self.numbers else _default(name)
        return np.full(self.rows, value, dtype=np.int64) if isinstance(value, int) else value

    def with_texts(self, texts: Mapping[str, Text]) -> "UsageBatch":
        """The batch with those text columns in place of its own."""
        return replace(self, texts={**self.texts, **texts})

    def with_numbers(self, numbers: Mapping[str, int | Integers]) -> "UsageBatch":
        """The batch with those number columns in place of its own."""
        return replace(self, numbers={**self.numbers, **numbers})


class Delivery(NamedTuple):
    """What a source delivers at once: rows that can be right, the others, and how far it has come."""

    batch: UsageBatch
    rejected: tuple[Quarantined, ...]
    bytes_read: int = 0
    """Of all files together; 0 where the source does not say."""
    spans: tuple[Span, ...] = ()
    """What ran in the traces beside the calls; no usage, counted nowhere."""


def batch_of(records: Sequence[UsageRecord]) -> UsageBatch:
    """The same records as columns, in the same order."""
    if not records:
        return UsageBatch(rows=0, texts=dict.fromkeys(TEXT_FIELDS, ""), numbers=dict.fromkeys(NUMBER_FIELDS, 0))
    columns = dict(zip(UsageRecord._fields, zip(*records, strict=True), strict=True))
    numbers: dict[str, int | Integers] = {}
    for name in NUMBER_FIELDS:
        column = columns[name]
        if name in AMOUNT_FIELDS:
            column = tuple(ABSENT if value is None else value for value in column)
        numbers[name] = np.array(column, dtype=np.int64)
    tags = columns["tags"] if any(columns["tags"]) else None
    return UsageBatch(
        rows=len(records),
        texts={name: columns[name] for name in TEXT_FIELDS},
        numbers=numbers,
        # The order of tags says nothing and a name counts once: equal tags must be equal in the store.
        tags=None if tags is None else [tuple(sorted(dict(row).items())) for row in tags],
    )


def _default(name: str) -> int:
    value = UsageRecord._field_defaults[name]
    return ABSENT if value is None else int(value)
