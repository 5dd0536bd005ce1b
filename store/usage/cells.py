"""Adding up: rows with a bucket and a series become cells, one for each pair that there is.

A column at a time: one column of sums stays in the processor's cache, where a hash aggregate carries all sums of a pair
about together. Integers only; a sum is exact, or it is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from store.errors import StorageFailed
from store.model.usage import CUBE_MEASURES
from store.usage.schema import FLAGGED

Ints = npt.NDArray[np.int64]
_Parts = Sequence[tuple[Ints, Ints]]
"""The rows, part by part: each one's cell and its amount."""

_ROOM = 16
"""Places that may be marked for each row; where fewer than every 16th would be taken the rows are sorted instead."""
_LIMIT = 2**63
_AT_ONCE = 4
"""Measures that are added up at the same time; NumPy lets other threads work meanwhile."""


def cells_of_records(records: pa.Table, *, first: int, seconds: int, series: int) -> pa.Table:
    """The sums of records by bucket and series: one row per cell, in order of (bucket, series).

    Takes the columns `place` (the number of the bucket after that of `first`, times `series`, and the record's series),
    `flags` and the amounts (store.usage.schema), without nulls; gives bucket (epoch seconds), series and CUBE_MEASURES
    as int64. `series`: all series have lower numbers. `first` is a whole bucket.

    Raises:
        StorageFailed: a sum does not fit 64 bits.
    """
    place = records.column("place").to_numpy()
    found, at = _numbered(place, int(place.max(initial=-1)) + 1)
    flags = [chunk.to_numpy() for chunk in records.column("flags").chunks if len(chunk)]
    plain = [name for name in CUBE_MEASURES if name not in FLAGGED]
    amounts = {name: partial(_parts, records.column(name), at) for name in plain}
    for bit, (name, (other, _)) in enumerate(FLAGGED.items()):
        amounts[name] = partial(_chosen, amounts[other], flags, 1 << bit)
    later, of = np.divmod(found, series)
    return _table(later * seconds + first, of, amounts)


def wider_cells(cells: pa.Table, seconds: int) -> pa.Table:
    """The sums of cells by the wider bucket that they lie in; `cells` may hold a pair more than once.

    Raises:
        StorageFailed: a sum does not fit 64 bits.
    """
    if cells.num_rows == 0:
        return cells
    bucket, series = cells.column("bucket").to_numpy() // seconds, cells.column("series").to_numpy()
    first, known = int(bucket.min()), int(series.max()) + 1
    found, at = _numbered((bucket - first) * known + series, (int(bucket.max()) - first + 1) * known)
    later, of = np.divmod(found, known)
    amounts = {name: partial(_parts, cells.column(name), at) for name in CUBE_MEASURES}
    return _table((later + first) * seconds, of, amounts)


def _table(bucket: Ints, series: Ints, amounts: Mapping[str, Callable[[], _Parts]]) -> pa.Table:
    # One piece of memory: the kernel gives a large one out in large pages, which are far quicker to touch first.
    sums = dict(zip(CUBE_MEASURES, np.zeros((len(CUBE_MEASURES), len(bucket)), dtype=np.int64), strict=True))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(lambda name: _add(amounts[name](), sums[name]), CUBE_MEASURES):
            pass
    return pa.table({"bucket": bucket, "series": series, **sums})


def _numbered(codes: Ints, size: int) -> tuple[Ints, Ints]:
    """The distinct codes, all below `size`, in order; and for each row the place of its code among them."""
    if size > _ROOM * len(codes):
        found, at = np.unique(codes, return_inverse=True)
        return found, at
    taken = np.zeros(size, dtype=np.bool_)
    taken[codes] = True
    return np.flatnonzero(taken), (np.cumsum(taken) - 1)[codes]


def _parts(column: pa.ChunkedArray, at: Ints) -> _Parts:
    chunks = [chunk.to_numpy() for chunk in column.chunks if len(chunk)]
    ends = np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64)
    return list(zip(np.split(at, ends)[:-1], chunks, strict=True))


def _chosen(all_parts: Callable[[], _Parts], flags: Sequence[npt.NDArray[np.uint8]], bit: int) -> _Parts:
    parts, rows = all_parts(), [np.flatnonzero(part & bit) for part in flags]
    if sum(map(len, rows)) == sum(map(len, flags)):
        return parts
    return [(at[some], amounts[some]) for (at, amounts), some in zip(parts, rows, strict=True) if len(some)]


def _add(parts: _Parts, sums: Ints) -> None:
    """Add each row's amount to its cell's sum."""
    greatest = [max(int(amounts.max()), -int(amounts.min())) for _, amounts in parts]
    bound = sum(most * len(amounts) for most, (_, amounts) in zip(greatest, parts, strict=True))
    if bound >= _LIMIT:
        sums[:] = _wide_sums(parts, len(sums))
    elif bound:
        for at, amounts in parts:
            np.add.at(sums, at, amounts)


def _wide_sums(parts: _Parts, cells: int) -> Ints:
    """The same in integers without bounds, twenty times as slow: a single absurd row must not stop all others."""
    sums = np.zeros(cells, dtype=object)
    for at, amounts in parts:
        np.add.at(sums, at, amounts.astype(object))
    try:
        return sums.astype(np.int64)
    except OverflowError as error:
        raise StorageFailed(
            "usage warehouse: what one series used in 5 minutes or an hour adds up to more than 64 bits hold; restate "
            "the records with absurd amounts"
        ) from error
