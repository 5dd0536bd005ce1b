"""How fast the streaming detector is: one tick of many series, and the daily refit, beside NumPy doing the same."""

from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import numpy as np

from agent.detectors.noise import REACH_DAYS, worst_days
from agent.detectors.refit import refit
from agent.detectors.series import Ints, Matrix, SeriesSet
from agent.detectors.settings import DetectorSettings
from agent.detectors.stream import Plan, Stream, plan
from evals.bench.series_world import World, make_world

_WORLD = 200
_HOURS = REACH_DAYS * 24
_TICKS = 24
_CHUNK = 2_000
TICK_MS = 5.0
REFIT_RATIO = 7.0

Clock = Callable[[], float]


class Speed(NamedTuple):
    """CPU seconds of one thing, median and extremes over the repeats."""

    what: str
    method: str
    cpu_s: float
    spread: tuple[float, float]


class Target(NamedTuple):
    """What was asked, what came out."""

    name: str
    value: float
    target: float
    ok: bool


def measure(*, series: int, repeats: int, cpu: Clock) -> tuple[list[Speed], list[Target]]:
    """All rows and targets for so many series, those of a small labelled world again and again; methods take turns."""
    settings, few = DetectorSettings(), _history(make_world(_WORLD, part="tuning", seed=99))
    index = np.arange(series) % _WORLD
    today, past = plan(few, settings)
    wide = _widened(today, index)
    arrived = np.ascontiguousarray(few.usd[:, -_TICKS:].T[:, index])
    known = np.where(np.arange(_HOURS)[None, :] >= few.first[:, None], few.usd, np.inf)
    history = np.ascontiguousarray(known[index].T)
    took: dict[tuple[str, str], list[float]] = {}
    for turn in range(repeats + 1):
        for what, method, work in (
            ("tick", "bursar", _ticks(wide, past[:, index], arrived, settings)),
            ("tick", "NumPy", _numpy_ticks(wide, past[:, index], arrived, settings)),
            ("refit", "bursar", lambda: refit(history, windows=settings.windows, buckets_per_day=24)),
            ("refit", "NumPy, in chunks", lambda: _numpy_refit(few, index, settings)),
            ("one read of the history", "NumPy", lambda: history.max(axis=1)),
        ):
            begun = cpu()
            work()
            # The first turn compiles and warms up.
            if turn:
                took.setdefault((what, method), []).append((cpu() - begun) / (_TICKS if what == "tick" else 1))
    rows = [Speed(what, method, median(s), (min(s), max(s))) for (what, method), s in took.items()]
    tick_ms = median(took["tick", "bursar"]) * 1000 * 100_000 / series
    ratio = median(took["refit", "NumPy, in chunks"]) / median(took["refit", "bursar"])
    return rows, [
        Target("CPU ms of a tick over 100,000 series", round(tick_ms, 3), TICK_MS, tick_ms <= TICK_MS),
        Target("refit, times faster than NumPy in chunks", round(ratio, 2), REFIT_RATIO, ratio >= REFIT_RATIO),
    ]


def _history(world: World) -> SeriesSet:
    active = world.cost > 0
    return SeriesSet(
        group_by=(),
        keys=[() for _ in world.cost],
        start_s=0,
        bucket_seconds=3600,
        known_from=0,
        first=np.where(active.any(axis=1), active.argmax(axis=1), world.cost.shape[1]),
        usd=world.cost,
        requests=world.requests,
        tokens_in=world.tokens,
        cache_read=world.cached,
    )


def _widened(today: Plan, index: Ints) -> Plan:
    return Plan(
        baseline=np.ascontiguousarray(today.baseline[:, index]),
        warm=np.ascontiguousarray(today.warm[:, index]),
        threshold=np.ascontiguousarray(today.threshold[:, :, index]),
        known=np.ascontiguousarray(today.known[:, index]),
    )


def _ticks(wide: Plan, past: Matrix, arrived: Matrix, settings: DetectorSettings) -> Callable[[], None]:
    stream = Stream(wide, past, settings)

    def day() -> None:
        for usd in arrived:
            stream.tick(usd)

    return day


def _numpy_ticks(wide: Plan, past: Matrix, arrived: Matrix, settings: DetectorSettings) -> Callable[[], None]:
    """The same verdicts by array operations: running totals in a ring, one row at a time."""
    longest = settings.windows[-1]
    ring = np.zeros((longest + 1, past.shape[1]))
    ring[1:] = np.cumsum(past[-longest:], axis=0)

    def day() -> None:
        at = longest
        for bucket, usd in enumerate(arrived):
            excess = np.where(wide.known[bucket], usd - wide.baseline[bucket], 0.0)
            after = (at + 1) % len(ring)
            ring[after] = ring[at] + excess
            over = [(ring[after] - ring[(after - window) % len(ring)]) for window in settings.windows]
            ratio = np.stack(over) / wide.threshold[bucket]
            np.argmax(ratio, axis=0)
            ratio.max(axis=0)
            np.greater(excess, wide.warm[bucket])
            at = after

    return day


def _numpy_refit(few: SeriesSet, index: Ints, settings: DetectorSettings) -> None:
    padded = np.concatenate([few.usd, np.zeros((len(few.usd), 24))], axis=1)
    for low in range(0, len(index), _CHUNK):
        some = index[low : low + _CHUNK]
        worst_days(padded[some], first=few.first[some], windows=settings.windows, buckets_per_day=24, start=_HOURS)
