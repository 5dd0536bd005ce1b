"""Cheaper models to propose, and the smallest prefix that each model caches.

Source: the providers' public price and model pages, checked 2026-11; prices themselves come from the price table.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class ModelChoice(NamedTuple):
    """A model that can stand in for another, and what people should expect of it."""

    model: str
    quality_note: str


_NEAR = "one step smaller in the same family: expect some loss on long reasoning and coding, little on routine work"
_FAR = "two steps smaller: fit for extraction, routing and short answers; check a sample before long use"

_LADDERS: tuple[tuple[str, ...], ...] = (
    ("claude-opus-4-1", "claude-sonnet-4-5", "claude-haiku-4-5"),
    ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"),
    ("claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5"),
    ("claude-opus-4-7", "claude-sonnet-4-6", "claude-haiku-4-5"),
    ("claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5"),
    ("claude-opus-5", "claude-sonnet-5", "claude-haiku-4-5"),
    ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"),
    ("gpt-5", "gpt-5-mini", "gpt-5-nano"),
    ("gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano"),
    ("gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano"),
    ("gpt-4o", "gpt-4o-mini"),
    ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"),
)
"""Families from the dearest model to the cheapest."""

_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")


def undated(model: str) -> str:
    """The model's name without its release date: claude-opus-4-5-20251101 is claude-opus-4-5."""
    return _DATED.sub("", model)


def _choices() -> dict[str, tuple[ModelChoice, ...]]:
    found: dict[str, tuple[ModelChoice, ...]] = {}
    for ladder in _LADDERS:
        for step, model in enumerate(ladder[:-1]):
            below = ladder[step + 1 :]
            choices = tuple(ModelChoice(name, _NEAR if n == 0 else _FAR) for n, name in enumerate(below))
            found.setdefault(model, choices)
    return found


ALTERNATIVES: Mapping[str, tuple[ModelChoice, ...]] = MappingProxyType(_choices())
"""{model, undated: the cheaper ones of its family, dearest first}."""

MINIMUM_PREFIX: Mapping[str, int] = MappingProxyType(
    {
        "claude-opus-5": 512,
        "claude-fable-5": 512,
        "claude-opus-4-7": 2048,
        "claude-opus-4-6": 4096,
        "claude-opus-4-5": 4096,
        "claude-haiku-4-5": 4096,
        "gemini-2.5-pro": 4096,
    }
)
"""{model, undated: tokens that a prefix must have to be cached}; Anthropic's pages and docs.litellm.ai."""

DEFAULT_MINIMUM_PREFIX = 1024
"""What most models need."""


def minimum_prefixes(models: set[str]) -> dict[str, int]:
    """The smallest cacheable prefix of each model, in tokens, by the names as given."""
    return {model: MINIMUM_PREFIX.get(undated(model), DEFAULT_MINIMUM_PREFIX) for model in models}
