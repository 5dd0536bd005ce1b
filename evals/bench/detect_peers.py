"""The peers of the detection benchmark that need NumPy alone, and the list of all peers."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evals.bench import detect_packages as packages
from evals.bench.detect_tuning import Scores, unit_cost
from evals.bench.series_world import World
from evals.bench.series_world_shapes import DAY, HOURS, WEEK, Floats


class Peer(NamedTuple):
    """A rival: from a matrix (series, HOURS) to scores of the same shape, from earlier hours and this one only.

    `package` is what must be installed. Slow peers are run on fewer series: one in `thin` of the others'.
    """

    name: str
    score: Callable[[Floats], Floats]
    package: str | None = None
    thin: int = 1


def scores_of(peer: Peer, world: World) -> Scores:
    """The scores of both channels; a hour without history scores 0."""
    spend, unit = peer.score(world.cost), peer.score(unit_cost(world))
    return Scores(np.nan_to_num(spend), np.nan_to_num(unit))


def seasonal_naive(values: Floats) -> Floats:
    """This hour less the mean of the same hour in the two weeks before, in standard deviations of such differences."""
    change = np.zeros_like(values)
    change[:, WEEK : 2 * WEEK] = values[:, WEEK : 2 * WEEK] - values[:, :WEEK]
    change[:, 2 * WEEK :] = values[:, 2 * WEEK :] - (values[:, WEEK:-WEEK] + values[:, : -2 * WEEK]) / 2
    score = np.zeros_like(values)
    for begin in range(WEEK + DAY, HOURS, DAY):
        past = change[:, WEEK:begin]
        spread = np.maximum(past.std(axis=1, keepdims=True), 1e-3 * np.abs(past).mean(axis=1, keepdims=True) + 1e-9)
        score[:, begin : begin + DAY] = change[:, begin : begin + DAY] / spread
    return score


def rolling_z(values: Floats) -> Floats:
    """Standard deviations above the mean of the last seven days."""
    padded = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    squares = np.cumsum(np.pad(values**2, ((0, 0), (1, 0))), axis=1)
    score = np.zeros_like(values)
    mean = (padded[:, WEEK:-1] - padded[:, : -WEEK - 1]) / WEEK
    spread = np.sqrt(np.maximum((squares[:, WEEK:-1] - squares[:, : -WEEK - 1]) / WEEK - mean**2, 0))
    score[:, WEEK:] = (values[:, WEEK:] - mean) / np.maximum(spread, 1e-3 * mean + 1e-9)
    return score


def ewma(values: Floats) -> Floats:
    """Standard deviations above an exponentially weighted mean with a half-life of about a day."""
    keep = 0.5 ** (1 / DAY)
    mean, square = values[:, 0].copy(), np.zeros(len(values))
    score = np.zeros_like(values)
    for hour in range(1, HOURS):
        off = values[:, hour] - mean
        score[:, hour] = off / np.maximum(np.sqrt(square), 1e-3 * mean + 1e-9)
        mean += (1 - keep) * off
        square = keep * (square + (1 - keep) * off**2)
    return score


PEERS = (
    Peer("seasonal naive", seasonal_naive),
    Peer("rolling z", rolling_z),
    Peer("EWMA", ewma),
    Peer("statsforecast AutoETS", packages.auto_ets, "statsforecast", 8),
    Peer("statsforecast MSTL", packages.mstl, "statsforecast", 8),
    Peer("statsmodels Holt-Winters", packages.holt_winters, "statsmodels", 4),
    Peer("prophet", packages.prophet, "prophet", 4),
    Peer("pyod ECOD", packages.ecod, "pyod", 2),
    Peer("pyod SpectralResidual", packages.spectral_residual, "pyod", 2),
    Peer("adtk LevelShift", packages.level_shift, "adtk", 1),
    Peer("river HalfSpaceTrees", packages.half_space_trees, "river", 4),
)
