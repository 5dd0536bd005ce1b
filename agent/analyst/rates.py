"""What a token of each class really cost in each leaf: list rates, fitted to the money that was spent."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.analyst.leaves import Floats, Leaves
from store.model.prices import Price, PriceKey, PriceTable
from store.model.usage import TOKEN_CLASSES

USUAL_RATES = (1.0, 0.1, 1.25, 2.0, 5.0)
"""Rates relative to uncached input where no price is known: cache reads 0.1, writes 1.25 and 2, output 5."""


class Rated(NamedTuple):
    """One side's rates per leaf, in nano-USD per token (rows in the order of TOKEN_CLASSES) and per request.

    tokens x rates x tier_level + requests x per_request is the leaf's cost.
    """

    rates: Floats
    tier_level: Floats
    per_request: Floats


def rate(leaves: Leaves, prices: PriceTable, *, before_us: int, now_us: int) -> tuple[Rated, Rated]:
    """Fit list rates at the two moments to what each leaf cost: (before, now).

    List rates give the proportions between the classes. A cost above or below list is the `tier_level` where the
    price table knows context tiers for the model, and part of the rates for all others. A leaf without spend on one
    side has list level where there are tiers, else the other side's level.
    """
    keys = [
        PriceKey(leaves.values["provider"][p], leaves.values["model"][m])
        for p, m in zip(leaves.codes["provider"], leaves.codes["model"], strict=True)
    ]
    old = [prices.price_at(key, before_us) for key in keys]
    new = [prices.price_at(key, now_us) for key in keys]
    listed_old = _listed([o or n for o, n in zip(old, new, strict=True)])
    listed_new = _listed([n or o for o, n in zip(old, new, strict=True)])
    tiered = np.array([bool(o and o.tiers) or bool(n and n.tiers) for o, n in zip(old, new, strict=True)], dtype=bool)
    level_old, flat_old = _fit(listed_old, leaves.before)
    level_new, flat_new = _fit(listed_new, leaves.now)
    # A tier that was not met on one side is new to it: there, list is the level.
    idle_old, idle_new = np.where(tiered, 1.0, level_new), np.where(tiered, 1.0, level_old)
    return (
        _rated(listed_old, _either(level_old, idle_old), _either(flat_old, flat_new), tiered),
        _rated(listed_new, _either(level_new, idle_new), _either(flat_new, flat_old), tiered),
    )


def _listed(prices: Sequence[Price | None]) -> Floats:
    rows = [USUAL_RATES if price is None else tuple(r / 10**6 for r in price.rates.by_class()) for price in prices]
    return np.array(rows, dtype=np.float64).T


def _fit(listed: Floats, sums: dict[str, Floats]) -> tuple[Floats, Floats]:
    """(level, flat cost per request) of each leaf; NaN where the side does not tell."""
    at_list = (np.stack([sums[name] for name in TOKEN_CLASSES]) * listed).sum(axis=0)
    requests = np.where(sums["requests"] > 0, sums["requests"], 1.0)
    level = np.divide(sums["cost_nanos"], at_list, out=np.full(len(at_list), np.nan), where=at_list > 0)
    flat = np.where(at_list > 0, 0.0, sums["cost_nanos"] / requests)
    flat[(at_list <= 0) & (sums["requests"] == 0) & (sums["cost_nanos"] == 0)] = np.nan
    return level, flat


def _either(mine: Floats, theirs: Floats) -> Floats:
    return np.where(np.isnan(mine), np.where(np.isnan(theirs), 0.0, theirs), mine)


def _rated(listed: Floats, level: Floats, flat: Floats, tiered: npt.NDArray[np.bool_]) -> Rated:
    return Rated(rates=listed * np.where(tiered, 1.0, level), tier_level=np.where(tiered, level, 1.0), per_request=flat)
