"""Why spend changed, in exact parts: the driver split."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.analyst.cents import whole_cents
from agent.analyst.leaves import Codes, Floats, Leaves, group_rows, total_by
from agent.analyst.rates import Rated, rate
from agent.analyst.shapley import shapley
from store.model.incident import Driver, DriverShare
from store.model.money import to_cents
from store.model.prices import PriceTable
from store.model.usage import TOKEN_CLASSES, TOTAL, Scope

DRIVER_DIMENSIONS = ("team", "app", "provider", "model", "service_tier", "speed")
DRIVER_MEASURES = ("requests", *TOKEN_CLASSES, "reasoning", "cost_nanos")

FACTORS: tuple[Driver, ...] = (
    "request_volume",
    "model_mix",
    "tier_speed",
    "input_per_request",
    "tokenizer",
    "cache_mix",
    "output_per_request",
    "reasoning",
    "price",
)
"""The drivers that change together, in the order in which the split holds them."""

Workload = tuple[str, str]
"""(team, app)."""


class Amounts(NamedTuple):
    """The incident's money in nano-USD: its excess and expected spend, and what was spent in the reference."""

    excess: int
    baseline: int
    reference: int


class Moments(NamedTuple):
    """When the window and the reference lie, in microseconds since the epoch: prices are looked up there."""

    now_us: int
    before_us: int


class _Side(NamedTuple):
    """One side's factors, one value per leaf (cache shares and rates: one row per class)."""

    workload_requests: Floats
    model_share: Floats
    tier_share: Floats
    tier_level: Floats
    input: Floats
    tokenizer: Floats
    input_mix: Floats
    output: Floats
    reasoning: Floats
    rates: Floats
    per_request: Floats


def split_drivers(
    leaves: Leaves,
    *,
    amounts: Amounts,
    prices: PriceTable,
    moments: Moments,
    tokens_per_char: Mapping[Workload, tuple[float, float]] | None = None,
    part: Scope = TOTAL,
) -> tuple[DriverShare, ...]:
    """Split an excess into driver shares at whole cents that add up to `to_cents(amounts.excess)` exactly.

    Inside each workload (team, app), spend is requests x model shares x tier and speed shares x cost per request,
    and cost per request is input (characters x tokens per character) x the mix of cache classes x rates, plus
    visible output and reasoning x rate. Each factor's share is its Shapley value over all 2^9 mixtures of old and
    new factors, so that no order is preferred; LMDI would give the same symmetry, but cannot take the zeros that
    a new model, a first cache write or a free call bring. `expected_change` is reference - baseline, and `residual`
    what the rows do not say: an incident's own sum that differs from the rows', cost without a request.

    A model that was not used before is given its workload's tokens per request of then; a workload that was not
    there before counts as request volume. `price` is a rate that changed; where the price table knows context tiers
    for a model, a level that differs from list counts as `tier_speed`. The tokenizer needs `tokens_per_char`
    (before, now) and takes input tokens only. `part` (over the driver dimensions) asks for the shares
    of some leaves only, as part of the whole: a model that took over another's calls then shows as `model_mix`, not
    as new volume. Amounts in nano-USD.
    """
    raw = dict.fromkeys(FACTORS, 0.0)
    if leaves.size:
        before, now = _sides(leaves, prices, moments, tokens_per_char or {})
        inside = _inside(leaves, part)

        def spent(new: tuple[bool, ...]) -> Floats:
            return _cost(before, now, new)[inside]

        raw = dict(zip(FACTORS, shapley(len(FACTORS), spent).sum(axis=1).tolist(), strict=True))
    parts: dict[Driver, float] = {**raw}
    parts["expected_change"] = amounts.reference - amounts.baseline
    rest = amounts.excess - (amounts.reference - amounts.baseline) - round(sum(raw.values()))
    # Float noise of less than a thousandth of a cent is not a residual.
    parts["residual"] = rest if abs(rest) > 10_000 else 0.0
    shares = whole_cents(parts, total_nanos=to_cents(amounts.excess))
    ranked = sorted(shares.items(), key=lambda item: -abs(item[1]))
    return tuple(DriverShare(driver=name, nanos=nanos) for name, nanos in ranked if nanos)


