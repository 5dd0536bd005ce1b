"""Other methods of attribution, written anew from their papers, in the form the benchmark runs all methods in."""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.analyst.attribution import LeafTable, attribute

Answer = dict[str, str]
_Floats = npt.NDArray[np.float64]


class Method(NamedTuple):
    """A method by name: from leaves, and how many answers at most, to combinations, best first."""

    name: str
    find: Callable[[LeafTable, int], list[Answer]]


def bursar(table: LeafTable, top: int) -> list[Answer]:
    """What `bursar attribute` prints: causes, and rivals of the best one where there are any."""
    return [culprit.dims for culprit in attribute(table, top=top, rivals=True)]


def adtributor(table: LeafTable, top: int, *, enough: float = 0.67, least: float = 0.10) -> list[Answer]:
    """The values of the dimension whose distribution changed most, while they explain two thirds of the change.

    Values are taken by surprise (their part of the Jensen-Shannon divergence) if they explain a tenth or more; the
    dimensions are ranked by the sum. A ratio is given as its numerator, actual and expected at today's denominators.
    The answers of the best dimension come first.

    Source: Bhagwan et al., "Adtributor: Revenue Debugging in Advertising Systems", NSDI 2014; thresholds as there.
    """
    actual, expected = _amounts(table)
    change = actual.sum() - expected.sum()
    if change == 0 or actual.sum() == 0 or expected.sum() == 0:
        return []
    ranked: list[tuple[float, list[Answer]]] = []
    for name, codes in table.codes.items():
        size = len(table.values[name])
        now, before = np.bincount(codes, actual, size), np.bincount(codes, expected, size)
        surprise, power = _surprise(before / before.sum(), now / now.sum()), (now - before) / change
        taken, explained = [], 0.0
        for value in np.argsort(-surprise, kind="stable"):
            if power[value] > least:
                taken.append(int(value))
                explained += float(power[value])
            if explained > enough:
                ranked.append((float(surprise[taken].sum()), [{name: table.values[name][v]} for v in taken]))
                break
    ranked.sort(key=lambda entry: -entry[0])
    return [answer for _, answers in ranked for answer in answers][:top]


def sketch(table: LeafTable, top: int) -> list[Answer]:
    """The single combinations of one to three dimensions that take away most absolute deviation, by counting alone.

    The deviation taken away is what disappears when the combination's leaves all move by the ratio of their sums (the
    ripple effect); each further dimension costs two points. Knows no second cause: further answers are runners-up.
    """
    actual, expected = _amounts(table)
    off = np.abs(actual - expected)
    total = float(off.sum())
    if total == 0:
        return []
    ranked: list[tuple[float, Answer]] = []
    names = [name for name, values in table.values.items() if len(values) > 1]
    for depth in range(1, min(3, len(names)) + 1):
        for dims in combinations(names, depth):
            group = np.zeros(len(actual), np.int64)
            for name in dims:
                group = group * len(table.values[name]) + table.codes[name]
            cells = int(np.prod([len(table.values[name]) for name in dims]))
            now, before = np.bincount(group, actual, cells), np.bincount(group, expected, cells)
            ratio = np.divide(now, before, out=np.ones(cells), where=before > 0)
            gain = np.bincount(group, off - np.abs(actual - expected * ratio[group]), cells) / total
            for cell in np.argsort(-gain)[:top]:
                first = int(np.flatnonzero(group == cell)[0]) if gain[cell] > 0 else -1
                if first >= 0:
                    answer = {name: table.values[name][int(table.codes[name][first])] for name in dims}
                    ranked.append((float(gain[cell]) - 0.02 * (depth - 1), answer))
    ranked.sort(key=lambda entry: -entry[0])
    return [answer for _, answer in ranked[:top]]


def one_of(find: Callable[[LeafTable, int], list[Answer]]) -> Callable[[LeafTable, int], list[Answer]]:
    """The same method held to its best answer, for one that cannot tell how many causes there are."""
    return lambda table, _: find(table, 1)


METHODS = (Method("bursar", bursar), Method("adtributor", adtributor), Method("bincount sketch", sketch))
"""Every method as it is run on incidents, where the best three answers count."""

SPIKE_METHODS = (METHODS[0], METHODS[1], Method("bincount sketch", one_of(sketch)))
"""Every method as it is run on planted causes, where each wrong answer counts."""


def _amounts(table: LeafTable) -> tuple[_Floats, _Floats]:
    if table.weight is None:
        return table.actual, table.expected
    expected = np.where(np.isnan(table.expected), table.actual, table.expected)
    return table.actual * table.weight, expected * table.weight


def _surprise(before: _Floats, now: _Floats) -> _Floats:
    """Each value's part of the Jensen-Shannon divergence between its shares before and now."""
    middle = (before + now) / 2
    parts = np.zeros(len(before))
    for share in (before, now):
        ratio = np.divide(share, middle, out=np.ones(len(share)), where=share > 0)
        parts += 0.5 * share * np.log(ratio)
    return parts
