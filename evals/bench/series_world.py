"""Labelled usage series for the benchmark of detection: the repository's own generator, which no detector looks into.

Noise, season, level, trend, events and incidents are drawn independently. A fault counts as an incident if somebody who
knew the process behind the series (though not its chance) could not miss it: its expected excess is at least SIGMAS
standard deviations of such a stretch without it, and at least MIN_EXCESS_USD; otherwise it is drawn stronger.
"""

from datetime import UTC, datetime
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from evals.bench.series_world_faults import CONFOUNDERS, FAULTS, SCORED_FROM, Fault
from evals.bench.series_world_shapes import DAY, HOURS, Floats, Rng, Shape, draw, make_shape, with_cache

Part = Literal["tuning", "report"]
"""Whatever is built or tuned looks at "tuning" only. The parts share no random stream, whatever the seed."""

START = datetime(2026, 3, 2, tzinfo=UTC)
MIN_EXCESS_USD = 25.0
SIGMAS = 5.0
_INCIDENT_SHARE = 0.6
_CONFOUNDER_SHARE = 0.2
_REPLICAS = 12
_MOST_TRIES = 200
_PARTS: dict[Part, int] = {"tuning": 1, "report": 2}


class Label(NamedTuple):
    """One incident: its series (row), kind, first hour and hour after its last, expected excess in USD."""

    row: int
    kind: str
    start: int
    end: int
    excess_usd: float


class World(NamedTuple):
    """Series as matrices (series, HOURS): USD, requests, input tokens, of those cached; and which rows are missing.

    A missing row (telemetry gap) has zeros in the matrices and no row in the table. `traits` says, per series, of what
    it was made.
    """

    cost: Floats
    requests: Floats
    tokens: Floats
    cached: Floats
    missing: npt.NDArray[np.bool_]
    labels: list[Label]
    traits: list[dict[str, str]]


def make_world(series: int, *, part: Part, seed: int) -> World:
    """So many labelled series. Equal arguments give equal series; fewer series are the first of more."""
    made = [_one(row, np.random.default_rng([_PARTS[part], seed, row])) for row in range(series)]
    cost, requests, tokens, cached = (np.stack([values[i] for values, _, _, _ in made]) for i in range(4))
    return World(
        cost,
        requests,
        tokens,
        cached,
        np.stack([missing for _, missing, _, _ in made]),
        [label for _, _, label, _ in made if label is not None],
        [traits for _, _, _, traits in made],
    )


def name_of(row: int) -> str:
    """The name of a series in the table."""
    return f"s{row:05d}"


def table_of(world: World) -> dict[str, list[object]]:
    """The series as `bursar detect FILE` reads them: long form, missing rows left out, plus cached_tokens."""
    rows, hours = np.nonzero(~world.missing)
    epoch = int(START.timestamp())
    return {
        "series": [name_of(int(row)) for row in rows],
        "bucket_start": (epoch + hours * 3600).tolist(),
        "cost_usd": world.cost[rows, hours].tolist(),
        "requests": world.requests[rows, hours].tolist(),
        "tokens": world.tokens[rows, hours].tolist(),
        "cached_tokens": world.cached[rows, hours].tolist(),
    }


def _one(row: int, rng: Rng) -> tuple[tuple[Floats, ...], npt.NDArray[np.bool_], Label | None, dict[str, str]]:
    shape, traits = make_shape(rng)
    events = [name for name in CONFOUNDERS if rng.random() < _CONFOUNDER_SHARE]
    for name in events:
        shape = CONFOUNDERS[name](rng, shape)
    label = None
    kind = "none"
    if rng.random() < _INCIDENT_SHARE:
        kind = str(rng.choice(list(FAULTS)))
        if kind == "cache_break":
            shape = with_cache(rng, shape)
        found = _visible(rng, shape, kind)
        if found is None:
            kind = "none"
        else:
            fault, excess = found
            shape = fault.shape
            label = Label(row, kind, fault.start, fault.end, excess)
    drawn = draw(shape, rng)
    missing = np.zeros(HOURS, dtype=np.bool_)
    if rng.random() < _CONFOUNDER_SHARE:
        events.append("gap")
        missing = _gap(rng, label)
    values = tuple(np.where(missing, 0.0, measure) for measure in drawn)
    return values, missing, label, {**traits, "events": "+".join(events), "incident": kind}


def _visible(rng: Rng, shape: Shape, kind: str) -> tuple[Fault, float] | None:
    """A fault of this kind that is an incident, and its excess; drawn stronger until it is one.

    None where it never becomes one: a cache can break no more than wholly.
    """
    usual = shape.mean_cost() if kind != "new_series" else np.zeros(HOURS)
    replicas = np.stack([draw(shape, rng).cost for _ in range(_REPLICAS)]) - usual
    strength = 1.0
    for _ in range(_MOST_TRIES):
        start = int(rng.integers(SCORED_FROM, HOURS - DAY))
        fault = FAULTS[kind](rng, shape, start, strength)
        excess = float((fault.shape.mean_cost() - usual)[fault.start : fault.end].sum())
        chance = _chance(replicas, fault) if kind != "new_series" else 0.0
        if excess >= max(MIN_EXCESS_USD, SIGMAS * chance):
            return fault, excess
        strength *= 1.15
    return None


def _chance(replicas: Floats, fault: Fault) -> float:
    """The standard deviation of what a stretch as long as the fault costs, around the days of the fault."""
    length = fault.end - fault.start
    total = np.cumsum(np.pad(replicas, ((0, 0), (1, 0))), axis=1)
    sums = total[:, length:] - total[:, :-length]
    near = sums[:, max(0, fault.start - 12) : fault.start + 12]
    return float(max(np.sqrt((near**2).mean()), 0.5 * np.sqrt((sums**2).mean())))


def _gap(rng: Rng, label: Label | None) -> npt.NDArray[np.bool_]:
    """Two to fourteen hours without telemetry, away from the incident."""
    hour = np.arange(HOURS)
    while True:
        begin, length = int(rng.integers(2 * DAY, HOURS - DAY)), int(rng.integers(2, 15))
        if label is None or begin + length < label.start - 6 or begin > label.end + 6:
            return (hour >= begin) & (hour < begin + length)
