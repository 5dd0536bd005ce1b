"""The telemetry events of coding agents as records: Claude Code, Codex CLI and Gemini CLI.

Source: their monitoring documentation and public receivers (FIELD.md 4.9). One event is one model request:
`claude_code.api_request` and `api_error`, `codex.sse_event` of a completed response and a failed `codex.api_request`,
`gemini_cli.api_response` and `api_error`. Their USD is the client's own estimate at list price: it is kept as the tag
`estimated_usd`, never as billed. Prompt text is never read.
"""

from collections.abc import Callable
from typing import NamedTuple

from store.model.canonical import digest
from store.model.usage import NONE, BillingMode, UsageRecord
from tools.sources.documents import Object, Skipped, first
from tools.sources.fields import Faulty, amount, moment, optional_count, text
from tools.sources.otel_spans import nanoseconds, tags_of
from tools.sources.tokens import Tokens, of_all_input

_SKIPPED = Skipped("events that are not model requests")
_SESSION = ("session.id", "conversation.id")
_USER = ("user.account_uuid", "user.account_id", "user.id", "user.email")
_TEAM = ("team", "team.id", "team.name")
_ENVIRONMENT = ("deployment.environment.name", "deployment.environment")
_REPOSITORY = ("vcs.repository.name", "vcs.repository.url.full", "repository", "git.repository")


class _Agent(NamedTuple):
    prefix: str
    app: str
    provider: str
    answered: Callable[[str, Object], bool]
    failed: Callable[[str, Object], bool]
    tokens: Callable[[Object], Tokens]


def record_of_event(event: Object, source: str, observed_us: int, billing_mode: BillingMode) -> UsageRecord | Skipped:
    """The record of a log record whose attributes are flat; events that are no model request are skipped.

    Raises:
        Faulty: a number cannot be right, or no model is named.
    """
    found, resource = _object(event["attributes"]), _object(event["resource"])
    agent, name = _named(event, found, resource)
    if agent is None:
        return Skipped("log records that no known coding agent wrote")
    failed = agent.failed(name, found)
    if not failed and not agent.answered(name, found):
        return _SKIPPED
    model = text(first(found, ("model", "slug")))
    if model == NONE:
        raise Faulty(f"the event {agent.prefix}.{name} names no model")
    occurred = _occurred(event, found)
    tokens = Tokens() if failed else agent.tokens(found)
    session, prompt = text(first(found, _SESSION)), text(first(found, ("prompt.id", "prompt_id")))
    speed = text(found.get("speed"))
    return UsageRecord(
        record_id=_identity(agent, found, session, occurred, name),
        source=source,
        observed_us=observed_us,
        occurred_us=occurred,
        provider=agent.provider,
        model=model,
        requested_model=model,
        speed="standard" if speed in (NONE, "normal") else speed,
        status="error" if failed else "ok",
        status_code=_status_code(found) if failed else 200,
        latency_ms=optional_count(found.get("duration_ms"), "duration_ms"),
        attempt=max(1, optional_count(found.get("attempt"), "attempt")),
        trace_id=text(event.get("traceId") or (None if prompt == NONE else prompt)),
        span_id=text(event.get("spanId")),
        session_id=session,
        team=text(first(resource, _TEAM)),
        app=text(first(resource, ("service.name",)) or agent.app),
        environment=text(first(resource, _ENVIRONMENT)),
        end_user=text(first(found, _USER)),
        release=text(first({**resource, **found}, ("app.version", "service.version"))),
        tags=tags_of(
            repository=first({**resource, **found}, _REPOSITORY),
            organization=found.get("organization.id"),
            auth=first(found, ("auth_mode", "auth_type")),
            estimated_usd=_estimate(found),
        ),
        input_uncached=tokens.input_uncached,
        cache_read=tokens.cache_read,
        cache_write_5m=tokens.cache_write_5m,
        cache_write_1h=tokens.cache_write_1h,
        output=tokens.output,
        reasoning=tokens.reasoning,
        billing_mode=billing_mode,
        grade="claimed",
    )


