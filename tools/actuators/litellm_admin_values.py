"""The words of LiteLLM's keys and teams for what an action sets."""

from decimal import Decimal

from store.model.money import to_nanos
from store.model.remedy import Action, BlockKey, SetBudget, SetModelAlias, SetRateLimit, Settings
from tools.actuators.admin_api import Json

_PERIODS = {"1d": "day", "24h": "day", "7d": "week", "1mo": "month", "30d": "month"}
_DURATIONS = {"day": "1d", "week": "7d", "month": "1mo"}
_LIMITS = (("requests_per_minute", "rpm_limit"), ("tokens_per_minute", "tpm_limit"))


def value_of(action: Action, record: Json) -> Settings:
    """What a key or team holds for an action's kind; a limit that the action leaves as it is is not looked at."""
    match action:
        case SetRateLimit():
            held = {ours: record.get(theirs) if action.to[ours] is not None else None for ours, theirs in _LIMITS}
            return held if any(limit is not None for limit in held.values()) else {}
        case SetModelAlias():
            to = aliases_of(record).get(action.from_model)
            return {} if to is None else {"from_model": action.from_model, "to_model": to, "percent": None}
        case SetBudget():
            budget, period = record.get("max_budget"), record.get("budget_duration")
            if budget is None:
                return {}
            return {"max_nanos": to_nanos(Decimal(str(budget))), "period": _PERIODS.get(str(period), period)}
        case BlockKey():
            return {"blocked": True} if record.get("blocked") is True else {}
        case _:
            return {}


def fields_of(action: Action, value: Settings, record: Json) -> Json:
    """The fields that make a key or team hold the value; null takes one away."""
    match action:
        case SetRateLimit():
            return {theirs: value.get(ours) for ours, theirs in _LIMITS if action.to[ours] is not None}
        case SetModelAlias():
            aliases = {name: to for name, to in aliases_of(record).items() if name != action.from_model}
            if value:
                aliases[action.from_model] = str(value["to_model"])
            return {_aliases_field(record): aliases}
        case SetBudget():
            nanos, period = value.get("max_nanos"), str(value.get("period"))
            usd = None if nanos is None else float(Decimal(int(nanos)) / 10**9)
            return {"max_budget": usd, "budget_duration": _DURATIONS.get(period, period) if value else None}
        case BlockKey():
            return {"blocked": bool(value.get("blocked", False))}
        case _:
            return {}


def before_of(action: Action, record: Json) -> Json:
    """What `value_of` does not tell of the fields: a budget's period may stand without a budget, or as "30d"."""
    if isinstance(action, SetBudget):
        return {name: record.get(name) for name in ("max_budget", "budget_duration")}
    return {}


def over_budget(action: SetBudget, record: Json) -> bool:
    """Whether the counter that LiteLLM compares a budget with stands above it already."""
    return to_nanos(Decimal(str(record.get("spend") or 0))) >= action.max_nanos


def aliases_of(record: Json) -> dict[str, str]:
    """{model asked for: model that answers} of a key or a team."""
    table = record.get("litellm_model_table")
    found = table.get("model_aliases") if isinstance(table, dict) else record.get("aliases")
    return {str(name): str(to) for name, to in found.items()} if isinstance(found, dict) else {}


def _aliases_field(record: Json) -> str:
    return "aliases" if "aliases" in record else "model_aliases"
