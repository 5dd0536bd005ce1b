"""LiteLLM's words and ours: kinds of calls, tiers that mean nothing special, models that name their provider."""

from store.model.usage import NONE

OPERATIONS = {
    "completion": "chat",
    "acompletion": "chat",
    "anthropic_messages": "chat",
    "responses": "chat",
    "aresponses": "chat",
    "text_completion": "text_completion",
    "atext_completion": "text_completion",
    "embedding": "embeddings",
    "aembedding": "embeddings",
}
_BREAKS = frozenset({"tool_order", "tools", "clock", "id", "number", "text"})
_STANDARD = frozenset({NONE, "default", "auto", "standard"})


def provider_and_model(provider: str, model: str) -> tuple[str, str]:
    """The two of them, where the model's name begins with its provider's: "anthropic/claude-opus-4-5"."""
    head, slash, rest = model.partition("/")
    if slash and provider in (NONE, head):
        return head, rest
    return provider, model


def break_kind(said: str) -> str:
    """What the guard says differs between two prompt heads; another word than its own says nothing."""
    return said if said in _BREAKS else NONE


def plain(found: str) -> str:
    """A service tier or speed, "standard" for every word that means that."""
    return "standard" if found in _STANDARD else found
