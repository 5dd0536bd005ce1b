"""A provider's own response bodies, as callers log them and as batch jobs deliver them, one record each.

OpenAI: chat completions, responses, and lines of a batch's output file. Anthropic: messages, and lines of a batch's
results; they carry no time, so one must stand beside them as `timestamp`. Grade: claimed. Texts are never read.
"""

from collections.abc import Callable
from typing import NamedTuple

from store.model.usage import NONE, UsageRecord
from tools.sources.dimensions import at
from tools.sources.documents import Object, first
from tools.sources.fields import Faulty, moment, text
from tools.sources.response_usage import anthropic_tokens, openai_tokens
from tools.sources.tokens import Tokens

_STANDARD = frozenset({NONE, "default", "auto", "standard"})
_TIME = ("timestamp", "created_at", "created")


class Response(NamedTuple):
    """A response body, and what its envelope says."""

    body: Object
    batch: bool
    timestamp: object = None


def openai_response(document: Object) -> Response | None:
    """The response that a document is or holds; None where it is something else."""
    if document.get("object") in ("chat.completion", "response", "text_completion"):
        return Response(document, batch=False, timestamp=document.get("timestamp"))
    body = at(document, "response.body")
    return Response(body, batch=True, timestamp=document.get("timestamp")) if isinstance(body, dict) else None


def anthropic_response(document: Object) -> Response | None:
    """The response that a document is or holds; None where it is something else."""
    if document.get("type") == "message":
        return Response(document, batch=False, timestamp=document.get("timestamp"))
    body = at(document, "result.message")
    return Response(body, batch=True, timestamp=document.get("timestamp")) if isinstance(body, dict) else None


def record_of_response(provider: str, response: Response, source: str, observed_us: int) -> UsageRecord:
    """The record of a response; its id is the provider's own.

    Raises:
        Faulty: no usage, no time, no model, or a number that cannot be right.
    """
    body = response.body
    model = text(body.get("model"))
    if model == NONE:
        raise Faulty("the response names no model")
    tokens = _TOKENS[provider](body.get("usage"))
    tier = text(first(body, ("service_tier",)) or at(body, "usage.service_tier"))
    return UsageRecord(
        record_id=text(body.get("id")),
        source=source,
        observed_us=observed_us,
        occurred_us=_time(response),
        provider=provider,
        model=model,
        requested_model=model,
        service_tier="batch" if response.batch else "standard" if tier in _STANDARD else tier,
        finish_reason=_finish_reason(body),
        grade="claimed",
        input_uncached=tokens.input_uncached,
        cache_read=tokens.cache_read,
        cache_write_5m=tokens.cache_write_5m,
        cache_write_1h=tokens.cache_write_1h,
        output=tokens.output,
        reasoning=tokens.reasoning,
    )


def shown(row: Object) -> object:
    """What the quarantine may keep: of a response its names, times and counts, no content; of a report's row all."""
    response = openai_response(row) or anthropic_response(row)
    if response is None:
        return row
    kept = ("id", "object", "type", "model", "created", "created_at", "usage")
    return {name: response.body[name] for name in kept if name in response.body}


def _time(response: Response) -> int:
    value = response.timestamp if response.timestamp is not None else first(response.body, _TIME)
    if value is None:
        raise Faulty("the response carries no time; write one beside it as `timestamp`, ISO 8601 or epoch seconds")
    return moment(value, "iso" if isinstance(value, str) else "s", "timestamp")


def _finish_reason(body: Object) -> str:
    choices = body.get("choices")
    one = choices[0] if isinstance(choices, list) and choices else None
    return text(first(body, ("stop_reason", "status")) or at(one, "finish_reason"))


_TOKENS: dict[str, Callable[[object], Tokens]] = {"anthropic": anthropic_tokens, "openai": openai_tokens}
