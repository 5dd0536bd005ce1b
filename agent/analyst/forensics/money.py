"""The money itself: how fast it goes, what a request costs, and whether the figures can be right."""

from collections.abc import Sequence

import numpy as np

from agent.analyst.columns import Calls, percentile, share
from agent.analyst.leaves import total_by
from agent.analyst.notebook import Datum, Note
from store.model.money import usd_text
from store.model.usage import TOKEN_CLASSES, Cube, Window

IMPLAUSIBLE = 3.0
"""No provider has raised a list price by more than this factor at once."""


def look_at_spend(now: Cube, before: Sequence[Cube], *, window: Window, scale: float, says: str) -> Note:
    """Run rate, requests and cost per request, now and in the reference; `says` names the reference."""
    hours = window.seconds / 3600
    spent, usual = now.total("cost_nanos"), sum(cube.total("cost_nanos") for cube in before) * scale
    calls, usual_calls = now.total("requests"), sum(cube.total("requests") for cube in before) * scale
    tokens = sum(now.total(name) for name in TOKEN_CLASSES)
    usual_tokens = sum(cube.total(name) for cube in before for name in TOKEN_CLASSES) * scale
    data: dict[str, Datum] = {
        "core_nanos_per_hour_now": round(spent / hours),
        "core_nanos_per_hour_before": round(usual / hours),
        "requests_per_minute_now": calls / hours / 60,
    }
    if calls:
        data["nanos_per_request_now"] = spent / calls
    if usual_calls:
        data["nanos_per_request_before"] = usual / usual_calls
        data["requests_per_minute_normal"] = usual_calls / hours / 60
        data["requests_ratio"] = calls / usual_calls
        data["growth_share"] = calls / usual_calls - 1
    if usual_tokens:
        data["tokens_ratio"] = tokens / usual_tokens
    if calls and usual_calls and usual:
        data["unit_cost_ratio"] = (spent / calls) / (usual / usual_calls)
    text = (
        f"{usd_text(round(spent / hours))} an hour for {calls:,} requests; in {says},"
        f" {usd_text(round(usual / hours))} an hour for {usual_calls:,.0f}."
    )
    return Note("spend", text, data)


def per_minute_p95(calls: Calls) -> float | None:
    """The 95th percentile of requests a minute, over the minutes that had any; None without calls."""
    if not calls.rows:
        return None
    _, minute = np.unique(calls.micros() // 60_000_000, return_inverse=True)
    return percentile(total_by(minute, calls.number("requests")), 95)


def look_at_figures(now: Cube, before: Sequence[Cube]) -> Note | None:
    """Whether cost and tokens can both be true; None where no request had tokens.

    `telemetry_doubt` in [0, 1] is the greatest of: the new share of requests with tokens and no cost, of requests
    without a price, and a jump of cost against what the source billed.
    """
    mine, usual = _figures([now]), _figures(before)
    if not mine["requests"]:
        return None
    free = mine["free"] - usual["free"]
    unpriced = mine["unpriced"] - usual["unpriced"]
    gap = 0.0
    if mine["billed_ratio"] and usual["billed_ratio"]:
        jump = abs(float(np.log(mine["billed_ratio"] / usual["billed_ratio"])))
        gap = min(1.0, jump / float(np.log(IMPLAUSIBLE)))
    says = (
        f"{mine['free']:.0%} of the requests have tokens and no cost (before {usual['free']:.0%});"
        f" {mine['unpriced']:.0%} have no known price (before {usual['unpriced']:.0%})."
    )
    data: dict[str, Datum] = {
        "zero_cost_share": mine["free"],
        "unpriced_share": mine["unpriced"],
        "telemetry_doubt": max(0.0, free, unpriced, gap),
    }
    return Note("spend", says, data)


def _figures(cubes: Sequence[Cube]) -> dict[str, float]:
    free = unpriced = requests = billed = billed_cost = 0
    for cube in cubes:
        tokens = sum(cube.measures[name] for name in TOKEN_CLASSES)
        calls, cost, bill = cube.measures["requests"], cube.measures["cost_nanos"], cube.measures["billed_nanos"]
        free += int(calls[(tokens > 0) & (cost == 0)].sum())
        unpriced += cube.total("unpriced")
        requests += int(calls[np.asarray(tokens) > 0].sum())
        billed += int(bill[bill > 0].sum())
        billed_cost += int(cost[bill > 0].sum())
    return {
        "requests": requests,
        "free": share(free, requests),
        "unpriced": share(unpriced, requests),
        "billed_ratio": share(billed_cost, billed),
    }
