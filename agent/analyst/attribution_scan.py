"""The scan: sums over every attribute combination, kept up to date while explained leaves are set aside."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from agent.analyst.attribution_deviation import Deviations
from agent.analyst.leaves import Codes, Floats, total_by

MAX_DEPTH = 3
"""At most so many dimensions in one combination."""

DISCOUNT = 0.85
"""What each dimension after the first leaves of a combination's gain: of two like answers the simpler is given."""

CELLS_PER_LEAF = 4
"""A cuboid with more cells than this is renumbered, to keep its sums short."""

_ROUNDING = 1e-9
"""Sums of weights below this are what rounding left of leaves that were set aside."""


class Cell(NamedTuple):
    """One combination: its place in the scan and its merits.

    `gain` is the weighted square deviation that is explained when all its leaves move by one factor, `score` the gain
    after the discount for depth, `amount` its own change.
    """

    cuboid: int
    number: int
    gain: float
    score: float
    amount: float


class _Sums(NamedTuple):
    """One cuboid (all combinations of the same dimensions): the cell of each leaf, and three sums per cell."""

    dims: tuple[str, ...]
    group: Codes
    weight: Floats
    moved: Floats
    amount: Floats


class Scan:
    """The whole and all combinations of one to three dimensions, over a set of leaves that shrinks.

    The gain of a combination is M^2 / V, with M the weighted sum of its leaves' deviations and V the sum of their
    weights: the likelihood ratio of a scan for a region that moved together. It is greatest for the region itself:
    a part of it has less of M, and what lies around it adds to V only.

    Source: Kulldorff, "A spatial scan statistic", 1997, in its Gaussian form; the regions are attribute combinations.
    """

    def __init__(self, codes: Mapping[str, Codes], sizes: Mapping[str, int], leaves: Deviations) -> None:
        """Sum up every combination once; dimensions of one value are left out."""
        self._columns = (leaves.weight, leaves.weight * leaves.relative, leaves.amount)
        self._aside = np.zeros(len(leaves.weight), dtype=np.bool_)
        self._sums = [
            _Sums(dims, group, *(total_by(group, column, cells) for column in self._columns))
            for dims, group, cells in _cuboids(codes, sizes, len(leaves.weight))
        ]

    def dims(self, cell: Cell) -> tuple[str, ...]:
        """The dimensions of a combination, () for the whole."""
        return self._sums[cell.cuboid].dims

    def rows(self, cell: Cell) -> Codes:
        """The leaves of a combination, also those that were set aside."""
        return np.flatnonzero(self._sums[cell.cuboid].group == cell.number)

    def whole(self) -> Cell:
        """All leaves together."""
        return self._cell(0, 0, *self._merits(0, 0.0))

    def best(self, *, least_amount: float) -> Cell | None:
        """The combination of the greatest score among those that changed by so much, or None."""
        found: Cell | None = None
        for cuboid in range(1, len(self._sums)):
            gain, score = self._merits(cuboid, least_amount)
            number = int(np.argmax(score))
            if score[number] > (found.score if found else 0.0):
                found = self._cell(cuboid, number, gain, score)
        return found

    def above(self, score: float, *, least_amount: float) -> list[Cell]:
        """Every combination of at least this score, best first; of those over equal leaves the simplest."""
        cells: dict[tuple[float, float], Cell] = {}
        for cuboid, sums in enumerate(self._sums[1:], start=1):
            gains, scores = self._merits(cuboid, least_amount)
            for number in np.flatnonzero(scores >= score).tolist():
                same_leaves = (round(float(sums.weight[number]), 9), round(float(gains[number]), 9))
                cells.setdefault(same_leaves, self._cell(cuboid, number, gains, scores))
        return sorted(cells.values(), key=lambda cell: -cell.score)

    def set_aside(self, rows: Codes) -> None:
        """Let leaves count no more."""
        rows = rows[~self._aside[rows]]
        self._aside[rows] = True
        taken = [column[rows] for column in self._columns]
        for sums in self._sums:
            group, cells = sums.group[rows], len(sums.weight)
            for kept, column in zip((sums.weight, sums.moved, sums.amount), taken, strict=True):
                np.subtract(kept, total_by(group, column, cells), out=kept)

    def _cell(self, cuboid: int, number: int, gain: Floats, score: Floats) -> Cell:
        return Cell(cuboid, number, float(gain[number]), float(score[number]), float(self._sums[cuboid].amount[number]))

    def _merits(self, cuboid: int, least_amount: float) -> tuple[Floats, Floats]:
        """Gain and score of each cell; 0 for cells whose change is too small."""
        dims, _, weight, moved, amount = self._sums[cuboid]
        counts = (weight > _ROUNDING) & (np.abs(amount) >= least_amount)
        gain = np.divide(moved * moved, weight, out=np.zeros(len(weight)), where=counts)
        return gain, gain * DISCOUNT ** max(0, len(dims) - 1)


def _cuboids(
    codes: Mapping[str, Codes], sizes: Mapping[str, int], leaves: int
) -> Iterator[tuple[tuple[str, ...], Codes, int]]:
    """(dimensions, cell of each leaf, number of cells) of the whole and of every cuboid, shallow ones first."""
    names = [name for name in codes if sizes[name] > 1]
    known: dict[tuple[str, ...], tuple[Codes, int]] = {(): (np.zeros(leaves, np.int64), 1)}
    yield (), *known[()]
    for depth in range(1, min(MAX_DEPTH, len(names)) + 1):
        for dims in combinations(names, depth):
            group, cells = known[dims[:-1]]
            group, cells = group * sizes[dims[-1]] + codes[dims[-1]], cells * sizes[dims[-1]]
            if cells > CELLS_PER_LEAF * leaves + 1024:
                values, group = np.unique(group, return_inverse=True)
                cells = len(values)
            known[dims] = group, cells
            yield dims, group, cells
