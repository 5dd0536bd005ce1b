"""measure: fetch from the warehouse what a verification needs to know about a remedy's scope."""

from collections.abc import Sequence
from datetime import timedelta
from math import ceil, sqrt

import numpy as np

from agent.measurement import Totals, by_sibling, totals
from agent.verification import MIN_SERVED, VerificationFacts
from store.model.incident import Incident
from store.model.ports import Warehouse
from store.model.remedy import HarmMetric, Proposal, Remedy
from store.model.usage import Scope, Window, floor_to

LOOKBACK_SECONDS = 3600
"""The run-rate before is taken over so long, or the check window where that is longer, within the incident."""

Z90 = 1.645
"""Half-width of the 90 % interval in standard errors."""


def measure(
    *,
    proposal: Proposal,
    remedy: Remedy,
    window: Window,
    incident: Incident,
    warehouse: Warehouse,
    touched: Sequence[Scope] = (),
) -> VerificationFacts | None:
    """Actual spend, attempts and harm in the window, and the same before the remedy took effect.

    `touched`: scopes that other remedies act on; they are no controls. Before: the last hour (or check window) before
    it took effect, cut at the incident's start, in whole 5 minutes. Controls: the sibling apps (for a scope without
    an app: the sibling teams) of the same environment. None: the remedy is not in force, or its scope was never seen.
    """
    if remedy.applied_at is None:
        return None
    before = _before(incident, remedy, window)
    now = totals(warehouse, window, proposal.scope)
    then = totals(warehouse, before, proposal.scope)
    if now.attempts == 0 or then.attempts == 0:
        return None
    ratio, ratio_spread = _controls(warehouse, window, before, proposal.scope, touched)
    return VerificationFacts(
        seconds=window.seconds,
        actual_nanos=now.nanos,
        actual_cash_nanos=now.cash_nanos,
        attempts=now.attempts,
        refused=now.refused,
        retries=now.retries,
        unpriced=now.unpriced,
        before_seconds=before.seconds,
        before_nanos=then.nanos,
        before_cash_nanos=then.cash_nanos,
        before_attempts=then.attempts,
        before_refused=then.refused,
        before_retries=then.retries,
        baseline_nanos_per_hour=_baseline(warehouse, incident, proposal.scope),
        control_ratio=ratio,
        spread=min(1.0, sqrt(then.relative_error**2 + ratio_spread**2) * Z90),
        harm_before=_harm(then),
        harm_after=_harm(now),
    )


def _before(incident: Incident, remedy: Remedy, window: Window) -> Window:
    assert remedy.applied_at is not None
    end = floor_to(remedy.applied_at, 300)
    lookback = timedelta(seconds=ceil(max(LOOKBACK_SECONDS, window.seconds) / 300) * 300)
    start = max(end - lookback, floor_to(incident.started_at, 300))
    return Window(start=min(start, end - timedelta(seconds=300)), end=end)


def _baseline(warehouse: Warehouse, incident: Incident, scope: Scope) -> int:
    """Normal nano-USD an hour: the incident's own, or for a deeper scope at most what it spent the day before."""
    hours = max(incident.window.seconds, 300.0) / 3600
    expected = round(incident.baseline_nanos / hours)
    if scope == incident.scope:
        return expected
    start = floor_to(incident.started_at, 300)
    day = Window(start=start - timedelta(days=1), end=start)
    return min(expected, totals(warehouse, day, scope).nanos // 24)


def _controls(
    warehouse: Warehouse, window: Window, before: Window, scope: Scope, touched: Sequence[Scope]
) -> tuple[float | None, float]:
    """Cost of a request of the untouched siblings now over before, and its relative error; (None, 0) without any.

    Weighted by what they spent before; a sibling with fewer than MIN_SERVED requests in either window tells nothing.
    """
    dimension = "app" if scope.get("app") is not None else "team"
    mine = scope.get(dimension)
    if mine is None:
        return None, 0.0
    place = scope.get("environment")
    around = Scope.of(environment=place) if place is not None else Scope()
    now = by_sibling(warehouse, window, dimension, around)
    pairs = [
        (then, now[name])
        for name, then in by_sibling(warehouse, before, dimension, around).items()
        if name != mine and name in now and not any(other.get(dimension) == name for other in touched)
    ]
    told = [(a, b) for a, b in pairs if a.nanos > 0 and min(a.requests, b.requests) >= MIN_SERVED]
    if not told:
        return None, 0.0
    base = sum(then.nanos for then, _ in told)
    ratios = np.array([b.nanos / b.requests * a.requests / a.nanos for a, b in told])
    weights = np.array([then.nanos / base for then, _ in told])
    ratio = float((weights * ratios).sum())
    if len(told) < 2 or ratio <= 0:
        return (ratio, 0.0) if ratio > 0 else (None, 0.0)
    variance = float((weights**2 * (ratios - ratio) ** 2).sum())
    return ratio, sqrt(variance) / ratio


def _harm(part: Totals) -> dict[HarmMetric, float]:
    """Shares of the traffic, and the mean latency of served requests (a refusal takes no time worth counting).

    What too few requests tell is absent.
    """
    served = part.attempts - part.refused
    found: dict[HarmMetric, float] = {}
    if part.attempts >= MIN_SERVED:
        found["refused_share"] = part.refused / part.attempts
    if served >= MIN_SERVED:
        found["error_share"] = part.errors / served
        found["latency_ms"] = part.latency_ms / served
        found["retries_share"] = part.retries / part.attempts
    return found