def _named(event: Object, found: Object, resource: Object) -> tuple[_Agent | None, str]:
    """The agent and the event's name without its prefix, which `event.name` may lack and the body has."""
    body = event.get("body")
    said = body.get("stringValue") if isinstance(body, dict) else None
    names = [text(value) for value in (found.get("event.name"), event.get("eventName"), said)]
    for agent in _AGENTS:
        for name in names:
            if name.startswith(f"{agent.prefix}."):
                return agent, name.removeprefix(f"{agent.prefix}.")
        if text(resource.get("service.name")).replace("-", "_").startswith(agent.prefix) and names[0] != NONE:
            return agent, names[0]
    return None, NONE


def _occurred(event: Object, found: Object) -> int:
    stamped = event.get("timeUnixNano")
    # OTLP writes 0 for a time that the sender did not know.
    if stamped not in (None, 0, "0"):
        return nanoseconds(stamped, "timeUnixNano")
    if found.get("event.timestamp") is not None:
        return moment(found["event.timestamp"], "iso", "event.timestamp")
    if event.get("observedTimeUnixNano") is not None:
        return nanoseconds(event["observedTimeUnixNano"], "observedTimeUnixNano")
    return nanoseconds(stamped, "timeUnixNano")


def _identity(agent: _Agent, found: Object, session: str, occurred: int, name: str) -> str:
    """What tells requests apart: a session counts its events, and may count anew when resumed, so the time as well."""
    sequence, request = text(found.get("event.sequence")), text(found.get("request_id"))
    if session == request == NONE:
        return NONE
    return f"{agent.prefix}-{digest([session, sequence, request, occurred, name])[:24]}"


def _estimate(found: Object) -> object:
    amount(found.get("cost_usd"), "cost_usd")
    return found.get("cost_usd")


def _status_code(found: Object) -> int:
    code = text(first(found, ("status_code", "http.response.status_code")))
    return int(code) if code.isascii() and code.isdigit() and len(code) == 3 else 500


def _claude_code(found: Object) -> Tokens:
    # Anthropic's counting: input without cached and written tokens. The event does not say how long a write lives.
    return Tokens(
        input_uncached=_count(found, "input_tokens"),
        cache_read=_count(found, "cache_read_tokens"),
        cache_write_5m=_count(found, "cache_creation_tokens"),
        output=_count(found, "output_tokens"),
    )


def _codex(found: Object) -> Tokens:
    # OpenAI's counting: cached tokens are part of the input, reasoning is part of the output.
    return of_all_input(
        _count(found, "input_token_count"),
        read=_count(found, "cached_token_count"),
        output=_count(found, "output_token_count"),
        reasoning=_count(found, "reasoning_token_count"),
    )


def _gemini(found: Object) -> Tokens:
    # Gemini's counting: cached tokens are part of the input, tool results are input beside it, thoughts are output
    # beside the answer.
    thoughts = _count(found, "thoughts_token_count")
    return of_all_input(
        _count(found, "input_token_count") + _count(found, "tool_token_count"),
        read=_count(found, "cached_content_token_count"),
        output=_count(found, "output_token_count") + thoughts,
        reasoning=thoughts,
    )


def _count(found: Object, name: str) -> int:
    return optional_count(found.get(name), name)


def _object(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def _codex_answered(name: str, found: Object) -> bool:
    return name == "sse_event" and text(found.get("event.kind")) == "response.completed"


def _codex_failed(name: str, found: Object) -> bool:
    answered = found.get("http.response.status_code") is None or _status_code(found) < 400
    return name == "api_request" and (found.get("error.message") is not None or not answered)


_AGENTS = (
    _Agent(
        "claude_code",
        "claude-code",
        "anthropic",
        lambda name, _: name == "api_request",
        lambda name, _: name == "api_error",
        _claude_code,
    ),
    _Agent("codex", "codex", "openai", _codex_answered, _codex_failed, _codex),
    _Agent(
        "gemini_cli",
        "gemini-cli",
        "gemini",
        lambda name, _: name == "api_response",
        lambda name, _: name == "api_error",
        _gemini,
    ),
)
