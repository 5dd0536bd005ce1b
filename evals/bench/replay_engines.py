"""Every engine of the replay benchmark, by the job that it does."""

from collections.abc import Callable
from typing import NamedTuple

from evals.bench.replay_ours import Run, bursar_bucket, bursar_cache, bursar_price
from evals.bench.replay_peers import (
    duckdb_cache,
    duckdb_price,
    numpy_cache,
    numpy_price,
    polars_cache,
    polars_price,
    python_bucket,
    python_cache,
    python_price,
)
from evals.bench.replay_work import Work

SLOW = 10
"""Pure Python gets one in so many of the requests; what counts is its time for each."""


class Engine(NamedTuple):
    """One way to do one job. `prepare` loads the work into the engine's own form, which is not timed."""

    job: str
    name: str
    prepare: Callable[[Work], Run]
    every: int = 1
    module: str | None = None
    """What must be installed for it."""


ENGINES: tuple[Engine, ...] = (
    Engine("ttl_cache", "bursar", bursar_cache),
    Engine("ttl_cache", "duckdb", duckdb_cache, module="duckdb"),
    Engine("ttl_cache", "polars", polars_cache, module="polars"),
    Engine("ttl_cache", "numpy", numpy_cache),
    Engine("ttl_cache", "python", python_cache, every=SLOW),
    Engine("token_bucket", "bursar", bursar_bucket),
    Engine("token_bucket", "python", python_bucket, every=SLOW),
    Engine("price_swap", "bursar", bursar_price),
    Engine("price_swap", "duckdb", duckdb_price, module="duckdb"),
    Engine("price_swap", "polars", polars_price, module="polars"),
    Engine("price_swap", "numpy", numpy_price),
    Engine("price_swap", "python", python_price, every=SLOW),
)
"""Ours first in every job."""
