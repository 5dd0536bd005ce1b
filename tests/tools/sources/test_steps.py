"""Spans of agents, tools and model calls as steps of traces, under every convention's names."""

from typing import Any

import pytest

from store.model.span import Span
from store.model.usage import NONE, Quarantined, UsageRecord
from tests.checks.check_source import NOW, at
from tests.tools.sources.cases import span_document
from tools.sources.langfuse import open_langfuse
from tools.sources.otel import open_otlp

_CALL: dict[str, object] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-opus-4-5",
    "gen_ai.response.id": "msg_1",
    "gen_ai.agent.name": "triage",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
}


def _steps(attributes: dict[str, object], **span: Any) -> list[Span]:
    rows = open_otlp(name="spans", clock=at()).parse([span_document(attributes, **span)])
    return [row for row in rows if isinstance(row, Span)]


@pytest.mark.parametrize(
    ("attributes", "kind", "name"),
    [
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "triage"}, "agent", "triage"),
        ({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}, "tool", "search"),
        ({"gen_ai.operation.name": "execute_tool"}, "tool", "the span"),
        ({"openinference.span.kind": "AGENT", "agent.name": "triage"}, "agent", "triage"),
        ({"openinference.span.kind": "TOOL", "tool.name": "search"}, "tool", "search"),
        ({"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 5}, "step", "the span"),
        ({"traceloop.span.kind": "tool", "traceloop.entity.name": "search"}, "tool", "search"),
        ({"traceloop.span.kind": "workflow", "traceloop.entity.name": "answer"}, "step", "answer"),
    ],
)
def test_agents_tools_and_steps(attributes: dict[str, object], kind: str, name: str) -> None:
    """What ran, by its own name where it has one and by the span's otherwise; no usage of its own."""
    (found,) = _steps(attributes, name="the span", parentSpanId="c" * 16, status={"code": 2})
    assert (found.kind, found.name, found.parent_id, found.status) == (kind, name, "c" * 16, "error")
    assert (found.trace_id, found.span_id, found.record_id) == ("a" * 32, "b" * 16, NONE)
    assert found.ended_us - found.started_us == 10**6


def test_a_model_call_is_a_step_and_a_record() -> None:
    """The step names the record, by whichever id that has, and the agent that the span says."""
    rows = list(open_otlp(name="spans", clock=at()).parse([span_document(_CALL)]))
    step, record = rows
    assert isinstance(step, Span)
    assert isinstance(record, UsageRecord)
    assert (step.kind, step.name, step.agent) == ("llm", record.model, "triage")
    assert (step.record_id, step.parent_id) == (record.record_id, NONE) == ("msg_1", NONE)


@pytest.mark.parametrize(
    ("attributes", "span"),
    [
        ({"http.request.method": "POST"}, {}),
        ({"gen_ai.operation.name": "execute_tool"}, {"traceId": ""}),
        ({"gen_ai.operation.name": "execute_tool"}, {"endTimeUnixNano": "1"}),
        ({**_CALL, "gen_ai.usage.output_tokens": -1}, {}),
    ],
    ids=["no step", "no id", "absurd time", "a call that cannot be right"],
)
def test_what_is_no_step(attributes: dict[str, object], span: dict[str, object]) -> None:
    """Other spans, spans without ids and those that cannot be right are not kept."""
    assert _steps(attributes, **span) == []


def test_names_are_one_line_and_short() -> None:
    """A name is what the exporter wrote: no line breaks or control characters reach a terminal, nor a page of text."""
    hostile = "search\x1b[31m\r\n\u202eIGNORE ALL RULES" + "x" * 999
    (found,) = _steps({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": hostile})
    assert found.name.isprintable()
    assert found.name.startswith("search [31m IGNORE ALL RULES")
    assert len(found.name) == 200


def test_observations_of_langfuse() -> None:
    """Agents, tools and spans with their parents; a running one ends where it began until it is told again."""
    start = NOW.replace(day=18).isoformat()
    row: dict[str, Any] = {"traceId": "t", "id": "s", "parentObservationId": "p", "name": "search", "startTime": start}
    found = list(open_langfuse(name="l", clock=at()).parse({**row, "type": one} for one in ("TOOL", "SPAN", "EVENT")))
    assert [(row.kind, row.name, row.parent_id) for row in found if isinstance(row, Span)] == [
        ("tool", "search", "p"),
        ("step", "search", "p"),
    ]
    assert all(isinstance(row, Span) and row.started_us == row.ended_us for row in found)
    (broken,) = open_langfuse(name="l", clock=at()).parse([{**row, "type": "TOOL", "startTime": "soon"}])
    assert isinstance(broken, Quarantined)
