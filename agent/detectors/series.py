"""Folds rollup rows into matrices: one row per series, one column per bucket, zero where nothing happened."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.detectors.settings import DAY_SECONDS
from store.model.money import NANOS_PER_USD
from store.model.usage import Cube, Scope

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class SeriesSet(NamedTuple):
    """All series of one group-by: s rows, t columns, on an axis that starts at midnight UTC.

    `usd`, `requests`, `tokens_in` (all input classes) and `cache_read` have the shape (s, t). Column i is the bucket
    that starts `start_s + i * bucket_seconds` seconds after the epoch. `first[s]` is the column of the first activity.
    `known_from` is the column from which the data as a whole is known.
    """

    group_by: tuple[str, ...]
    keys: list[tuple[str, ...]]
    start_s: int
    bucket_seconds: int
    known_from: int
    first: Ints
    usd: Matrix
    requests: Matrix
    tokens_in: Matrix
    cache_read: Matrix

    @property
    def buckets(self) -> int:
        """The number of columns."""
        return int(self.usd.shape[1])

    def scope(self, row: int) -> Scope:
        """The scope of one row."""
        return Scope.of(dict(zip(self.group_by, self.keys[row], strict=True)))

    def take(self, rows: Ints) -> "SeriesSet":
        """Only these rows."""
        return self._replace(
            keys=[self.keys[int(row)] for row in rows],
            first=self.first[rows],
            usd=self.usd[rows],
            requests=self.requests[rows],
            tokens_in=self.tokens_in[rows],
            cache_read=self.cache_read[rows],
        )


def joined(sets: Sequence[SeriesSet]) -> SeriesSet:
    """The series of several group-bys below each other, on their common axis; they have no group-by of their own."""
    if len(sets) == 1:
        return sets[0]
    return sets[0]._replace(
        group_by=(),
        keys=[key for one in sets for key in one.keys],
        first=np.concatenate([one.first for one in sets]),
        usd=np.concatenate([one.usd for one in sets]),
        requests=np.concatenate([one.requests for one in sets]),
        tokens_in=np.concatenate([one.tokens_in for one in sets]),
        cache_read=np.concatenate([one.cache_read for one in sets]),
    )


class Leaves(NamedTuple):
    """The finest series of a cube; every group-by is a sum over some of them. `stack` has the shape (4, leaves, t)."""

    codes: dict[str, Ints]
    values: Mapping[str, Sequence[str]]
    start_s: int
    bucket_seconds: int
    known_from: int
    stack: Matrix

    def by(self, group_by: tuple[str, ...]) -> SeriesSet:
        """The series of one group-by, in the order of their first leaf's codes."""
        count = self.stack.shape[1]
        code = np.zeros(count, dtype=np.int64)
        for name in group_by:
            code = code * max(1, len(self.values[name])) + self.codes[name]
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.diff(code[order], prepend=-1))
        folded = np.add.reduceat(self.stack[:, order], starts, axis=1) if count else self.stack
        leaders = order[starts]
        keys = [tuple(self.values[name][int(self.codes[name][leaf])] for name in group_by) for leaf in leaders]
        usd, requests, tokens_in, cache_read = folded
        active = (usd > 0) | (requests > 0)
        first = np.where(active.any(axis=1), active.argmax(axis=1), active.shape[1])
        return SeriesSet(
            group_by=group_by,
            keys=keys,
            start_s=self.start_s,
            bucket_seconds=self.bucket_seconds,
            known_from=self.known_from,
            first=first,
            usd=usd,
            requests=requests,
            tokens_in=tokens_in,
            cache_read=cache_read,
        )


def fold(cube: Cube, *, until: datetime, dims: Sequence[str]) -> Leaves:
    """Fold the rows of whole buckets that ended by `until`; later rows are not looked at.

    Requests that a remedy of ours refused cost nothing and are left out of the request counts.
    """
    width = cube.bucket_seconds
    start_s = int(cube.window.start.timestamp()) // DAY_SECONDS * DAY_SECONDS
    columns = max(0, (int(until.timestamp()) - start_s) // width)
    column = (cube.bucket - start_s) // width
    keep = (column >= 0) & (column < columns)
    column = column[keep]
    code = np.zeros(len(column), dtype=np.int64)
    for name in dims:
        code = code * max(1, len(cube.values[name])) + cube.codes[name][keep]
    found, example, leaf = np.unique(code, return_index=True, return_inverse=True)
    cell = leaf * columns + column
    size = len(found) * columns

    def summed(values: npt.NDArray[np.generic]) -> Matrix:
        sums = np.bincount(cell, weights=values[keep].astype(np.float64), minlength=size)
        return sums.astype(np.float64, copy=False).reshape(len(found), columns)

    of = cube.measures
    tokens_in = of["input_uncached"] + of["cache_read"] + of["cache_write_5m"] + of["cache_write_1h"]
    stack = np.stack(
        [
            summed(of["cost_nanos"]) / NANOS_PER_USD,
            summed(of["requests"] - of["refused"]),
            summed(tokens_in),
            summed(of["cache_read"]),
        ]
    )
    return Leaves(
        codes={name: cube.codes[name][keep][example].astype(np.int64) for name in dims},
        values=cube.values,
        start_s=start_s,
        bucket_seconds=width,
        known_from=int(column.min()) if len(column) else columns,
        stack=stack,
    )
