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

EVIDENCE = 40.0
"""A cause must explain this many times what chance explains of a single combination."""

WHOLE = 0.8
"""All leaves moved by one factor where that explains at least this share of all deviation."""

RIVAL = 0.7
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

    Where causes cross, the leaves that they share count for the earlier one. A `rival` is no further cause: it
    explains the change of the best one nearly as well.
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
    all leaves moved by one factor. With `rivals`, the answers that the data cannot well tell from the best one stand
    in the list by their scores; without, the answers are disjoint.

    Source: see Scan for the score; setting explained leaves aside as in Kalander, "RiskLoc", 2022.
    """
    leaves = deviations(table.actual, table.expected, table.weight)
    scan = Scan(table.codes, {name: len(values) for name, values in table.values.items()}, leaves)
    search = _Search(scan, leaves)
    causes = search.causes(top)
    if not causes:
        return ()
    answers = _Answers(table, scan, leaves)
    found = [answers.of(cell) for cell in causes]
    return tuple(_listed(found, [answers.of(cell, rival=True) for cell in search.near] if rivals else [])[:top])


class _Search:
    """The search for causes, one after the other; `near` are the rivals of the first."""

    def __init__(self, scan: Scan, leaves: Deviations) -> None:
        self.near: list[Cell] = []
        self._scan, self._noise = scan, leaves.noise
        self._least = MIN_SHARE * leaves.explainable
        self._square = leaves.weight * leaves.relative**2
        self._count = max(1, int(np.count_nonzero(leaves.weight)))

    def causes(self, top: int) -> list[Cell]:
        """Up to `top` causes, in the order of their scores when found; the whole alone where it moved as one."""
        whole, best = self._scan.whole(), self._scan.best(least_amount=self._least)
        as_one = max(WHOLE * float(self._square.sum()), best.gain if best else 0.0)
        if whole.gain > max(as_one, self._by_chance(whole)):
            return [whole]
        found: list[Cell] = []
        while best is not None and best.gain > max(MIN_GAIN * found[0].gain if found else 0.0, self._by_chance(best)):
            if not found:
                self.near = self._scan.above(RIVAL * best.score, least_amount=self._least)
            found.append(best)
            if len(found) == top:
                break
            rows = self._scan.rows(best)
            self._scan.set_aside(rows)
            self._square[rows] = 0.0
            best = self._scan.best(least_amount=self._least)
        return found

    def _by_chance(self, cell: Cell) -> float:
        """The gain that noise alone does not reach.

        Where most leaves belong to a cause, the noise that was read from the leaves is too great; what the cause
        leaves unexplained is then the better measure.
        """
        return EVIDENCE * min(self._noise, max(0.0, float(self._square.sum()) - cell.gain) / self._count)


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
            dims={name: self._table.values[name][int(self._table.codes[name][row])] for name in self._scan.dims(cell)},
            explained=cell.amount / self._change if self._change else 0.0,
            score=cell.score / max(self._beyond_noise, cell.score) if cell.score > 0 else 0.0,
            change=cell.amount,
            rival=rival,
        )
