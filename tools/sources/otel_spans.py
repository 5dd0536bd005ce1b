"""A span of a model call as a record: OpenTelemetry's GenAI names, old and new, OpenLLMetry's and OpenInference's.

Source: open-telemetry/semantic-conventions-genai; openinference semantic conventions; FIELD.md 4.5 and 4.7.
`input_tokens` counts all input: cached and written tokens are parts of it. Reasoning is a part of the output.
"""

from typing import Literal

from store.model.usage import NONE, UsageRecord
from tools.sources.documents import Object, Skipped, first
from tools.sources.fields import Faulty, count, moment, number, text
from tools.sources.tokens import Tokens, of_all_input

_NOT_A_CALL = frozenset({"create_agent", "invoke_agent", "invoke_workflow", "execute_tool", "retrieval", "plan"})
_NOT_A_CALL_KIND = frozenset({"CHAIN", "AGENT", "TOOL", "RETRIEVER", "RERANKER", "GUARDRAIL", "EVALUATOR", "PROMPT"})
_OPERATIONS = {"completion": "text_completion", "embedding": "embeddings"}
_PROVIDERS = {
    "aws": "bedrock",
    "aws.bedrock": "bedrock",
    "amazon_bedrock": "bedrock",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure_ai",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure_ai",
    "gcp.gemini": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "gcp.gen_ai": "gemini",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "x_ai": "xai",
}
"""What instrumentations call providers, in the words of the gateways' logs."""

_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "llm.vendor", "embedding.provider")
_REQUESTED = ("gen_ai.request.model", "llm.request.model", "llm.model_name", "embedding.model_name")
_ANSWERED = ("gen_ai.response.model", "llm.response.model")
_RESPONSE_ID = ("gen_ai.response.id", "llm.response.id")
_INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
)
_OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
)
_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
_WRITTEN = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "llm.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
_MARKS = frozenset((*_REQUESTED, *_ANSWERED, *_RESPONSE_ID, *_INPUT, *_OUTPUT, "llm.request.type"))
_SESSION = (
    "gen_ai.conversation.id",
    "session.id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
)
_USER = ("enduser.id", "user.id", "langfuse.user.id", "traceloop.association.properties.user_id")
_TIER = ("openai.response.service_tier", "gen_ai.openai.response.service_tier", "gen_ai.response.service_tier")
_TEAM = ("team", "team.id", "team.name")
_ENVIRONMENT = ("deployment.environment.name", "deployment.environment")
_STANDARD = frozenset({NONE, "default", "auto", "standard"})
_REPOSITORY = ("vcs.repository.name", "vcs.repository.url.full", "repository")


def record_of_span(span: Object, source: str, observed_us: int) -> UsageRecord | Skipped:
    """The record of a span whose attributes are flat; spans that are no model call are skipped.

    Raises:
        Faulty: a number cannot be right, or no model is named.
    """
    found, resource = _object(span["attributes"]), _object(span["resource"])
    operation = text(first(found, ("gen_ai.operation.name", "llm.request.type")))
    if operation in _NOT_A_CALL or text(found.get("openinference.span.kind")) in _NOT_A_CALL_KIND:
        return Skipped("spans of agents, tools and chains: the model calls below them are counted")
    if not _MARKS & found.keys():
        return Skipped("spans that are not of a model call")
    answered = text(first(found, (*_ANSWERED, *_REQUESTED)))
    if answered == NONE:
        raise Faulty("the span names no model")
    ended = nanoseconds(span.get("endTimeUnixNano"), "endTimeUnixNano")
    status, code = status_of(span, found)
    tokens = _tokens(found)
    return UsageRecord(
        record_id=_identity(span, found),
        source=source,
        observed_us=observed_us,
        occurred_us=ended,
        provider=provider_name(first(found, _PROVIDER)),
        model=answered,
        requested_model=text(first(found, (*_REQUESTED, *_ANSWERED))),
        operation=_operation(operation, found),
        service_tier=_tier(found),
        region=text(first(resource, ("cloud.region",))),
        status=status,
        status_code=code,
        finish_reason=_finish_reason(found),
        latency_ms=_latency(span, ended),
        trace_id=text(span.get("traceId")),
        span_id=text(span.get("spanId")),
        session_id=text(first(found, _SESSION)),
        # The resource is what the deployer wrote; a span's attributes may come from whoever called.
        team=text(first(resource, _TEAM)),
        environment=text(first(resource, _ENVIRONMENT)),
        app=text(first(resource, ("service.name",))),
        end_user=text(first(found, _USER)),
        route=text(first(found, ("http.route",))),
        release=text(first(resource, ("service.version",))),
        prompt_version=text(first(found, ("gen_ai.prompt.version", "llm.prompt_template.version"))),
        tags=tags_of(agent=found.get("gen_ai.agent.name"), repository=first({**resource, **found}, _REPOSITORY)),
        input_uncached=tokens.input_uncached,
        cache_read=tokens.cache_read,
        cache_write_5m=tokens.cache_write_5m,
        output=tokens.output,
        reasoning=tokens.reasoning,
        grade="claimed",
    )


