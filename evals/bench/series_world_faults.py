"""What happens to the labelled series: incidents, each with its label, and events that are none."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evals.bench.series_world_shapes import DAY, HOURS, WEEK, Floats, Rng, Shape

SCORED_FROM = 14 * DAY
"""Two weeks to learn from; incidents begin, and alerts count, in the two weeks after them."""
NEW_HOURS = 72


class Fault(NamedTuple):
    """A series with an incident in it; the incident lasts from hour `start` to before hour `end`."""

    shape: Shape
    start: int
    end: int


def _single_spike(rng: Rng, shape: Shape, start: int, strength: float) -> Fault:
    return Fault(_more_calls(shape, start, np.array([rng.uniform(4, 12) * strength])), start, start + 1)


def _burst(rng: Rng, shape: Shape, start: int, strength: float) -> Fault:
    hours = int(rng.integers(2, 9))
    fade = np.linspace(1, rng.choice([1.0, 0.3]), hours)
    return Fault(_more_calls(shape, start, rng.uniform(1.5, 8) * strength * fade), start, start + hours)


def _level_shift(rng: Rng, shape: Shape, start: int, strength: float) -> Fault:
    end = min(HOURS, start + int(rng.integers(24, 121)))
    return Fault(_scaled(shape, "calls", start, end, 1 + rng.uniform(0.6, 3) * strength), start, end)


def _ramp(rng: Rng, shape: Shape, start: int, strength: float) -> Fault:
    climb, plateau = int(rng.integers(24, 97)), int(rng.integers(6, 37))
    end = min(HOURS, start + climb + plateau)
    rise = np.minimum(np.arange(1, end - start + 1) / climb, 1.0)
    return Fault(_scaled(shape, "calls", start, end, 1 + rng.uniform(1, 3) * strength * rise), start, end)


def _unit_cost(rng: Rng, shape: Shape, start: int, strength: float) -> Fault:
    """Longer prompts, or a dearer model for the same ones."""
    end = min(HOURS, start + int(rng.integers(12, 121)))
    measure = str(rng.choice(["tokens", "usd"]))
    return Fault(_scaled(shape, measure, start, end, 1 + rng.uniform(0.4, 2) * strength), start, end)


def _cache_break(rng: Rng, shape: Shape, start: int, strength: float) -> Fault:
    end = min(HOURS, start + int(rng.integers(12, 121)))
    return Fault(_scaled(shape, "cached", start, end, rng.uniform(0, 0.3) / strength), start, end)


def _new_series(_rng: Rng, shape: Shape, start: int, _strength: float) -> Fault:
    return Fault(_scaled(shape, "calls", 0, start, 0.0), start, min(HOURS, start + NEW_HOURS))


FAULTS: dict[str, Callable[[Rng, Shape, int, float], Fault]] = {
    "single_spike": _single_spike,
    "burst": _burst,
    "level_shift": _level_shift,
    "ramp": _ramp,
    "unit_cost": _unit_cost,
    "cache_break": _cache_break,
    "new_series": _new_series,
}
SUDDEN = frozenset({"single_spike", "burst", "level_shift", "unit_cost", "cache_break", "new_series"})


def _weekly_job(rng: Rng, shape: Shape) -> Shape:
    """A job at the same hour of every week, as long as anybody remembers; sometimes an hour late."""
    at, hours, size = int(rng.integers(0, WEEK)), int(rng.integers(1, 5)), rng.uniform(2, 7)
    for week in range(HOURS // WEEK):
        begin = at + week * WEEK + int(rng.random() < 0.15)
        shape = _more_calls(shape, begin, np.full(max(0, min(hours, HOURS - begin)), size))
    return shape


def _holiday(rng: Rng, shape: Shape) -> Shape:
    begin = int(rng.integers(6, 27)) * DAY
    return _scaled(shape, "calls", begin, begin + DAY * int(rng.integers(1, 3)), rng.uniform(0.03, 0.4))


def _growth(rng: Rng, shape: Shape) -> Shape:
    """A deploy that brings a quarter to two fifths more requests for good."""
    return _scaled(shape, "calls", int(rng.integers(8 * DAY, 26 * DAY)), HOURS, rng.uniform(1.25, 1.4))


def _past_incident(rng: Rng, shape: Shape) -> Shape:
    """An incident in the weeks to learn from; it has no label, since nothing is scored there."""
    kind = str(rng.choice(["burst", "level_shift", "single_spike"]))
    return FAULTS[kind](rng, shape, int(rng.integers(3 * DAY, 9 * DAY)), 1.0).shape


CONFOUNDERS: dict[str, Callable[[Rng, Shape], Shape]] = {
    "weekly_job": _weekly_job,
    "holiday": _holiday,
    "growth": _growth,
    "past_incident": _past_incident,
}


def _more_calls(shape: Shape, start: int, means: Floats) -> Shape:
    """More requests from hour `start` on, as multiples of the series' mean."""
    calls = shape.calls.copy()
    calls[start : start + len(means)] += shape.calls.mean() * means
    return shape._replace(calls=calls)


def _scaled(shape: Shape, measure: str, start: int, end: int, factor: float | Floats) -> Shape:
    values = getattr(shape, measure).copy()
    values[start:end] *= factor
    return shape._replace(**{measure: values})
