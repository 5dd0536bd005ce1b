"""Seeded, labelled usage series for tests of detectors; an independent, simpler relative of evals.world.

Noise: gamma-mixed Poisson request counts (so negative binomial) and lognormal cost per request.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from store.model.usage import CUBE_MEASURES, Cube, Window

Kind = Literal[
    "quiet",
    "spike",
    "level_shift",
    "ramp",
    "unit_cost",
    "cache_drop",
    "new_series",
    "growth",
    "weekly_job",
    "holiday",
    "sparse",
]
INCIDENTS: frozenset[Kind] = frozenset({"spike", "level_shift", "ramp", "unit_cost", "cache_drop", "new_series"})
START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""
_Floats = npt.NDArray[np.float64]


class Series(NamedTuple):
    """One hourly series and its label; `begin`, `end` are columns of the incident (half-open), None where it has none.

    All arrays have the length of the series: USD, requests, input tokens and those of them read from the cache.
    """

    kind: Kind
    usd: _Floats
    requests: _Floats
    tokens_in: _Floats
    cache_read: _Floats
    begin: int | None
    end: int | None
    excess_usd: float


def make_series(kind: Kind, seed: int, *, days: int = 28, usd_per_request: float = 0.05) -> Series:
    """One labelled series; incidents begin in the last eight days. Equal arguments give equal series."""
    rng = np.random.default_rng((seed, days))
    hours = days * 24
    hour = np.arange(hours)
    mean = rng.uniform(80, 400) * _season(rng, hour)
    if kind == "sparse":
        mean = np.where(rng.random(hours) < 0.06, mean * rng.uniform(0.3, 2.0, hours), 0.0)
    if kind == "growth":
        mean = mean * np.where(hour >= hours - rng.integers(96, 190), rng.uniform(1.2, 1.3), 1.0)
    if kind == "weekly_job":
        mean = mean + np.where(hour % 168 == rng.integers(0, 168), 6 * mean.mean(), 0.0)
    if kind == "holiday":
        day = days - rng.integers(2, 7)
        mean = np.where(hour // 24 == day, mean * 0.15, mean)
    begin = hours - int(rng.integers(60, 190)) if kind in INCIDENTS else None
    length = {"spike": int(rng.integers(1, 4)), "ramp": 60}.get(kind, int(rng.integers(24, 60)))
    length = hours if kind == "new_series" else length
    end = None if begin is None else min(hours, begin + length)
    normal = np.zeros(hours) if kind == "new_series" else mean
    mean, unit, hits = _inject(rng, kind, mean, begin, end)
    requests = rng.poisson(mean * rng.gamma(12.0, 1 / 12.0, hours)).astype(np.float64)
    normal_requests = requests * np.divide(normal, mean, out=np.ones(hours), where=mean > 0)
    tokens = requests * rng.normal(4000, 150, hours)
    read = tokens * hits * rng.uniform(0.97, 1.03, hours)
    price = (1 - 0.9 * hits) / (1 - 0.9 * hits[0])
    noise = np.exp(rng.normal(0, 1.0, hours) / np.sqrt(np.maximum(requests, 1.0)))
    usd = requests * usd_per_request * unit * price * noise
    excess = float((usd - normal_requests * usd_per_request * noise)[begin:end].sum()) if begin is not None else 0.0
    return Series(kind, usd, requests, tokens, read, begin, end, excess)


def make_cube(series: Mapping[tuple[str, ...], Series], dims: tuple[str, ...], *, start: datetime = START) -> Cube:
    """A cube of hourly rows from series by their dimension values; hours without requests have no row."""
    values: dict[str, list[str]] = {name: sorted({key[i] for key in series}) for i, name in enumerate(dims)}
    hours = max(len(one.usd) for one in series.values())
    codes = [
        np.tile([values[d].index(k) for d, k in zip(dims, key, strict=True)], (len(one.usd), 1))
        for key, one in series.items()
    ]
    bucket = np.concatenate([int(start.timestamp()) + 3600 * np.arange(len(one.usd)) for one in series.values()])
    columns = {
        "requests": [one.requests for one in series.values()],
        "cost_nanos": [one.usd * 1e9 for one in series.values()],
        "cache_read": [one.cache_read for one in series.values()],
        "input_uncached": [one.tokens_in - one.cache_read for one in series.values()],
    }
    measures = {
        name: np.rint(np.concatenate(columns[name])).astype(np.int64)
        if name in columns
        else np.zeros(len(bucket), np.int64)
        for name in CUBE_MEASURES
    }
    keep = measures["requests"] > 0
    stacked = np.concatenate(codes)
    cube = Cube(
        window=Window(start=start, end=start + timedelta(hours=hours)),
        bucket_seconds=3600,
        bucket=bucket.astype(np.int64),
        codes={name: stacked[:, i].astype(np.int32) for i, name in enumerate(dims)},
        values=values,
        measures=measures,
    )
    return cube.take(keep)


def _season(rng: np.random.Generator, hour: npt.NDArray[np.int64]) -> _Floats:
    """Office hours with a random peak and depth, quieter weekends; mean about 1."""
    day = 1 + rng.uniform(0.2, 0.8) * np.cos(2 * np.pi * (hour % 24 - rng.uniform(10, 17)) / 24)
    return np.where(hour // 24 % 7 >= 5, day * rng.uniform(0.3, 0.9), day)


def _inject(
    rng: np.random.Generator, kind: Kind, mean: _Floats, begin: int | None, end: int | None
) -> tuple[_Floats, _Floats, _Floats]:
    """Mean requests with the incident in them, factor on USD per request, cache-hit ratio."""
    unit, hits = np.ones(len(mean)), np.full(len(mean), 0.7 if kind == "cache_drop" else 0.3)
    if begin is None or end is None:
        return mean, unit, hits
    inside = slice(begin, end)
    mean = mean.copy()
    if kind == "spike":
        mean[inside] += mean.mean() * rng.uniform(3, 8)
    elif kind == "level_shift":
        mean[inside] *= rng.uniform(1.7, 3.0)
    elif kind == "ramp":
        mean[inside] *= 1 + np.linspace(0.05, rng.uniform(1.5, 3.0), end - begin)
    elif kind == "unit_cost":
        unit[inside] = rng.uniform(1.4, 2.5)
    elif kind == "cache_drop":
        hits[inside] = rng.uniform(0.0, 0.2)
    elif kind == "new_series":
        mean[:begin] = 0.0
    return mean, unit, hits
