"""What both sides call a model: gateways, providers and bills write one model's name in several ways."""

import re
from functools import lru_cache

_DATED = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2})$")
_VERSION = re.compile(r"-v\d+(:\d+)?$")


@lru_cache(maxsize=10_000)
def plain_model(name: str) -> str:
    """The model's name without gateway prefix, date and version.

    >>> plain_model("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    'claude-sonnet-4-5'
    >>> plain_model("gpt-4o-2024-08-06")
    'gpt-4o'
    """
    plain = _VERSION.sub("", name.rsplit("/", 1)[-1].lower())
    plain = plain.rsplit("anthropic.", 1)[-1]
    return _DATED.sub("", plain).removesuffix("-latest")
