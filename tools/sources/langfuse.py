"""Langfuse: exported traces, and pages of its public API's observations (v1 and v2), one record per generation.

Agents, tools, chains and spans are kept as traces.

Source: langfuse/langfuse, public API definitions (FIELD.md 4.4). `usageDetails` is what the instrumentation wrote: some
write cached and reasoning tokens beside `input` and `output`, some inside; `total` tells which. The cost is Langfuse's
own estimate or the client's word: it is kept as the tag `estimated_usd`, never as billed. Grade: claimed.
"""

from collections.abc import Iterator

from store.model.ports import Clock
from store.model.span import Span, SpanKind
from store.model.usage import NONE, UsageRecord
from tools.sources.dimensions import at, request_tags
from tools.sources.documents import Broken, DocumentSource, Object, Skipped, Traced, first, listed
from tools.sources.fields import Faulty, moment, sane_time, text
from tools.sources.langfuse_usage import tokens_of
from tools.sources.otel_spans import provider_name, tags_of
from tools.sources.steps import KEPT, plain_name

_CALLS = {"GENERATION": "chat", "EMBEDDING": "embeddings"}
_STEPS: dict[str, SpanKind] = {
    "AGENT": "agent",
    "TOOL": "tool",
    **dict.fromkeys(("SPAN", "CHAIN", "RETRIEVER", "GUARDRAIL", "EVALUATOR"), "step"),
}
_FROM_TRACE = ("sessionId", "userId", "tags", "release", "environment", "version")
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_KEPT_IN_QUARANTINE = ("id", "traceId", "type", "startTime", "endTime", "model", "providedModelName", "usageDetails")


def open_langfuse(*, name: str, clock: Clock) -> DocumentSource:
    """An exported trace {trace, observations}, an API page {data}, or single observations, one JSON object each."""
    return DocumentSource(name=name, clock=clock, unfold=_unfold, record=_traced, shown=_shown)


def _unfold(document: Object) -> Iterator[Object | Broken]:
    """Each observation, with what its trace knows and it does not."""
    if "observations" in document:
        trace = document.get("trace")
        known = trace if isinstance(trace, dict) else document
        context = {name: known[name] for name in _FROM_TRACE if known.get(name) is not None}
        context["traceName"] = known.get("name")
        for row in listed(document, "observations"):
            own = {} if isinstance(row, Broken) else {name: value for name, value in row.items() if value is not None}
            yield row if isinstance(row, Broken) else {**context, **own}
    elif "data" in document:
        yield from listed(document, "data")
    elif "traceId" in document or "type" in document:
        yield document
    else:
        yield Broken("not a trace, a page of observations or an observation", ", ".join(sorted(document)[:10]))


def _traced(row: Object, source: str, observed_us: int) -> UsageRecord | Skipped | Traced:
    """What an observation is in its trace, if anything, and its record."""
    usage = record_of_observation(row, source, observed_us)
    kind = "llm" if isinstance(usage, UsageRecord) else _STEPS.get(text(row.get("type")))
    ids = text(row.get("traceId")), text(row.get("id"))
    if kind is None or NONE in ids:
        return usage
    ended = _time(row, "endTime" if row.get("endTime") is not None else "startTime")
    started = _time(row, "startTime") if row.get("startTime") is not None else ended
    span = Span(
        trace_id=ids[0],
        span_id=ids[1],
        source=source,
        observed_us=observed_us,
        started_us=min(started, ended),
        ended_us=sane_time(ended, observed_us),
        kind=kind,
        name=plain_name(usage.model if isinstance(usage, UsageRecord) else row.get("name")),
        parent_id=text(row.get("parentObservationId")),
        status="error" if row.get("level") == "ERROR" else "ok",
        record_id=usage.record_id if isinstance(usage, UsageRecord) else NONE,
    )
    return Traced(span, usage if isinstance(usage, UsageRecord) else KEPT)


def record_of_observation(row: Object, source: str, observed_us: int) -> UsageRecord | Skipped:
    """The record of a generation or embedding; other observations are skipped.

    Raises:
        Faulty: a number or time cannot be right, or no model is named.
    """
    operation = _CALLS.get(text(row.get("type")))
    if operation is None:
        return Skipped("observations that are no model call")
    model = text(first(row, ("providedModelName", "model")))
    if model == NONE:
        raise Faulty("the observation names no model")
    ended = _time(row, "endTime" if row.get("endTime") is not None else "startTime")
    tokens = tokens_of(row.get("usageDetails"))
    failed = row.get("level") == "ERROR"
    attributes = at(row, "metadata.attributes")
    resource = at(row, "metadata.resourceAttributes")
    tags = request_tags(row.get("tags"))
    return UsageRecord(
        record_id=_identity(row),
        source=source,
        observed_us=observed_us,
        occurred_us=ended,
        provider=provider_name(first(attributes if isinstance(attributes, dict) else {}, _PROVIDER)),
        model=model,
        requested_model=model,
        operation=operation,
        status="error" if failed else "ok",
        status_code=500 if failed else 200,
        latency_ms=max(0, ended - _time(row, "startTime")) // 1000 if row.get("startTime") is not None else 0,
        trace_id=text(row.get("traceId")),
        span_id=text(row.get("id")),
        session_id=text(row.get("sessionId")),
        app=text(first(resource if isinstance(resource, dict) else {}, ("service.name",)) or tags.get("app")),
        # Langfuse says "default" where nobody named an environment.
        environment=NONE if row.get("environment") == "default" else text(row.get("environment")),
        end_user=text(row.get("userId")),
        release=text(first(row, ("release", "version"))),
        prompt_version=_prompt(row),
        tags=tuple(
            sorted(
                {
                    **tags,
                    **dict(tags_of(trace_name=row.get("traceName"), estimated_usd=row.get("totalCost") or None)),
                }.items()
            )
        ),
        input_uncached=tokens.input_uncached,
        cache_read=tokens.cache_read,
        cache_write_5m=tokens.cache_write_5m,
        cache_write_1h=tokens.cache_write_1h,
        output=tokens.output,
        reasoning=tokens.reasoning,
        grade="claimed",
    )


def _identity(row: Object) -> str:
    # As a span's: with OpenTelemetry instrumentation both ids are the span's own.
    trace, one = text(row.get("traceId")), text(row.get("id"))
    return NONE if NONE in (trace, one) else f"{trace}-{one}"


def _prompt(row: Object) -> str:
    name, version = text(row.get("promptName")), text(row.get("promptVersion"))
    return NONE if name == NONE else name if version == NONE else f"{name}:{version}"


def _time(row: Object, name: str) -> int:
    value = row.get(name)
    return moment(value, "iso" if isinstance(value, str) else "s", name)


def _shown(row: Object) -> object:
    return {name: row[name] for name in _KEPT_IN_QUARANTINE if name in row}
