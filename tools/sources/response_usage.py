"""The `usage` of a provider's own response as disjoint token classes.

Source: anthropic-sdk-python types/usage.py, openai-python types (chat completions and responses); FIELD.md 4.7.
Anthropic counts input without cached tokens, OpenAI with them.
"""

from tools.sources.dimensions import at
from tools.sources.documents import Object, first
from tools.sources.fields import Faulty, optional_count
from tools.sources.tokens import Tokens, of_all_input


def anthropic_tokens(usage: object) -> Tokens:
    """Of the Messages API, also by way of Bedrock or Vertex.

    Raises:
        Faulty: no usage, a count that cannot be right, or parts that are more than their whole.
    """
    found = _object(usage)
    written = _count(found, "cache_creation_input_tokens")
    split = found.get("cache_creation")
    written_1h = _count(split, "ephemeral_1h_input_tokens") if isinstance(split, dict) else 0
    if written_1h > written:
        raise Faulty(f"1-hour cache writes ({written_1h}) are more than all cache writes ({written})")
    output = _count(found, "output_tokens")
    thinking = optional_count(at(found, "output_tokens_details.thinking_tokens"), "thinking_tokens")
    return Tokens(
        input_uncached=_count(found, "input_tokens"),
        cache_read=_count(found, "cache_read_input_tokens"),
        cache_write_5m=written - written_1h,
        cache_write_1h=written_1h,
        output=output,
        reasoning=min(output, thinking),
    )


def openai_tokens(usage: object) -> Tokens:
    """Of chat completions, responses and embeddings.

    Raises:
        Faulty: no usage, a count that cannot be right, or parts that are more than their whole.
    """
    found = _object(usage)
    inside = first(found, ("prompt_tokens_details", "input_tokens_details"))
    of_output = first(found, ("completion_tokens_details", "output_tokens_details"))
    return of_all_input(
        optional_count(first(found, ("prompt_tokens", "input_tokens")), "input_tokens"),
        read=optional_count(at(inside, "cached_tokens"), "cached_tokens"),
        written_5m=optional_count(at(inside, "cache_write_tokens"), "cache_write_tokens"),
        output=optional_count(first(found, ("completion_tokens", "output_tokens")), "output_tokens"),
        reasoning=optional_count(at(of_output, "reasoning_tokens"), "reasoning_tokens"),
    )


def _count(found: Object, name: str) -> int:
    return optional_count(found.get(name), name)


def _object(usage: object) -> Object:
    if not isinstance(usage, dict):
        raise Faulty("the response has no usage")
    return usage
