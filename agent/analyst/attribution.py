"""Who caused a change: the smallest set of attribute combinations that explains it."""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.analyst.leaves import Codes, Floats, group_rows, total_by

MAX_LAYER = 3
"""At most so many dimensions in one combination."""

LAYER_PENALTY = 0.02
"""What each further dimension costs, in shares of the total deviation."""

IDLE_PENALTY = 0.05
"""What a combination that is unchanged for the most part costs."""

MIN_GAIN = 0.10
"""A further cause must explain at least this share of the total deviation."""


class LeafTable(NamedTuple):
    """n leaves: a value per dimension (codes into names), and the actual and expected measure of each."""

    codes: dict[str, Codes]
    values: dict[str, list[str]]
    actual: Floats
    expected: Floats


class Culprit(NamedTuple):
    """A combination, the share of the total change that it explains, its score in [0, 1], and its own change."""

    dims: dict[str, str]
    explained: float
    score: float
    change: float


class _Candidate(NamedTuple):
    gain: float
    score: float
    dims: tuple[str, ...]
    rows: npt.NDArray[np.bool_]


def leaf_table(dims: Mapping[str, npt.NDArray[np.generic] | list[str]], actual: Floats, expected: Floats) -> LeafTable:
    """Make a leaf table from columns of text and two columns of numbers."""
    codes, values = {}, {}
    for name, column in dims.items():
        found, inverse = np.unique(np.asarray(column).astype(str), return_inverse=True)
        codes[name], values[name] = inverse.astype(np.int64), [str(value) for value in found]
    return LeafTable(codes, values, np.asarray(actual, np.float64), np.asarray(expected, np.float64))


def attribute(table: LeafTable, *, top: int = 3) -> tuple[Culprit, ...]:
    """Find up to `top` disjoint combinations that explain the change of an additive measure, best first.

    A combination's gain is the deviation |actual - expected| of its leaves that disappears when all of them are
    expected to move together, by the ratio of their sums (the ripple effect). Leaves that were not expected at all
    are taken as explained, and left out of the ratio. The combination with the greatest gain, less a penalty per
    dimension and one for traffic that did not change, is taken, its leaves are set aside, and the search goes on
    while a tenth of the deviation is left to gain. () where nothing deviates.

    Source: ripple effect and its score after Li et al., "Generic and robust localization of multi-dimensional root
    causes" (Squeeze), ISSRE 2019; explanatory power and succinctness after Bhagwan et al., "Adtributor", NSDI 2014;
    removing explained leaves and searching on after Kalander, "RiskLoc", 2022.
    """
    deviation = np.abs(table.actual - table.expected)
    total, change = float(deviation.sum()), float((table.actual - table.expected).sum())
    if total == 0:
        return ()
    names = [name for name, values in table.values.items() if len(values) > 1]
    left = np.ones(len(deviation), dtype=np.bool_)
    found: list[Culprit] = []
    while len(found) < top and left.any():
        best = max(
            (
                _best_in(table, dims, left, total)
                for layer in range(1, min(MAX_LAYER, len(names)) + 1)
                for dims in combinations(names, layer)
            ),
            key=lambda candidate: candidate.score,
            default=None,
        )
        if best is None or best.gain < MIN_GAIN * total:
            break
        own = float((table.actual - table.expected)[best.rows].sum())
        row = int(np.flatnonzero(best.rows)[0])
        found.append(
            Culprit(
                dims={name: table.values[name][int(table.codes[name][row])] for name in best.dims},
                explained=own / change if change else 0.0,
                score=max(0.0, min(1.0, best.score)),
                change=own,
            )
        )
        left = left & ~best.rows
    return tuple(found)


def _best_in(table: LeafTable, dims: tuple[str, ...], left: npt.NDArray[np.bool_], total: float) -> _Candidate:
    """The best combination over exactly these dimensions."""
    rows = np.flatnonzero(left)
    group, first = group_rows([table.codes[name][rows] for name in dims], len(rows))
    actual, expected = table.actual[rows], table.expected[rows]
    size = len(first)
    old = expected > 0
    sum_old, sum_expected = total_by(group, actual * old, size), total_by(group, expected * old, size)
    ratio = np.divide(sum_old, sum_expected, out=np.ones(size), where=sum_expected > 0)
    misfit = np.where(old, np.abs(actual - expected * ratio[group]), 0.0)
    gain = total_by(group, np.abs(actual - expected) - misfit, size)
    same = total_by(group, np.minimum(actual, expected), size)
    most = total_by(group, np.maximum(actual, expected), size)
    idle = np.divide(same, most, out=np.zeros(size), where=most > 0)
    score = gain / total - LAYER_PENALTY * (len(dims) - 1) - IDLE_PENALTY * idle
    best = int(np.argmax(score))
    mask = np.zeros(len(left), dtype=np.bool_)
    mask[rows[group == best]] = True
    return _Candidate(float(gain[best]), float(score[best]), dims, mask)
