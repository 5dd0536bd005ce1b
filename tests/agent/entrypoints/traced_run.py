"""One run of an agent as OpenTelemetry's own SDK traces and encodes it: the body of an OTLP/HTTP export request."""

from datetime import datetime
from typing import Any, NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, set_span_in_context

PROJECT = "bursar-proof"
_GEN_AI: dict[str, dict[str, Any]] = {
    "agent": {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "triage"},
    "tool": {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
    "llm": {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-opus-4-5",
        "gen_ai.response.model": "claude-opus-4-5",
        "gen_ai.usage.input_tokens": 1_000,
        "gen_ai.usage.cache_read.input_tokens": 500,
        "gen_ai.usage.output_tokens": 50,
    },
}
_OPENINFERENCE: dict[str, dict[str, Any]] = {
    "agent": {"openinference.span.kind": "AGENT", "agent.name": "writer"},
    "tool": {"openinference.span.kind": "TOOL", "tool.name": "fetch"},
    "llm": {
        "openinference.span.kind": "LLM",
        "llm.provider": "openai",
        "llm.model_name": "gpt-4o-mini",
        "llm.token_count.prompt": 300,
        "llm.token_count.prompt_details.cache_read": 100,
        "llm.token_count.completion": 30,
        "llm.token_count.total": 330,
    },
}


class Run(NamedTuple):
    """The request, and how many spans of each kind it has."""

    body: bytes
    kinds: dict[str, int]


def traced_run(ended: datetime, *, tools: int = 3) -> Run:
    """An agent of each convention, each with some tools, the last of them failing, and a model call below each tool."""
    memory = InMemorySpanExporter()
    resource = Resource({"service.name": "indexer", "openinference.project.name": PROJECT})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("tests")
    end = int(ended.timestamp()) * 10**9

    def run(kind: str, names: dict[str, dict[str, Any]], above: Any, *, number: int = 0) -> Any:
        span = tracer.start_span(kind, context=above, start_time=end - 10**9)
        span.set_attributes(names[kind])
        if kind == "llm":
            # No two calls alike, so that none can pass for another.
            span.set_attributes({name: value + number for name, value in names[kind].items() if type(value) is int})
        if kind == "llm" and names is _GEN_AI:
            span.set_attribute("gen_ai.response.id", f"msg_{number}")
        if kind == "tool" and number == tools - 1:
            span.set_status(StatusCode.ERROR)
        span.end(end)
        return set_span_in_context(span)

    for names in (_GEN_AI, _OPENINFERENCE):
        agent = run("agent", names, None)
        for number in range(tools):
            run("llm", names, run("tool", names, agent, number=number), number=number)
    provider.shutdown()
    body = bytes(encode_spans(memory.get_finished_spans()).SerializeToString())
    return Run(body, {"agent": 2, "tool": 2 * tools, "llm": 2 * tools})
