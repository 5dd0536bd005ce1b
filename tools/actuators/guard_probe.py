"""What a guard's answer to a probe means: whether a request of the target would meet our rule."""

import json
from typing import Any

from store.model.remedy import (
    Action,
    BlockKey,
    SetModelAlias,
    SetOutputCap,
    SetPromptCache,
    SetReasoningEffort,
    SetServiceTier,
)
from tools.http import NoAnswer


def decision_in(body: bytes, what: str) -> dict[str, Any]:
    """What the guard would do, out of its answer to a probe; LiteLLM wraps it in an error body of the route's shape.

    Raises:
        NoAnswer: it was not the guard that answered; `what` says what was asked.
    """
    try:
        found = json.loads(json.loads(body)["error"]["message"])["decision"]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("rules"), list):
        raise NoAnswer(f"{what}: it was not the guard that answered; is it mounted there?")
    return found


def meets(action: Action, marker: str, decision: dict[str, Any]) -> bool:
    """Whether the request met our rule, and it did what it is for; a refusal by a stricter rule hides the rest."""
    if marker not in decision["rules"]:
        return False
    if decision.get("verdict") == "refuse":
        return True
    match action:
        case SetModelAlias():
            return bool(decision.get("model") == action.to_model)
        case SetOutputCap():
            cap = decision.get("max_tokens")
            return isinstance(cap, int) and cap <= action.max_tokens
        case SetPromptCache():
            return bool(decision.get("cache") == action.ttl)
        case SetReasoningEffort():
            return decision.get("effort") is not None
        case SetServiceTier():
            return bool(decision.get("tier") == action.tier)
        case BlockKey():
            return False
        case _:
            return bool(decision.get("limit"))
