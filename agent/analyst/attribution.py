"""Who caused a change: the smallest set of attribute combinations that explains it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.analyst.attribution_deviation import Deviations, deviations
from agent.analyst.attribution_scan import Cell, Scan
from agent.analyst.leaves import Codes, Floats

MIN_SHARE = 0.02
"""A cause's own change must be at least this share of all change beyond noise."""

MIN_GAIN = 0.02
"""A further cause must explain at least this share of what the first one explains."""

EVIDENCE = 30.0
"""A cause must explain this many times what chance explains of a single combination."""

RIVAL = 0.6
"""A combination that scores at least this share of the best one's score is its rival."""


class LeafTable(NamedTuple):
    """n leaves: a value per dimension (codes into names), and the actual and expected measure of each, not negative.

    A ratio (cost per request, hit ratio) has a weight per leaf, its denominator now; an additive measure has none.
    A ratio that was not expected at all is NaN.
    """

    codes: dict[str, Codes]
    values: dict[str, list[str]]
    actual: Floats
    expected: Floats
    weight: Floats | None = None


class Culprit(NamedTuple):
    """A combination ({}: the whole moved as one), the share of the total change that it explains, its score in [0, 1],
    and its own change (of a ratio: of the numerator).

    A `rival` is no further cause: it explains the best one's change nearly as well.
    """

    dims: dict[str, str]
    explained: float
    score: float
    change: float
    rival: bool = False


def leaf_table(
    dims: Mapping[str, npt.NDArray[np.generic] | Sequence[object]],
    actual: Floats,
    expected: Floats,
    weight: Floats | None = None,
) -> LeafTable:
    """Make a leaf table from columns of text and columns of numbers."""
    codes: dict[str, Codes] = {}
    values: dict[str, list[str]] = {}
    for name, column in dims.items():
        texts = [str(value) for value in column]
        number = {value: i for i, value in enumerate(sorted(set(texts)))}
        codes[name] = np.fromiter((number[text] for text in texts), np.int64, len(texts))
        values[name] = list(number)
    numbers = (np.asarray(actual, np.float64), np.asarray(expected, np.float64))
    return LeafTable(codes, values, *numbers, None if weight is None else np.asarray(weight, np.float64))


def attribute(table: LeafTable, *, top: int = 3, rivals: bool = False) -> tuple[Culprit, ...]:
    """Find up to `top` combinations that explain the change, best first.

    The combination with the greatest score (see Scan) is taken, its leaves are set aside, and the search goes on while
    a further one explains enough, by itself and beside the first. () where nothing moved beyond noise; {} alone where
    no combination explains more than all leaves moving by one factor. With `rivals`, the answers that the data cannot
    well tell from the best one stand in the list by their scores; without, the answers are disjoint.

    Source: see Scan for the score; setting explained leaves aside as in Kalander, "RiskLoc", 2022.
    """
    leaves = deviations(table.actual, table.expected, table.weight)
    scan = Scan(table.codes, {name: len(values) for name, values in table.values.items()}, leaves)
    least = MIN_SHARE * leaves.explainable
    answers = _Answers(table, scan, leaves)
    left = float((leaves.weight * leaves.relative**2).sum())
    count = int(np.count_nonzero(leaves.weight))
    causes: list[Cell] = []
    while len(causes) < top:
        best = scan.best(least_amount=least)
        if best is None or best.gain < _enough(causes, leaves.noise, (left - best.gain) / max(1, count)):
            break
        causes.append(best)
        if not scan.dims(best):
            break
        left -= best.gain
        scan.set_aside(scan.rows(best))
    found = [answers.of(cell) for cell in causes]
    if rivals and found:
        scan.put_back(scan.rows(causes[0]))
        near = scan.above(RIVAL * causes[0].score, least_amount=least)
        found = _listed(found, [answers.of(cell, rival=True) for cell in near])
    return tuple(found[:top])


def _enough(causes: list[Cell], noise: float, unexplained: float) -> float:
    """The gain that the next cause needs.

    Where most leaves belong to a cause, the noise read from the leaves is too great; what the cause leaves unexplained
    is then the better measure.
    """
    by_chance = EVIDENCE * min(noise, max(0.0, unexplained))
    return max(by_chance, MIN_GAIN * causes[0].gain) if causes else by_chance


def _listed(causes: list[Culprit], near: list[Culprit]) -> list[Culprit]:
    """The first cause, then further causes and rivals of the first by score; a cause is not a rival as well."""
    known = [cause.dims for cause in causes]
    others = [rival for rival in near if rival.dims not in known and _may_meet(rival.dims, known[0])]
    return causes[:1] + sorted(causes[1:] + others, key=lambda culprit: -culprit.score)


def _may_meet(one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two combinations can have leaves in common."""
    return all(other.get(name, value) == value for name, value in one.items())


class _Answers:
    """Turns cells of the scan into culprits."""

    def __init__(self, table: LeafTable, scan: Scan, leaves: Deviations) -> None:
        square = leaves.weight * leaves.relative**2
        self._table, self._scan = table, scan
        self._change = float(leaves.amount.sum())
        self._beyond_noise = float(square.sum()) - leaves.noise * int(np.count_nonzero(leaves.weight))

    def of(self, cell: Cell, *, rival: bool = False) -> Culprit:
        row = int(self._scan.rows(cell)[0])
        return Culprit(
            dims={
                name: self._table.values[name][int(self._table.codes[name][row])] for name in self._scan.dims(cell)
            },
            explained=cell.amount / self._change if self._change else 0.0,
            score=cell.score / max(self._beyond_noise, cell.score) if cell.score > 0 else 0.0,
            change=cell.amount,
            rival=rival,
        )
