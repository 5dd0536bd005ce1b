"""What one request of a series takes: USD, tokens by kind, cache hits, reasoning, attempts; now and usually.

These ratios say why spend may move. They raise no alert of their own: unit cost and cache hits are judged in USD
(unit_cost.py, cache_ratio.py), and what the others cost shows there and in spend.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from agent.detectors.series import Ints, Matrix
from store.model.money import NANOS_PER_USD
from store.model.usage import Cube, Scope, Window

NOW = timedelta(days=1)
USUAL = timedelta(days=14)

Sums = Mapping[str, Matrix]


class Rate(NamedTuple):
    """One ratio in the last 24 hours, and in the 14 days before them; None where there was nothing to divide by."""

    now: float | None
    usual: float | None


def _tokens_in(of: Sums) -> Matrix:
    return of["input_uncached"] + of["cache_read"] + of["cache_write_5m"] + of["cache_write_1h"]


def _served(of: Sums) -> Matrix:
    return of["requests"] - of["refused"]


RATES: dict[str, tuple[Callable[[Sums], Matrix], Callable[[Sums], Matrix]]] = {
    "usd_per_request": (lambda of: of["cost_nanos"] / NANOS_PER_USD, _served),
    "input_tokens_per_request": (_tokens_in, _served),
    "output_tokens_per_request": (lambda of: of["output"], _served),
    "cache_hit_ratio": (lambda of: of["cache_read"], _tokens_in),
    "reasoning_share": (lambda of: of["reasoning"], lambda of: of["output"]),
    "attempts_per_success": (_served, lambda of: _served(of) - of["errors"]),
}
"""Each over and under, from sums of CUBE_MEASURES. Requests that a remedy of ours refused are left out."""


def unit_rates(cube: Cube, group_by: tuple[str, ...], *, until: datetime) -> dict[Scope, dict[str, Rate]]:
    """All rates of all series of one group-by that made a request in the last 15 days before `until`."""
    now = cube.within(Window(start=until - NOW, end=until))
    usual = cube.within(Window(start=until - NOW - USUAL, end=until - NOW))
    latest, before = _sums(now, group_by), _sums(usual, group_by)
    return {
        scope: {
            name: Rate(_quotient(latest.get(scope), *rate), _quotient(before.get(scope), *rate))
            for name, rate in RATES.items()
        }
        for scope in {**before, **latest}
    }


def _quotient(sums: Sums | None, over: Callable[[Sums], Matrix], under: Callable[[Sums], Matrix]) -> float | None:
    if sums is None or float(under(sums)) <= 0:
        return None
    return float(over(sums)) / float(under(sums))


def _sums(cube: Cube, group_by: tuple[str, ...]) -> dict[Scope, Sums]:
    code: Ints = np.zeros(len(cube.bucket), dtype=np.int64)
    for name in group_by:
        code = code * max(1, len(cube.values[name])) + cube.codes[name]
    _, example, series = np.unique(code, return_index=True, return_inverse=True)
    sums = {
        name: np.bincount(series, weights=values.astype(np.float64), minlength=len(example))
        for name, values in cube.measures.items()
    }
    keys = [{name: cube.values[name][int(cube.codes[name][row])] for name in group_by} for row in example]
    return {Scope.of(key): {name: sums[name][i] for name in sums} for i, key in enumerate(keys)}
