"""Seeded leaf tables with planted causes, after the settings of the Squeeze data sets B0 to B4 and D.

Kept as there: a fault is one to three combinations of equal depth (one to three of four dimensions); heavy-tailed
leaves, some of them empty; five levels of forecast noise; additive measures and ratios. Of our own: rises as well as
drops, causes that cross each other, and a sampling noise of counts and ratios that small leaves have more of.

Source: Li et al., "Generic and robust localization of multi-dimensional root causes", ISSRE 2019 (settings); Kalander,
"RiskLoc", 2022 (Weibull leaves, share of empty leaves, severities).
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Measure = Literal["additive", "counts", "ratio"]
MEASURES: tuple[Measure, ...] = ("additive", "counts", "ratio")
"""Amounts such as USD; whole numbers such as requests, with a Poisson noise of their own; means over requests."""

NOISES = (0.008, 0.03, 0.06, 0.09, 0.12)
"""Relative forecast error of a normal leaf, about that of B0, B1, B2, B3 and B4."""

SIZES = (10, 12, 10, 8)
SAMPLING = 25.0
"""A ratio's leaf of this weight has twice the noise variance of a large one."""

_Floats = npt.NDArray[np.float64]
_Codes = npt.NDArray[np.int64]


class Setting(NamedTuple):
    """What is planted: how many causes, in how many dimensions each, under how much noise, in which measure."""

    measure: Measure
    noise: float
    depth: int
    causes: int


class Spike(NamedTuple):
    """A leaf table with its truth: codes by dimension (value i of dimension d is called f"{d}{i}"), n numbers each."""

    setting: Setting
    codes: dict[str, _Codes]
    actual: _Floats
    expected: _Floats
    weight: _Floats | None
    truth: list[dict[str, str]]


def settings(measures: tuple[Measure, ...] = MEASURES, noises: tuple[float, ...] = NOISES) -> Iterator[Setting]:
    """Every setting: measure x noise x one to three dimensions x one to three causes."""
    for measure in measures:
        for noise in noises:
            for depth in (1, 2, 3):
                for causes in (1, 2, 3):
                    yield Setting(measure, noise, depth, causes)


def make_spike(setting: Setting, seed: int, *, sizes: tuple[int, ...] = SIZES) -> Spike:
    """One fault; equal arguments give equal tables."""
    rng = np.random.default_rng((seed, setting.depth, setting.causes, round(setting.noise * 1e4), len(setting.measure)))
    names = [chr(ord("a") + i) for i in range(len(sizes))]
    grid = np.indices(sizes).reshape(len(sizes), -1).astype(np.int64)
    size = rng.weibull(rng.uniform(0.5, 1.0), grid.shape[1]) * 100
    size[rng.random(len(size)) < rng.uniform(0.0, 0.25)] = 0.0
    planted = _plant(rng, grid, size, setting)
    factor = np.ones(len(size))
    rises = rng.random() < 0.6
    for rows in planted.values():
        factor[rows] *= 1 + rng.uniform(0.3, 4.0) if rises else max(0.0, 1 - rng.uniform(0.2, 1.0) - setting.noise)
    truth = [{names[d]: f"{names[d]}{value}" for d, value in cause} for cause in planted]
    codes = dict(zip(names, grid, strict=True))
    if setting.measure != "ratio":
        actual = size * factor * np.maximum(0.0, 1 + setting.noise * rng.standard_normal(len(size)))
        if setting.measure == "counts":
            actual = rng.poisson(actual).astype(np.float64)
        return Spike(setting, codes, actual, size, None, truth)
    level = np.exp(sum(rng.normal(0, 0.4, n)[grid[d]] for d, n in enumerate(sizes)))
    spread = setting.noise * np.sqrt(1 + SAMPLING / np.maximum(size, 1.0))
    noisy = np.maximum(0.0, 1 + spread * rng.standard_normal(len(size)))
    return Spike(setting, codes, level * factor * noisy, level, size, truth)


def _plant(
    rng: np.random.Generator, grid: _Codes, size: _Floats, setting: Setting
) -> dict[tuple[tuple[int, int], ...], npt.NDArray[np.bool_]]:
    """Distinct combinations of the setting's depth, each with the leaves that it covers, one at least not empty."""
    found: dict[tuple[tuple[int, int], ...], npt.NDArray[np.bool_]] = {}
    while len(found) < setting.causes:
        dims = sorted(rng.choice(len(grid), setting.depth, replace=False).tolist())
        cause = tuple((d, int(rng.integers(grid[d].max() + 1))) for d in dims)
        rows = np.all([grid[d] == value for d, value in cause], axis=0)
        if (size[rows] > 0).any():
            found[cause] = rows
    return found
