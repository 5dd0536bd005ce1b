"""The words of the summary: the same for every format, in the terms of the design."""

from datetime import date, datetime
from typing import assert_never
from zoneinfo import ZoneInfo

from store.model.incident import Cause, Driver
from store.model.money import usd_text
from store.model.remedy import (
    Action,
    BlockKey,
    Notify,
    OpenIssue,
    OpenPullRequest,
    Outcome,
    RemedyState,
    SetBudget,
    SetContextCap,
    SetModelAlias,
    SetOutputCap,
    SetPromptCache,
    SetRateLimit,
    SetReasoningEffort,
    SetServiceTier,
    SetSessionCap,
)

_Limit = SetRateLimit | SetSessionCap | SetOutputCap | SetContextCap | SetBudget
_Told = Notify | OpenIssue | OpenPullRequest
_Change = _Limit | SetModelAlias | SetPromptCache | SetReasoningEffort | SetServiceTier | BlockKey

STATES: dict[RemedyState, str] = {
    "observed": "only observed",
    "pending": "waiting for a decision",
    "approved": "approved, about to be applied",
    "applying": "being applied",
    "unknown": "unknown: the gateway did not answer, looking first",
    "verifying": "applied, being verified",
    "kept": "working, kept until its lease ends",
    "reverting": "being reverted",
    "closed": "closed",
    "paging": "a person must look",
}

OUTCOMES: dict[Outcome, str] = {
    "approved": "approved",
    "rejected": "rejected",
    "approval_expired": "nobody decided in time",
    "withdrawn": "withdrawn",
    "stale": "stale: the gateway had moved on",
    "applied": "applied",
    "unknown": "unknown",
    "failed": "failed, not in force",
    "worked": "worked",
    "no_effect": "no effect, reverted",
    "harmed": "did harm, reverted",
    "inconclusive": "inconclusive",
    "returned": "returned at the end of its lease",
    "extended": "extended",
    "made_permanent": "made permanent",
    "drifted": "drifted: changed by others, left alone",
    "revert_failed": "the revert failed",
    "undecidable": "undecidable",
}

_DRIVERS: dict[Driver, str] = {
    "request_volume": "request volume",
    "input_per_request": "input per request",
    "output_per_request": "output per request",
    "reasoning": "reasoning tokens",
    "model_mix": "model mix",
    "cache_mix": "cache mix",
    "tier_speed": "service tier and speed",
    "price": "price",
    "tokenizer": "tokenizer",
    "residual": "residual",
    "expected_change": "expected change",
}


def ending_text(state: RemedyState, outcome: Outcome) -> str:
    """How a remedy ended; harm by what people have merged is not ours to revert."""
    return (
        "did harm, and taking it back is up to people"
        if (state, outcome) == ("paging", "harmed")
        else OUTCOMES[outcome]
    )


def cause_text(cause: Cause) -> str:
    """A cause as a title: "Agent loop"."""
    return cause.replace("_", " ").capitalize()


def driver_text(driver: Driver) -> str:
    """A driver as people read it."""
    return _DRIVERS[driver]


def action_text(action: Action) -> str:
    """What an action sets and what stood there before, in one line."""
    if isinstance(action, Notify | OpenIssue | OpenPullRequest):
        return _told(action)
    return f"{after_text(action)} (was: {before_text(action)})"


def after_text(action: Action) -> str:
    """What an action sets, and for whom."""
    if isinstance(action, Notify | OpenIssue | OpenPullRequest):
        return _told(action)
    return f"{_setting(action)} for {action.target.text}"


def before_text(action: Action) -> str:
    """What stood there before."""
    was = ", ".join(f"{name} {value}" for name, value in sorted(action.was.items()) if value is not None)
    return was or "not set"


def duration_text(seconds: int) -> str:
    """A length of time by its two leading units: "45 s", "6 min", "1 h 05 min", "2 d 3 h"."""
    minutes, hours = seconds // 60, seconds // 3600
    if minutes == 0:
        return f"{seconds} s"
    if hours == 0:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def time_text(moment: datetime, zone: ZoneInfo) -> str:
    """A moment on the team's clock: "Tue 17 Nov 14:05". The zone is named once beside it."""
    local = moment.astimezone(zone)
    return f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {local:%H:%M}"


def day_text(moment: datetime, zone: ZoneInfo) -> str:
    """A day on the team's calendar: "Tue 17 Nov"."""
    return time_text(moment, zone).rpartition(" ")[0]


def date_text(day: date) -> str:
    """A day as people read it: "22 Nov 2026"."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def change_text(now: int, before: int) -> str:
    """How an amount stands against an earlier one: "+12 %", "-3 %", "new", "no change"."""
    if before <= 0:
        return "new" if now > 0 else "no change"
    percent = round(100 * (now - before) / before)
    return f"{percent:+,d} %" if percent else "no change"


def deciders_text(people: tuple[str, ...]) -> str:
    """Who decided: "ann and bob", "rule session-caps", "nobody in time"."""
    if not people:
        return "nobody yet"
    names = [_decider(one) for one in people]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def usd_signed(nanos: int) -> str:
    """An amount with its sign, "+$5.00": for what may be either."""
    return f"+{usd_text(nanos)}" if nanos > 0 else usd_text(nanos)


def _decider(name: str) -> str:
    if name == "clock":
        return "nobody in time"
    return f"rule {name.removeprefix('policy:')}" if name.startswith("policy:") else name


def _setting(action: _Change) -> str:
    match action:
        case SetModelAlias():
            return f"Answer {action.from_model} with {action.to_model}{_canary(action.percent)}"
        case SetPromptCache():
            return "No prompt cache" if action.ttl == "off" else f"Prompt cache of {action.ttl}"
        case SetReasoningEffort():
            return f"Reasoning effort at most {action.effort}"
        case SetServiceTier():
            return "Priority and fast requests at the standard tier"
        case BlockKey():
            return "Block the key"
        case _:
            return f"At most {_most(action)}"


def _canary(percent: int | None) -> str:
    return "" if percent is None else f" in {percent} % of the sessions"


def _most(action: _Limit) -> str:
    match action:
        case SetRateLimit():
            limits = {"requests": action.requests_per_minute, "tokens": action.tokens_per_minute}
            return f"{' and '.join(f'{n:,} {what}' for what, n in limits.items() if n) or 'as much'} a minute"
        case SetSessionCap():
            return f"{action.max_calls:,} calls a session"
        case SetOutputCap():
            return f"{action.max_tokens:,} output tokens a request"
        case SetContextCap():
            return f"{action.max_input_tokens:,} input tokens a request"
        case SetBudget():
            return f"{usd_text(action.max_nanos)} a {action.period}"
        case _:
            assert_never(action)


def _told(action: _Told) -> str:
    match action:
        case OpenIssue():
            return f"Open an issue in {action.repository}: {action.title}"
        case OpenPullRequest():
            return f"Open a pull request in {action.repository}, for people to merge: {action.title}"
        case Notify():
            return f"Tell the owner of {action.target.text}; nothing changes at the gateway"
        case _:
            assert_never(action)


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