def _inside(leaves: Leaves, part: Scope) -> npt.NDArray[np.bool_]:
    keep = np.ones(leaves.size, dtype=np.bool_)
    for name, value in part.dims:
        names = leaves.values[name]
        keep &= leaves.codes[name] == (names.index(value) if value in names else -1)
    return keep


def _cost(before: _Side, now: _Side, new: tuple[bool, ...]) -> Floats:
    volume, model, tier, size, tokenizer, cache, output, reasoning, price = (
        now if is_new else before for is_new in new
    )
    calls = volume.workload_requests * model.model_share * tier.tier_share
    rates = price.rates
    into = size.input * tokenizer.tokenizer * (cache.input_mix * rates[:4]).sum(axis=0)
    out = (output.output + reasoning.reasoning) * rates[4]
    return np.asarray(calls * ((into + out) * tier.tier_level + price.per_request), dtype=np.float64)


def _sides(
    leaves: Leaves, prices: PriceTable, moments: Moments, tokens_per_char: Mapping[Workload, tuple[float, float]]
) -> tuple[_Side, _Side]:
    workload, first = group_rows([leaves.codes["team"], leaves.codes["app"]], leaves.size)
    model, _ = group_rows([workload, leaves.codes["provider"], leaves.codes["model"]], leaves.size)
    names = [
        (leaves.values["team"][leaves.codes["team"][i]], leaves.values["app"][leaves.codes["app"][i]]) for i in first
    ]
    known = [tokens_per_char.get(name, (1.0, 1.0)) for name in names]
    old, new = rate(leaves, prices, before_us=moments.before_us, now_us=moments.now_us)
    before = _side(leaves.before, workload, model, np.array([k[0] for k in known])[workload], old)
    now = _side(leaves.now, workload, model, np.array([k[1] for k in known])[workload], new)
    return _filled(before, now, workload), _filled(now, before, workload)


def _side(sums: dict[str, Floats], workload: Codes, model: Codes, tokenizer: Floats, rated: Rated) -> _Side:
    used = sums["cost_nanos"] + sum(sums[name] for name in TOKEN_CLASSES)
    # Provider buckets may carry tokens without a count of requests; they stand for one.
    requests = np.where((sums["requests"] == 0) & (used != 0), 1.0, sums["requests"])
    in_workload = total_by(workload, requests)[workload]
    in_model = total_by(model, requests)[model]
    classes = np.stack([sums[name] for name in TOKEN_CLASSES[:4]])
    tokens = classes.sum(axis=0)
    return _Side(
        workload_requests=in_workload,
        model_share=_ratio(in_model, in_workload),
        tier_share=_ratio(requests, in_model),
        tier_level=rated.tier_level,
        input=_ratio(tokens, requests) / tokenizer,
        tokenizer=tokenizer,
        input_mix=_ratio(classes, tokens),
        output=_ratio(sums["output"] - sums["reasoning"], requests),
        reasoning=_ratio(sums["reasoning"], requests),
        rates=rated.rates,
        per_request=rated.per_request,
    )


def _filled(side: _Side, other: _Side, workload: Codes) -> _Side:
    """Give leaves that this side does not have the workload's own average, or the other side's where it has none."""
    calls = side.workload_requests * side.model_share * side.tier_share
    total = total_by(workload, calls)[workload]

    def fill(mine: Floats, theirs: Floats, weights: Floats, absent: npt.NDArray[np.bool_]) -> Floats:
        average = _ratio(total_by(workload, mine * weights)[workload], total_by(workload, weights)[workload])
        there = total_by(workload, weights)[workload] > 0
        return np.where(absent, np.where(there, average, theirs), mine)

    idle = calls == 0
    tokens = calls * side.input
    empty = tokens == 0
    return side._replace(
        model_share=np.where(total > 0, side.model_share, other.model_share),
        # A model without calls on this side is spread over its tiers as on the other.
        tier_share=np.where(side.model_share > 0, side.tier_share, other.tier_share),
        input=fill(side.input, other.input, calls, idle),
        input_mix=np.stack([fill(m, o, tokens, empty) for m, o in zip(side.input_mix, other.input_mix, strict=True)]),
        output=fill(side.output, other.output, calls, idle),
        reasoning=fill(side.reasoning, other.reasoning, calls, idle),
    )


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole != 0)
