"""Which remedies are acceptable for a true cause, and which would do harm.

After the remediation column of FIELD.md, section 3. What is neither helps nobody and harms nobody: "poor".
"""

from collections.abc import Sequence
from typing import Literal

from store.model.incident import Cause
from store.model.remedy import Action, ActionKind
from store.model.usage import Scope

Worth = Literal["acceptable", "poor", "harmful"]

ACCEPTABLE: dict[Cause, frozenset[ActionKind]] = {
    "agent_loop": frozenset({"set_session_cap", "set_rate_limit"}),
    "retry_storm": frozenset({"set_rate_limit"}),
    "leaked_key": frozenset({"block_key", "set_rate_limit"}),
    "cache_break": frozenset({"set_prompt_cache"}),
    "model_switch": frozenset({"set_model_alias"}),
    "reasoning_effort": frozenset({"set_output_cap", "set_reasoning_effort"}),
    "runaway_output": frozenset({"set_output_cap"}),
    "batch_backfill": frozenset({"set_rate_limit"}),
    "denial_of_wallet": frozenset({"set_rate_limit", "set_output_cap"}),
    "fan_out": frozenset({"set_rate_limit", "set_session_cap"}),
    "price_change": frozenset({"set_model_alias"}),
    "cache_ttl": frozenset({"set_prompt_cache"}),
    "cache_write_premium": frozenset({"set_prompt_cache"}),
    "tokenizer_change": frozenset({"set_model_alias"}),
    "fast_mode": frozenset({"set_service_tier"}),
}
"""Beside telling people (a note, an issue, a pull request), which is always acceptable, else the only thing."""

REFUSING: frozenset[ActionKind] = frozenset(
    {"set_rate_limit", "set_session_cap", "set_context_cap", "set_budget", "block_key"}
)
"""Actions that refuse requests: harmful wherever they are not acceptable."""

HANDS_OFF: frozenset[Cause] = frozenset({"organic_growth", "telemetry_fault"})
"""Nothing is wrong with this traffic: any change of it is harmful."""


def worth_of(cause: Cause, scope: Scope, actions: Sequence[Action]) -> Worth:
    """What a remedy is worth where `cause` is the true one, in `scope`; the worst of its actions counts."""
    worths = {_worth(cause, scope, action) for action in actions}
    return next(worth for worth in ("harmful", "poor", "acceptable") if worth in worths)


def _worth(cause: Cause, scope: Scope, action: Action) -> Worth:
    if action.kind in ("notify", "open_issue", "open_pull_request"):
        return "acceptable"
    # A target that the scope does not meet is other people's traffic.
    if cause in HANDS_OFF or not action.target.overlaps(scope):
        return "harmful"
    if action.kind in ACCEPTABLE.get(cause, frozenset()):
        return "acceptable"
    return "harmful" if action.kind in REFUSING else "poor"
