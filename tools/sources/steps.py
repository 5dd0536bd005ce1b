"""A span as a step of its trace: which agent, tool or model ran, below what, from when to when.

Source: open-telemetry/semantic-conventions-genai (agent and tool spans), openinference semantic conventions,
OpenLLMetry's `traceloop.span.kind`. Spans that are none of these (HTTP, databases) are no steps.
"""

from store.model.span import Span, SpanKind
from store.model.usage import NONE, UsageRecord
from tools.sources.documents import Object, Skipped, first
from tools.sources.fields import Faulty, sane_time, text
from tools.sources.otel_spans import nanoseconds, record_of_span, status_of

_BY_OPERATION: dict[str, SpanKind] = {
    "invoke_agent": "agent",
    "execute_tool": "tool",
    "create_agent": "step",
    "invoke_workflow": "step",
    "retrieval": "step",
    "plan": "step",
}
_BY_KIND: dict[str, SpanKind] = {
    "agent": "agent",
    "tool": "tool",
    "workflow": "step",
    "task": "step",
    "chain": "step",
    "retriever": "step",
    "reranker": "step",
    "guardrail": "step",
    "evaluator": "step",
    "prompt": "step",
}
"""By OpenInference's and OpenLLMetry's kinds, in small letters."""
_KINDS = ("openinference.span.kind", "traceloop.span.kind")
_AGENT = ("gen_ai.agent.name", "agent.name")
_NAMES: dict[SpanKind, tuple[str, ...]] = {
    "agent": (*_AGENT, "traceloop.entity.name"),
    "tool": ("gen_ai.tool.name", "tool.name", "traceloop.entity.name"),
    "step": ("gen_ai.workflow.name", "traceloop.entity.name"),
}
_MOST_CHARACTERS = 200
KEPT = Skipped("spans of agents, tools and steps: they are kept as traces, the model calls below them are counted")


def traced(span: Object, source: str, observed_us: int) -> tuple[Span | None, UsageRecord | Skipped]:
    """What a span whose attributes are flat is in its trace, if anything, and the usage that it is or is not.

    Raises:
        Faulty: a number or time cannot be right, or a model call names no model.
    """
    usage = record_of_span(span, source, observed_us)
    found = span["attributes"]
    assert isinstance(found, dict)
    kind = "llm" if isinstance(usage, UsageRecord) else _kind(found)
    ids = text(span.get("traceId")), text(span.get("spanId"))
    if kind is None or NONE in ids:
        return None, usage
    called = usage.model if isinstance(usage, UsageRecord) else first(found, _NAMES[kind]) or span.get("name")
    ended = sane_time(nanoseconds(span.get("endTimeUnixNano"), "endTimeUnixNano"), observed_us)
    step = Span(
        trace_id=ids[0],
        span_id=ids[1],
        source=source,
        observed_us=observed_us,
        started_us=min(ended, _started(span, ended)),
        ended_us=ended,
        kind=kind,
        name=plain_name(called),
        parent_id=text(span.get("parentSpanId")),
        agent=plain_name(first(found, _AGENT)),
        status=status_of(span, found)[0],
        record_id=usage.record_id if isinstance(usage, UsageRecord) else NONE,
    )
    return step, usage if isinstance(usage, UsageRecord) else KEPT


def plain_name(value: object) -> str:
    """A name on one line, without control characters; they are shown to people as evidence."""
    found = text(value)
    if not found.isprintable():
        found = " ".join("".join(c if c.isprintable() else " " for c in found).split()) or NONE
    return found[:_MOST_CHARACTERS]


def _kind(found: Object) -> SpanKind | None:
    operation = _BY_OPERATION.get(text(found.get("gen_ai.operation.name")))
    return operation or _BY_KIND.get(text(first(found, _KINDS)).lower())


def _started(span: Object, ended: int) -> int:
    started = span.get("startTimeUnixNano")
    try:
        return ended if started is None else nanoseconds(started, "startTimeUnixNano")
    except Faulty:
        return ended
