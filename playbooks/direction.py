"""Which way an action moves a limit, from what the gateway held to what the action sets."""

from store.model.remedy import (
    Action,
    BlockKey,
    SetModelAlias,
    SetPromptCache,
    SetReasoningEffort,
    SetServiceTier,
    Settings,
)

_LIMITS = ("requests_per_minute", "tokens_per_minute", "max_calls", "max_tokens", "max_input_tokens", "max_nanos")
_NO_LIMIT = SetModelAlias | SetPromptCache | SetReasoningEffort | SetServiceTier
"""Changes of how requests are answered, not of how many are."""


_TELLING = frozenset({"notify", "open_issue", "open_pull_request"})


def tells(action: Action) -> bool:
    """Whether it only tells people what to do: no gateway changes by it."""
    return action.kind in _TELLING


def tightens(action: Action) -> bool:
    """Whether the action leaves no limit looser than it was and is a limit at all.

    A model alias, a cache setting, an effort and a tier are neither tighter nor looser: false. A note, an issue and a
    pull request change nothing: true.
    """
    if isinstance(action, _NO_LIMIT):
        return False
    if isinstance(action, BlockKey):
        return True
    return not loosens(action)


def loosens(action: Action) -> bool:
    """Whether a limit that the gateway holds would be raised or taken away."""
    return any(_looser(action.was, action.to, name) for name in _LIMITS)


def changes(action: Action) -> bool:
    """Whether a gateway would be touched, and would then hold something else than it does."""
    return action.kind != "notify" and _set(action.to) != _set(action.was)


def _looser(was: Settings, to: Settings, name: str) -> bool:
    before, after = was.get(name), to.get(name)
    if before is None or isinstance(before, str):
        return False
    # None in a rate limit leaves that limit as it is.
    return after is not None and not isinstance(after, str) and after > before


def _set(settings: Settings) -> Settings:
    return {name: value for name, value in settings.items() if value is not None}
