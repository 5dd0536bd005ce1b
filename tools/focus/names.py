"""How FOCUS names what usage records know by the gateways' short names: providers, services, models, token classes."""

import re
from typing import NamedTuple

_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})(?:-v\d+(?::\d+)?)?$")


class Service(NamedTuple):
    """Who bills, and for which service."""

    provider: str
    service: str


SERVICES = {
    "anthropic": Service("Anthropic", "Claude API"),
    "openai": Service("OpenAI", "OpenAI API"),
    "azure": Service("Microsoft", "Azure OpenAI Service"),
    "azure_ai": Service("Microsoft", "Azure AI Foundry"),
    "bedrock": Service("AWS", "Amazon Bedrock"),
    "vertex_ai": Service("Google Cloud", "Vertex AI"),
    "gemini": Service("Google", "Gemini API"),
    "mistral": Service("Mistral AI", "Mistral API"),
    "xai": Service("xAI", "xAI API"),
    "deepseek": Service("DeepSeek", "DeepSeek API"),
}
"""By the provider of a usage record."""

_FAMILIES: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), developer, family)
    for pattern, developer, family in (
        (r"claude", "Anthropic", "Claude"),
        (r"(^|/)(gpt|chatgpt|text-embedding|davinci)", "OpenAI", "GPT"),
        (r"(^|/)o[1-9]($|-)", "OpenAI", "o-series"),
        (r"gemini", "Google", "Gemini"),
        (r"gemma", "Google", "Gemma"),
        (r"llama", "Meta", "Llama"),
        (r"mi[sx]tral|codestral|magistral", "Mistral AI", "Mistral"),
        (r"deepseek", "DeepSeek", "DeepSeek"),
        (r"qwen", "Alibaba", "Qwen"),
        (r"grok", "xAI", "Grok"),
        (r"(^|[./])nova-", "Amazon", "Nova"),
        (r"command-", "Cohere", "Command"),
    )
)


class TokenMeter(NamedTuple):
    """One token class as a FOCUS meter: its name, and its keys in SkuPriceDetails (1.5 draft, x_ for our own)."""

    meter: str
    slug: str
    details: dict[str, str]


METERS = {
    "input_uncached": TokenMeter("Input tokens", "input", {"TokenDirection": "Input", "TokenCacheAction": "Uncached"}),
    "cache_read": TokenMeter(
        "Cache read tokens", "cache-read", {"TokenDirection": "Input", "TokenCacheAction": "Read"}
    ),
    "cache_write_5m": TokenMeter(
        "Cache write tokens, 5 minutes",
        "cache-write-5m",
        {"TokenDirection": "Input", "TokenCacheAction": "Write", "x_CacheTtl": "5m"},
    ),
    "cache_write_1h": TokenMeter(
        "Cache write tokens, 1 hour",
        "cache-write-1h",
        {"TokenDirection": "Input", "TokenCacheAction": "Write", "x_CacheTtl": "1h"},
    ),
    # The draft gives the cache action to request tokens only: output has none.
    "output": TokenMeter("Output tokens", "output", {"TokenDirection": "Output"}),
}
"""By token class."""


def service_of(provider: str) -> Service:
    """The provider and service that bill for it; an unknown provider goes by its own name."""
    return SERVICES.get(provider, Service(provider, f"{provider} model API"))


def model_details(model: str) -> dict[str, str]:
    """ModelId, and ModelDeveloper, ModelFamily and ModelVersion where the name tells them (omitted, never null)."""
    found = {"ModelId": model}
    for pattern, developer, family in _FAMILIES:
        if pattern.search(model.lower()):
            found |= {"ModelDeveloper": developer, "ModelFamily": family}
            break
    dated = _DATED.search(model)
    return {**found, "ModelVersion": dated[1]} if dated else found
