"""Turns a peer's scores into alerts, and finds the setting with the highest F1: the same procedure for every peer.

A peer scores two channels of every series, spend and USD per request, bucket by bucket. An hour is flagged if a score
passes that channel's threshold and the hour's excess passes a floor in USD; an alert is raised once enough flagged
hours follow each other, and flagged hours with no more than GRACE quiet ones between them are one alert.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from evals.bench.detect_score import GRACE, Raised, Verdict, judge_alerts
from evals.bench.series_world import Label, World
from evals.bench.series_world_faults import SCORED_FROM
from evals.bench.series_world_shapes import DAY, HOURS, WEEK, Floats

FLOORS_USD = (0.0, 5.0, 15.0)
IN_A_ROW = (1, 2, 3)
_LEVELS = 24
_ROUNDS = 3
BUDGET = 0.05
"""False incidents per series-week that the second column of the table allows."""

_Flags = npt.NDArray[np.bool_]


class Scores(NamedTuple):
    """Of one peer over one world: scores of both channels (series, HOURS), the larger the stranger, causal."""

    spend: Floats
    unit: Floats


class Excess(NamedTuple):
    """USD above usual in every hour, by spend at that hour of the last seven days and by usual USD per request."""

    spend: Floats
    unit: Floats


class Setting(NamedTuple):
    """What is tuned: a threshold per channel, a floor in USD, and how many flagged hours in a row make an alert."""

    spend: float
    unit: float
    floor_usd: float
    in_a_row: int


class Tuned(NamedTuple):
    """The setting with the highest F1, and the one with the highest F1 within the false-alert BUDGET, if any is."""

    best: Setting
    within_budget: Setting | None


def unit_cost(world: World) -> Floats:
    """USD per request and hour; where there was none, the last known."""
    known = world.requests > 0
    last = np.maximum.accumulate(np.where(known, np.arange(HOURS), 0), axis=1)
    unit = np.divide(world.cost, world.requests, out=np.zeros_like(world.cost), where=known)
    return np.take_along_axis(unit, last, axis=1)


def excess_of(world: World) -> Excess:
    """The excess that every peer's floor is compared with."""
    same_hour = np.full((7, *world.cost.shape), np.nan)
    for day in range(1, 8):
        same_hour[day - 1, :, day * DAY :] = world.cost[:, : HOURS - day * DAY]
    usual = np.zeros_like(world.cost)
    usual[:, DAY:] = np.nanmedian(same_hour[:, :, DAY:], axis=0)
    unit = unit_cost(world)
    usual_unit = np.zeros_like(unit)
    for begin in range(DAY, HOURS, DAY):
        usual_unit[:, begin : begin + DAY] = np.median(unit[:, max(0, begin - WEEK) : begin], axis=1, keepdims=True)
    return Excess(world.cost - usual, (unit - usual_unit) * world.requests)


def alerts_of(scores: Scores, excess: Excess, setting: Setting) -> list[Raised]:
    """The alerts that a peer raises at a setting, by series and time."""
    flags = (scores.spend >= setting.spend) & (excess.spend >= setting.floor_usd)
    flags |= (scores.unit >= setting.unit) & (excess.unit >= setting.floor_usd)
    flags[:, :SCORED_FROM] = False
    return [alert for row in np.flatnonzero(flags.any(axis=1)) for alert in _of_row(int(row), flags[row], setting)]


def tune(scores: Scores, excess: Excess, labels: Sequence[Label]) -> Tuned:
    """Coordinate ascent over the four parts of the setting, from the best spend threshold alone."""
    series = len(scores.spend)
    levels = [_levels(channel[:, SCORED_FROM:]) for channel in scores]
    tried: dict[Setting, tuple[float, float]] = {}

    def look(setting: Setting) -> tuple[float, float]:
        if setting not in tried:
            verdict = judge_alerts(alerts_of(scores, excess, setting), labels, series)
            tried[setting] = _f1_and_false(verdict, labels)
        return tried[setting]

    def within(setting: Setting) -> float:
        f1, false = look(setting)
        return f1 if false <= BUDGET else -false

    found = []
    for worth in (lambda setting: look(setting)[0], within):
        ends = []
        for count in IN_A_ROW:
            at = max((Setting(level, np.inf, 0.0, count) for level in levels[0]), key=worth)
            for _ in range(_ROUNDS):
                for around in (_units(at, levels[1]), _floors(at), _rows(at), _spends(at, levels[0])):
                    at = max([at, *around], key=worth)
            ends.append(at)
        found.append(max(ends, key=worth))
    return Tuned(found[0], found[1] if look(found[1])[1] <= BUDGET else None)


def _spends(at: Setting, levels: list[float]) -> list[Setting]:
    return [at._replace(spend=level) for level in [*levels, np.inf]]


def _units(at: Setting, levels: list[float]) -> list[Setting]:
    return [at._replace(unit=level) for level in [*levels, np.inf]]


def _floors(at: Setting) -> list[Setting]:
    return [at._replace(floor_usd=floor) for floor in FLOORS_USD]


def _rows(at: Setting) -> list[Setting]:
    return [at._replace(in_a_row=count) for count in IN_A_ROW]


def _levels(scores: Floats) -> list[float]:
    """Thresholds to try: one in ten hours flagged to one in thirty thousand, evenly on a log scale."""
    shares = np.geomspace(0.1, 3e-5, _LEVELS)
    return sorted({float(level) for level in np.quantile(scores[np.isfinite(scores)], 1 - shares) if level > 0})


def _f1_and_false(verdict: Verdict, labels: Sequence[Label]) -> tuple[float, float]:
    found = sum(delay is not None for delay in verdict.delays)
    false = sum(verdict.false)
    weeks = len(verdict.false) * (HOURS - SCORED_FROM) / WEEK
    return 2 * found / max(1, found + len(labels) + false), false / weeks


def _of_row(row: int, flags: _Flags, setting: Setting) -> Iterator[Raised]:
    hours = np.flatnonzero(flags)
    for group in np.split(hours, np.flatnonzero(np.diff(hours) > GRACE + 1) + 1):
        steps = np.diff(group) == 1
        need = setting.in_a_row - 1
        if need == 0:
            yield Raised(row, int(group[0]), int(group[-1]) + 1)
            continue
        if len(steps) < need:
            continue
        runs = np.flatnonzero(np.convolve(steps, np.ones(need), mode="valid") >= need)
        if len(runs):
            yield Raised(row, int(group[runs[0] + need]), int(group[-1]) + 1)