def nanoseconds(value: object, name: str) -> int:
    """A time in nanoseconds since the epoch, which JSON has as text, as whole microseconds."""
    return moment(number(value, name) / 1000, "us", name)


def provider_name(value: object) -> str:
    """The provider in the words of the gateways' logs: "aws.bedrock" is bedrock."""
    found = text(value)
    return found if found == NONE else _PROVIDERS.get(found.lower(), found.lower())


def tags_of(**tags: object) -> tuple[tuple[str, str], ...]:
    """Those of the tags that have a value, sorted."""
    return tuple(sorted((name, text(value)) for name, value in tags.items() if text(value) != NONE))


def _identity(span: Object, found: Object) -> str:
    answered = text(first(found, _RESPONSE_ID))
    if answered != NONE:
        return answered
    trace, one = text(span.get("traceId")), text(span.get("spanId"))
    return NONE if NONE in (trace, one) else f"{trace}-{one}"


def _tokens(found: Object) -> Tokens:
    # No convention says how long a written entry lives; the shorter life is the default and the cheaper.
    return of_all_input(
        _count(found, _INPUT),
        read=_count(found, _READ),
        written_5m=_count(found, _WRITTEN),
        output=_count(found, _OUTPUT),
        reasoning=_count(found, _REASONING),
    )


def _count(found: Object, names: tuple[str, ...]) -> int:
    for name in names:
        if found.get(name) is not None:
            return count(found[name], name)
    return 0


def _operation(named: str, found: Object) -> str:
    if named == NONE:
        return "embeddings" if text(found.get("openinference.span.kind")) == "EMBEDDING" else "chat"
    return _OPERATIONS.get(named, named)


def status_of(span: Object, found: Object) -> tuple[Literal["ok", "error"], int]:
    """Whether it failed, and the HTTP status where one is named."""
    status = _object(span.get("status"))
    failed = status.get("code") in (2, "STATUS_CODE_ERROR") or found.get("error.type") is not None
    if not failed:
        return "ok", 200
    for value in (found.get("http.response.status_code"), found.get("error.type")):
        code = text(value)
        if code.isascii() and code.isdigit() and len(code) == 3:
            return "error", int(code)
    return "error", 500


def _finish_reason(found: Object) -> str:
    reasons = found.get("gen_ai.response.finish_reasons")
    one = reasons[0] if isinstance(reasons, list) and reasons else reasons
    return text(one if one is not None else found.get("gen_ai.completion.0.finish_reason"))


def _latency(span: Object, ended: int) -> int:
    started = span.get("startTimeUnixNano")
    return 0 if started is None else max(0, ended - nanoseconds(started, "startTimeUnixNano")) // 1000


def _tier(found: Object) -> str:
    tier = text(first(found, _TIER))
    return "standard" if tier in _STANDARD else tier


def _object(value: object) -> Object:
    return value if isinstance(value, dict) else {}
