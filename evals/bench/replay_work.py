"""The work of the replay benchmark: seeded requests, and what an engine makes of them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

TTL_US = 300 * 10**6
PER_MINUTE, BURST = 1200, 200
ABOVE = 200_000
OWN = ((5_000_000_000, 500_000_000, 6_250_000_000, 10_000_000_000, 25_000_000_000),
       (10_000_000_000, 1_000_000_000, 12_500_000_000, 20_000_000_000, 37_500_000_000))  # fmt: skip
OTHER = ((2_999_999_999, 300_000_000, 3_750_000_001, 6_000_000_000, 15_000_000_000),
         (6_000_000_000, 600_000_000, 7_500_000_000, 12_000_000_000, 22_500_000_000))  # fmt: skip
"""Nano-USD per million tokens by class, up to ABOVE input tokens and beyond; odd ones make halves to round."""

_APPS, _SESSIONS_PER_APP, _DAY_US = 2000, 150, 86_400 * 10**6
_OWN_SHARE = 0.8


class Work(NamedTuple):
    """Requests in order of time, as columns.

    Three breakpoints each: the app's system prompt, its tools, the session's history. Ids are dense and belong
    together as prefixes do: who has the longer one has the shorter ones. `mine`: those of the model that is swapped.
    """

    at: Ints
    starts: Ints
    blocks: Ints
    tokens: Ints
    least: Ints
    counts: tuple[npt.NDArray[np.int32], ...]
    mine: npt.NDArray[np.bool_]

    @property
    def rows(self) -> int:
        """How many requests."""
        return len(self.at)

    def head(self, rows: int) -> "Work":
        """The first requests only, for an engine that would take minutes over all."""
        marks = int(self.starts[min(rows, self.rows)])
        return Work(
            self.at[:rows],
            self.starts[: rows + 1],
            self.blocks[:marks],
            self.tokens[:marks],
            self.least[:rows],
            tuple(counts[:rows] for counts in self.counts),
            self.mine[:rows],
        )


class Answer(NamedTuple):
    """What every engine must agree on, exactly."""

    numbers: tuple[int, ...]


def make_work(rows: int, *, seed: int = 20_261_125) -> Work:
    """A day of traffic: few apps have most of it; some of the system prompts (600 to 6,000 tokens) are too short."""
    draw = np.random.default_rng(seed)
    # Strictly ascending, so that no engine has to choose an order.
    at = np.sort(draw.integers(0, max(_DAY_US, rows), rows)) + np.arange(rows)
    app = (draw.zipf(1.3, rows) - 1) % _APPS
    session = draw.integers(0, _SESSIONS_PER_APP, rows)
    system, tools = draw.integers(600, 6000, _APPS), draw.integers(500, 9000, _APPS)
    history = draw.integers(200, 30_000, _APPS * _SESSIONS_PER_APP)
    conversation = app * _SESSIONS_PER_APP + session
    blocks = np.stack([app, _APPS + app, 2 * _APPS + conversation], axis=1)
    sizes = np.stack([system[app], tools[app], history[conversation]], axis=1).cumsum(axis=1)
    least = np.array([1024, 2048, 4096])[app % 3]
    counts = tuple(draw.integers(0, high, rows).astype(np.int32) for high in (60_000, 120_000, 30_000, 20_000, 4_000))
    return Work(
        at=at.astype(np.int64),
        starts=3 * np.arange(rows + 1, dtype=np.int64),
        blocks=blocks.reshape(-1).astype(np.int64),
        tokens=sizes.reshape(-1).astype(np.int64),
        least=least.astype(np.int64),
        counts=counts,
        mine=draw.random(rows) < _OWN_SHARE,
    )
