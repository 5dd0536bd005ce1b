"""Sums over a scope and a window of 5-minute buckets."""

from math import sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from store.model.ports import Warehouse
from store.model.usage import Scope, Window

BUCKET_SECONDS = 300


class Totals(NamedTuple):
    """Sums over a window; `relative_error`: the standard error of the mean spend of 5 minutes, over that mean."""

    attempts: int
    errors: int
    refused: int
    retries: int
    unpriced: int
    nanos: int
    cash_nanos: int
    latency_ms: int
    relative_error: float


def totals(warehouse: Warehouse, window: Window, scope: Scope) -> Totals:
    """The scope's sums over the window, whose ends are whole 5 minutes."""
    cube = warehouse.cube(window, bucket_seconds=BUCKET_SECONDS, dims=(), scope=scope)
    slots = (cube.bucket - int(window.start.timestamp())) // BUCKET_SECONDS
    return Totals(
        attempts=cube.total("requests"),
        errors=cube.total("errors"),
        refused=cube.total("refused"),
        retries=cube.total("retries"),
        unpriced=cube.total("unpriced"),
        nanos=cube.total("cost_nanos"),
        cash_nanos=cube.total("cash_nanos"),
        latency_ms=cube.total("latency_ms"),
        relative_error=_relative_error(window, slots, cube.measures["cost_nanos"]),
    )


class Sibling(NamedTuple):
    """What a sibling scope spent and asked."""

    nanos: int
    requests: int


def by_sibling(warehouse: Warehouse, window: Window, dimension: str, around: Scope) -> dict[str, Sibling]:
    """Spend and requests by value of the dimension, within the scope around."""
    cube = warehouse.cube(window, bucket_seconds=BUCKET_SECONDS, dims=(dimension,), scope=around)
    sums = np.zeros((2, len(cube.values[dimension])), dtype=np.int64)
    for at, measure in enumerate(("cost_nanos", "requests")):
        np.add.at(sums[at], cube.codes[dimension], cube.measures[measure])
    return {name: Sibling(*map(int, of)) for name, of in zip(cube.values[dimension], sums.T, strict=True)}


def _relative_error(window: Window, slots: npt.NDArray[np.int64], nanos: npt.NDArray[np.int64]) -> float:
    """Over the window's 5-minute buckets, empty ones too; one bucket tells nothing of its spread: 1."""
    spend = np.zeros(max(1, int(window.seconds // BUCKET_SECONDS)), dtype=np.int64)
    np.add.at(spend, slots, nanos)
    mean = float(spend.mean())
    if len(spend) < 2 or mean <= 0:
        return 1.0
    return float(spend.std(ddof=1)) / sqrt(len(spend)) / mean
