"""Shapes of normal usage for the labelled series: season, level, and what one draw of the noise looks like."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

HOURS = 672
DAY, WEEK = 24, 168
Floats = npt.NDArray[np.float64]
Rng = np.random.Generator


class Shape(NamedTuple):
    """The process behind one series, before chance: arrays of length HOURS, and the parameters of its noise.

    `calls` is the mean number of requests per hour, `tokens` their mean input tokens, `cached` the share of those read
    from a cache, `usd` the price of a request of `usual_tokens` without a cache.
    """

    noise: str
    spread: float
    memory: float
    usual_tokens: float
    call_spread: float
    calls: Floats
    tokens: Floats
    cached: Floats
    usd: Floats

    def mean_cost(self) -> Floats:
        """Expected USD per hour."""
        return self.calls * self.usd * self.tokens / self.usual_tokens * (1 - 0.9 * self.cached)


class Draw(NamedTuple):
    """What was metered: USD, requests, input tokens and those of them from a cache, per hour."""

    cost: Floats
    requests: Floats
    tokens: Floats
    cached: Floats


def draw(shape: Shape, rng: Rng) -> Draw:
    """One draw of the noise."""
    drift = np.exp(_walk(rng, shape.memory))
    requests = NOISES[shape.noise](rng, shape.calls * drift, shape.spread)
    few = np.sqrt(np.maximum(requests, 1.0))
    tokens = requests * shape.tokens * np.exp(rng.normal(0, shape.call_spread / few) + _walk(rng, 0.02))
    cached = tokens * np.clip(shape.cached * np.exp(rng.normal(0, 0.04, HOURS)), 0, 0.97)
    dear = np.exp(rng.normal(0, 0.5 * shape.call_spread / few) + rng.normal(0, 0.02, HOURS))
    cost = shape.usd / shape.usual_tokens * (tokens - 0.9 * cached) * dear
    return Draw(cost, requests, tokens, cached)


def _walk(rng: Rng, sd: float) -> Floats:
    """A level that wanders and comes back within about a day; standard deviation `sd`, mean of its exponential 1."""
    keep = np.exp(-1 / 20)
    steps = rng.normal(0, sd * np.sqrt(1 - keep**2), HOURS)
    walk = np.empty(HOURS)
    at = rng.normal(0, sd)
    for hour in range(HOURS):
        at = keep * at + steps[hour]
        walk[hour] = at
    return walk - sd**2 / 2


def _poisson(rng: Rng, mean: Floats, _spread: float) -> Floats:
    return rng.poisson(mean).astype(np.float64)


def _negative_binomial(rng: Rng, mean: Floats, spread: float) -> Floats:
    return rng.poisson(mean * rng.gamma(1 / spread**2, spread**2, HOURS)).astype(np.float64)


def _lognormal(rng: Rng, mean: Floats, spread: float) -> Floats:
    return np.rint(mean * np.exp(rng.normal(-(spread**2) / 2, spread, HOURS)))


def _bursts(rng: Rng, mean: Floats, spread: float) -> Floats:
    """Sessions: a Poisson number of them per hour, each with a geometric number of requests."""
    size = 2 + 40 * spread
    sessions = rng.poisson(mean / size)
    return np.where(sessions > 0, sessions + rng.negative_binomial(np.maximum(sessions, 1), 1 / size), 0).astype(float)


def _zero_inflated(rng: Rng, mean: Floats, spread: float) -> Floats:
    """Idle stretches of a few hours; when awake it makes up for them."""
    idle = np.zeros(HOURS, dtype=np.bool_)
    for begin in np.flatnonzero(rng.random(HOURS) < 0.3 * spread):
        idle[begin : begin + rng.geometric(0.4)] = True
    awake = mean / max(0.2, 1 - idle.mean())
    return np.where(idle, 0, rng.poisson(awake * rng.gamma(12, 1 / 12, HOURS))).astype(np.float64)


def _heavy(rng: Rng, mean: Floats, spread: float) -> Floats:
    """A Pareto tail, cut at six times the mean."""
    alpha = 2.2 + 1 / (2 * spread)
    factor = np.minimum((rng.pareto(alpha, HOURS) + 1) * (alpha - 1) / alpha, 6)
    return rng.poisson(mean * factor).astype(np.float64)


NOISES: dict[str, Callable[[Rng, Floats, float], Floats]] = {
    "poisson": _poisson,
    "negative_binomial": _negative_binomial,
    "lognormal": _lognormal,
    "bursts": _bursts,
    "zero_inflated": _zero_inflated,
    "heavy_tail": _heavy,
}


def _hour_of_week(rng: Rng, hour: Floats) -> Floats:
    profile = np.exp(rng.normal(0, 0.25, WEEK)) * (0.1 + _bell(rng, np.arange(WEEK, dtype=np.float64) % DAY))
    days = rng.uniform(0.7, 1.2, 7)
    days[5:] *= rng.uniform(0.1, 0.8)
    season: Floats = (profile * np.repeat(days, DAY))[hour.astype(int) % WEEK]
    return season


def _daily(rng: Rng, hour: Floats) -> Floats:
    angle = 2 * np.pi * (hour - rng.uniform(0, DAY)) / DAY
    return np.exp(rng.uniform(0.3, 1.4) * np.cos(angle) + rng.uniform(0, 0.4) * np.cos(2 * angle + rng.uniform(0, 6)))


def _weekday(rng: Rng, hour: Floats) -> Floats:
    local = hour + rng.integers(0, DAY)
    begin, length = rng.integers(6, 10), rng.integers(8, 13)
    office = (local % DAY >= begin) & (local % DAY < begin + length) & (local // DAY % 7 < 5)
    return np.where(office, 1.0, rng.uniform(0.0, 0.05))


def _flat(_rng: Rng, hour: Floats) -> Floats:
    return np.ones(len(hour))


def _nightly(rng: Rng, hour: Floats) -> Floats:
    begin, length = rng.integers(0, DAY), rng.integers(2, 6)
    return np.where((hour - begin) % DAY < length, 1.0, rng.uniform(0.0, 0.2))


def _clock_change(rng: Rng, hour: Floats) -> Floats:
    """A season of people whose clocks change one night."""
    at = float(DAY * rng.integers(5, 27))
    moved = hour + np.where(hour >= at, rng.choice([-1.0, 1.0]), 0.0)
    return _hour_of_week(rng, moved) if rng.random() < 0.5 else _daily(rng, moved)


def _bell(rng: Rng, hour: Floats) -> Floats:
    away = np.abs((hour - rng.uniform(0, DAY) + 12) % DAY - 12)
    return np.exp(-((away / rng.uniform(3, 6)) ** 2))


SEASONS: dict[str, tuple[float, Callable[[Rng, Floats], Floats]]] = {
    "hour_of_week": (0.3, _hour_of_week),
    "daily": (0.2, _daily),
    "weekday": (0.15, _weekday),
    "none": (0.2, _flat),
    "nightly": (0.05, _nightly),
    "clock_change": (0.1, _clock_change),
}


def make_shape(rng: Rng) -> tuple[Shape, dict[str, str]]:
    """The process of one normal series, and which families it was made of."""
    season = str(rng.choice(list(SEASONS), p=[weight for weight, _ in SEASONS.values()]))
    noise = str(rng.choice(list(NOISES)))
    hour = np.arange(HOURS, dtype=np.float64)
    profile = SEASONS[season][1](rng, hour)
    trend = np.exp((rng.uniform(-0.12, 0.12) if rng.random() < 0.2 else rng.normal(0, 0.02)) * hour / WEEK)
    usd_per_hour = np.clip(rng.lognormal(np.log(12), 1.2), 1.5, 2000)
    usd_per_call = np.clip(rng.lognormal(np.log(0.03), 1.2), 0.002, 2)
    share = 0.0 if rng.random() < 0.4 else rng.uniform(0.3, 0.85)
    tokens = rng.lognormal(np.log(3000), 0.8)
    shape = Shape(
        noise=noise,
        spread=rng.uniform(0.08, 0.5),
        memory=rng.choice([0.0, 0.05, 0.12]),
        usual_tokens=tokens,
        call_spread=rng.uniform(0.3, 1.5),
        calls=usd_per_hour / usd_per_call * profile / profile.mean() * trend,
        tokens=np.full(HOURS, tokens),
        cached=np.full(HOURS, share),
        usd=np.full(HOURS, usd_per_call / (1 - 0.9 * share)),
    )
    return shape, {"season": season, "noise": noise}


def with_cache(rng: Rng, shape: Shape) -> Shape:
    """The same series at the same cost, with most of its input read from a cache."""
    share = rng.uniform(0.45, 0.85)
    usd = shape.usd * (1 - 0.9 * shape.cached) / (1 - 0.9 * share)
    return shape._replace(cached=np.full(HOURS, share), usd=usd)
