"""Rollup rows, now and before, side by side: one leaf per combination of dimension values."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from store.model.usage import Cube

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
_CELLS_PER_ROW = 1000


class Leaves(NamedTuple):
    """n leaves: `codes[d]` into `values[d]`, and each measure summed over the window and over the scaled reference."""

    codes: dict[str, Codes]
    values: dict[str, list[str]]
    now: dict[str, Floats]
    before: dict[str, Floats]

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(next(iter(self.now.values()))) if self.now else 0


def leaves_of(
    now: Cube, before: Sequence[Cube], *, dims: Sequence[str], measures: Sequence[str], scale: float
) -> Leaves:
    """Line up the rows of the window with those of the reference by `dims`, summed over time and all else."""
    cubes = (now, *before)
    values: dict[str, list[str]] = {}
    rows: dict[str, Codes] = {}
    for name in dims:
        known = {value: i for i, value in enumerate(dict.fromkeys(v for cube in cubes for v in cube.values[name]))}
        maps = [np.array([known[v] for v in cube.values[name]], dtype=np.int64) for cube in cubes]
        rows[name] = np.concatenate([m[cube.codes[name]] for m, cube in zip(maps, cubes, strict=True)])
        values[name] = list(known)
    group, first = group_rows([rows[name] for name in dims], sum(cube.rows for cube in cubes))
    weight = np.concatenate([np.zeros(now.rows), *(np.full(cube.rows, scale) for cube in before)])
    is_now = np.concatenate([np.ones(now.rows), *(np.zeros(cube.rows) for cube in before)])
    stacked = {name: np.concatenate([cube.measures[name] for cube in cubes]) for name in measures}
    return Leaves(
        codes={name: codes[first] for name, codes in rows.items()},
        values=values,
        now={name: total_by(group, column * is_now, len(first)) for name, column in stacked.items()},
        before={name: total_by(group, column * weight, len(first)) for name, column in stacked.items()},
    )


def total_by(group: Codes, weights: npt.NDArray[np.generic], size: int = 0) -> Floats:
    """The sum of the weights of each group, for at least `size` groups."""
    return np.bincount(group, weights.astype(np.float64), size).astype(np.float64)


def group_rows(columns: Sequence[Codes], rows: int) -> tuple[Codes, Codes]:
    """Number the distinct combinations of code columns: (group of each row, first row of each group)."""
    group, cells = np.zeros(rows, dtype=np.int64), 1
    for codes in columns:
        size = int(codes.max(initial=0)) + 1
        if cells * size > _CELLS_PER_ROW * rows:
            # Numbered anew, in the same order, so that the product never overflows.
            known, group = np.unique(group, return_inverse=True)
            cells = len(known)
        group, cells = group * size + codes, cells * size
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    return group.astype(np.int64), first.astype(np.int64)
