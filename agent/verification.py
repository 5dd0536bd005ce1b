"""What a remedy did: actual spend against what would have been spent without it, and what harm came with it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite, sqrt
from typing import NamedTuple

from store.model.money import usd_text
from store.model.remedy import (
    ActionKind,
    Check,
    HarmGuard,
    HarmMetric,
    Proposal,
    Verification,
    VerificationOutcome,
)
from store.model.usage import Window

LIMITS: frozenset[ActionKind] = frozenset({"set_rate_limit", "set_session_cap", "block_key"})
"""Actions that refuse requests: what would have been asked without them is not known. All others answer as many
requests as there are, at another cost of each."""

MAX_UNPRICED_SHARE = 0.02
"""With more requests without a price than this, spend cannot be judged."""

SHARES: frozenset[HarmMetric] = frozenset({"error_share", "refused_share", "retries_share"})
"""Harm metrics that are shares of requests."""

Z95 = 1.645
"""One-sided 95 % in standard errors."""

MIN_SERVED = 10
"""Shares of fewer served requests are noise: they are neither harm nor its absence."""


class VerificationFacts(NamedTuple):
    """Measured for the scope of a remedy. Nano-USD, counts, seconds; windows after and before it took effect.

    `attempts` counts all requests, `refused` those that a remedy of ours refused, `retries` those with attempt > 1.
    `baseline_nanos_per_hour`: the normal spend of the scope. `control_ratio`: the cost of a request of untouched
    sibling scopes now over before, None where there are none. `spread`: relative half-width of the 90 % interval of the
    run-rate before (and of the controls). Harm metrics are absent where they cannot be told.
    """

    seconds: float
    actual_nanos: int
    actual_cash_nanos: int
    attempts: int
    refused: int
    retries: int
    unpriced: int
    before_seconds: float
    before_nanos: int
    before_cash_nanos: int
    before_attempts: int
    before_refused: int
    before_retries: int
    baseline_nanos_per_hour: int
    control_ratio: float | None
    spread: float
    harm_before: Mapping[HarmMetric, float]
    harm_after: Mapping[HarmMetric, float]


def own_attempts(facts: VerificationFacts, *, limits: bool = True) -> int:
    """Attempts in the window without the retries that the remedy caused: those above the share that was normal before.

    Of a limit at most as many as it refused; what is no limit causes them by answers that fail.
    """
    served_before = facts.before_attempts - facts.before_refused
    normal = facts.before_retries / served_before if served_before > 0 else 0.0
    extra = facts.retries - round(normal * (facts.attempts - facts.refused))
    return facts.attempts - max(0, min(facts.refused, extra) if limits else extra)


def counterfactual_nanos(facts: VerificationFacts, *, limits: bool) -> int:
    """What the window would have cost without the remedy.

    The attempts that were made, at the cost of a served request before. For a limit, which changes how often is asked,
    no more than the run-rate before. For all else times the control ratio: what became dearer everywhere is not the
    remedy's doing. A spike that ended by itself is never counted as saved: its attempts are gone.
    """
    served_before = facts.before_attempts - facts.before_refused
    if served_before <= 0 or facts.before_seconds <= 0:
        return 0
    by_attempts = facts.before_nanos * own_attempts(facts, limits=limits) / served_before
    if limits:
        return round(min(by_attempts, _by_rate(facts)))
    return round(by_attempts * (1.0 if facts.control_ratio is None else facts.control_ratio))


def _by_rate(facts: VerificationFacts) -> float:
    return facts.before_nanos * facts.seconds / facts.before_seconds


def verify_facts(facts: VerificationFacts | None, *, proposal: Proposal, window: Window, at: datetime) -> Verification:
    """Judge a remedy over a window: worked, no_effect, harmed or inconclusive.

    No data, NaN, or too many requests without a price: inconclusive, never success. A guard that is broken: harmed,
    whatever was saved. The share of the excess that is gone is taken between the run-rate before (for what is no limit:
    the counterfactual) and the part of it that is normal; its interval, like that of the saving, is the spread of the
    run-rate. worked: the share reaches `min_reduction` and its lower end is above 0; for limits something must have
    been refused, and for all else there must be more than normal traffic, else the spike ended by itself. no_effect:
    even the upper end misses `min_reduction`.
    """
    limits = any(action.kind in LIMITS for action in proposal.actions)
    counterfactual, harm = None, {}
    if facts is None or facts.attempts <= 0:
        outcome, says = _INCONCLUSIVE, "no usage has been seen in the window"
    elif problem := _unusable(facts):
        outcome, says = _INCONCLUSIVE, problem
    else:
        counterfactual, harm = counterfactual_nanos(facts, limits=limits), harm_rises(facts)
        outcome, says = _judge(facts, proposal.check, harm, limits, counterfactual)
    saving = _saving(facts, counterfactual)
    return Verification(
        remedy_id=proposal.remedy_id,
        revision=proposal.revision,
        window=window,
        outcome=outcome,
        actual_nanos=saving.actual,
        counterfactual_nanos=saving.expected,
        saved_low_nanos=saving.expected - saving.actual - saving.half,
        saved_mid_nanos=saving.expected - saving.actual,
        saved_high_nanos=saving.expected - saving.actual + saving.half,
        cash_saved_mid_nanos=saving.cash,
        harm=harm,
        says=says,
        at=at,
    )


def harm_rises(facts: VerificationFacts) -> dict[HarmMetric, float]:
    """How far each harm metric rose above what it was before; only those that can be told on both sides."""
    return {
        metric: after - facts.harm_before[metric]
        for metric, after in facts.harm_after.items()
        if metric in facts.harm_before
    }


def suspected_guards(guards: Sequence[HarmGuard], harm: Mapping[HarmMetric, float]) -> list[HarmGuard]:
    """The guards whose metric rose by more than they allow, be it by chance."""
    return [guard for guard in guards if harm.get(guard.metric, 0.0) > guard.max_rise]


def is_certain(guard: HarmGuard, facts: VerificationFacts) -> bool:
    """Whether the rise of a guarded share is too large for chance: one error in fifteen requests proves nothing.

    One-sided test for two proportions with one pseudo-count of each kind, unpooled (Agresti and Caffo, 2000). A mean
    latency has no such test here: its rise counts as it is.
    """
    if guard.metric not in SHARES:
        return True
    after = max(1, facts.attempts - facts.refused) + 2
    before = max(1, facts.before_attempts - facts.before_refused) + 2
    now = (facts.harm_after[guard.metric] * (after - 2) + 1) / after
    then = (facts.harm_before[guard.metric] * (before - 2) + 1) / before
    return now - then > Z95 * sqrt(now * (1 - now) / after + then * (1 - then) / before)


def _unusable(facts: VerificationFacts) -> str | None:
    numbers = [facts.seconds, facts.before_seconds, facts.spread, *facts.harm_before.values()]
    numbers += [*facts.harm_after.values(), 0.0 if facts.control_ratio is None else facts.control_ratio]
    if not all(isfinite(number) for number in numbers):
        return "a measured number is not finite"
    if facts.unpriced > MAX_UNPRICED_SHARE * facts.attempts:
        return f"{facts.unpriced} of {facts.attempts} requests have no price"
    if facts.before_seconds <= 0 or facts.before_nanos <= 0:
        return "no usage was seen before the remedy took effect"
    return None


def _judge(
    facts: VerificationFacts, check: Check, harm: Mapping[HarmMetric, float], limits: bool, counterfactual: int
) -> tuple[VerificationOutcome, str]:
    suspected = suspected_guards(check.harm, harm)
    if suspected:
        worst = max(suspected, key=lambda guard: is_certain(guard, facts))
        says = f"{worst.metric} rose by {harm[worst.metric]:.3g}, more than {worst.max_rise:.3g}"
        if is_certain(worst, facts):
            return "harmed", says
        return "inconclusive", f"{says}, which may be chance in {facts.attempts - facts.refused} served requests"
    untold = [guard.metric for guard in check.harm if guard.metric not in harm]
    if untold and facts.attempts > facts.refused:
        return "inconclusive", f"{untold[0]} cannot be told from {facts.attempts - facts.refused} served requests"
    found = _expected(facts, limits, counterfactual)
    if isinstance(found, str):
        return "inconclusive", found
    expected, excess = found
    gone = (expected - facts.actual_nanos) / excess
    half = facts.spread * expected / excess
    says = (
        f"{gone:.0%} of the excess is gone (90 % interval {gone - half:.0%} to {gone + half:.0%}, "
        f"wanted {check.min_reduction:.0%}); spent {usd_text(facts.actual_nanos)} instead of {usd_text(counterfactual)}"
    )
    if gone >= check.min_reduction and gone - half > 0:
        if limits and facts.refused == 0:
            return "inconclusive", f"the spike ended by itself, nothing was refused; {says}"
        if counterfactual <= facts.actual_nanos:
            return "inconclusive", f"the spike ended by itself; {says}"
        return "worked", says
    if gone + half < check.min_reduction:
        return "no_effect", says
    return "inconclusive", says


def _expected(facts: VerificationFacts, limits: bool, counterfactual: int) -> tuple[float, float] | str:
    """What was to be expected and the excess in it; or why there is nothing to judge."""
    by_rate, normal = _by_rate(facts), facts.baseline_nanos_per_hour * facts.seconds / 3600
    if normal >= by_rate:
        return "there was no excess left to remove"
    if limits:
        return by_rate, by_rate - normal
    if counterfactual <= normal:
        return "the spike ended by itself: what is asked now costs no more than normal"
    return counterfactual, counterfactual * (1 - normal / by_rate)


_INCONCLUSIVE: VerificationOutcome = "inconclusive"


class _Saving(NamedTuple):
    actual: int
    expected: int
    half: int
    cash: int


def _saving(facts: VerificationFacts | None, counterfactual: int | None) -> _Saving:
    """Without a counterfactual nothing is said to be saved. Of it, the same part is cash as was before."""
    actual = 0 if facts is None else facts.actual_nanos
    if facts is None or counterfactual is None:
        return _Saving(actual, actual, 0, 0)
    cash = counterfactual * facts.before_cash_nanos // facts.before_nanos - facts.actual_cash_nanos
    return _Saving(actual, counterfactual, round(facts.spread * counterfactual), cash)
