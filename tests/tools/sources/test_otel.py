"""OTLP spans of model calls under every convention's names, in every form of file."""

import json
from collections import Counter
from pathlib import Path

import pytest

from store.model.span import Span
from store.model.usage import NONE, Quarantined, UsageRecord
from tests.checks.check_source import NOW, at
from tests.tools.sources.cases import span_document
from tools.sources.otel import open_otlp

_STANDARD = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.request.model": "claude-opus-4-5",
    "gen_ai.response.model": "claude-opus-4-5-20251101",
    "gen_ai.response.id": "msg_1",
    "gen_ai.conversation.id": "conv-1",
    "gen_ai.response.finish_reasons": ["end_turn"],
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.cache_read.input_tokens": 600,
    "gen_ai.usage.cache_creation.input_tokens": 300,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.reasoning.output_tokens": 20,
    "gen_ai.agent.name": "triage",
    "user.id": "u-7",
}
_OLD = {
    "gen_ai.system": "Anthropic",
    "llm.request.type": "chat",
    "gen_ai.request.model": "claude-opus-4-5",
    "gen_ai.usage.prompt_tokens": 1_000,
    "gen_ai.usage.cache_read_input_tokens": 600,
    "gen_ai.usage.cache_creation_input_tokens": 300,
    "gen_ai.usage.completion_tokens": 50,
    "gen_ai.usage.reasoning_tokens": 20,
    "traceloop.association.properties.session_id": "conv-1",
}
_OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "anthropic",
    "llm.model_name": "claude-opus-4-5",
    "llm.token_count.prompt": 1_000,
    "llm.token_count.prompt_details.cache_read": 600,
    "llm.token_count.prompt_details.cache_write": 300,
    "llm.token_count.completion": 50,
    "llm.token_count.completion_details.reasoning": 20,
    "session.id": "conv-1",
}


def _read(*documents: object) -> list[UsageRecord | Quarantined]:
    rows = open_otlp(name="spans", clock=at()).parse(documents)
    return [row for row in rows if not isinstance(row, Span)]


def _one(attributes: dict[str, object], resource: dict[str, object] | None = None, **span: object) -> UsageRecord:
    (found,) = _read(span_document(attributes, resource, **span))
    assert isinstance(found, UsageRecord), found
    return found


@pytest.mark.parametrize("attributes", [_STANDARD, _OLD, _OPENINFERENCE], ids=["standard", "older", "openinference"])
def test_tokens_of_every_convention_are_disjoint(attributes: dict[str, object]) -> None:
    """Cached and written tokens come out of the input, reasoning stays a part of the output."""
    found = _one(attributes)
    assert (found.input_uncached, found.cache_read, found.cache_write_5m, found.cache_write_1h) == (100, 600, 300, 0)
    assert (found.output, found.reasoning, found.session_id) == (50, 20, "conv-1")
    assert (found.grade, found.billed_nanos, found.operation) == ("claimed", None, "chat")


def test_a_span_fills_a_record() -> None:
    """Ids, names, deployment and latency each come from their attribute."""
    resource: dict[str, object] = {"service.name": "search", "service.version": "1.4", "team.id": "core"}
    found = _one(_STANDARD, {**resource, "deployment.environment.name": "prod", "cloud.region": "eu-west-1"})
    assert (found.record_id, found.provider, found.model) == ("msg_1", "bedrock", "claude-opus-4-5-20251101")
    assert (found.requested_model, found.finish_reason, found.latency_ms) == ("claude-opus-4-5", "end_turn", 1_000)
    assert (found.trace_id, found.span_id, found.end_user) == ("a" * 32, "b" * 16, "u-7")
    assert (found.team, found.app, found.environment, found.release) == ("core", "search", "prod", "1.4")
    assert (found.region, found.tags) == ("eu-west-1", (("agent", "triage"),))
    assert found.occurred_us == int(NOW.timestamp() - 1) * 10**6


def test_without_a_response_id_the_span_is_the_call() -> None:
    """Trace and span id together tell calls apart; without them the row is quarantined."""
    assert _one(_OLD).record_id == f"{'a' * 32}-{'b' * 16}"
    (found,) = _read(span_document(_OLD, traceId=""))
    assert isinstance(found, Quarantined)
    assert found.reason == "the row has no id"


def test_the_caller_cannot_name_its_own_team() -> None:
    """Team, app and environment come from the resource, which the deployer writes, not from a span's attributes."""
    found = _one({**_STANDARD, "team": "forged", "deployment.environment.name": "forged", "service.name": "forged"})
    assert (found.team, found.environment, found.app) == (NONE, NONE, NONE)


@pytest.mark.parametrize(
    ("attributes", "status", "code"),
    [
        ({}, 0, 200),
        ({"error.type": "429"}, 0, 429),
        ({"error.type": "Timeout"}, 2, 500),
        ({}, "STATUS_CODE_ERROR", 500),
    ],
)
def test_failed_calls(attributes: dict[str, object], status: object, code: int) -> None:
    """An error status or an error type makes an error, with the HTTP status where one is named."""
    found = _one({**_STANDARD, **attributes}, status={"code": status})
    assert (found.status, found.status_code) == ("ok" if code == 200 else "error", code)


def test_spans_that_are_no_model_call_are_counted_and_passed_over(tmp_path: Path) -> None:
    """Agents, tools and chains repeat what the calls below them used; HTTP spans and metrics used nothing."""
    others: list[dict[str, object]] = [
        {**_STANDARD, "gen_ai.operation.name": "invoke_agent"},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "grep"},
        {"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 5},
        {"http.request.method": "POST"},
    ]
    path = tmp_path / "spans.json"
    path.write_text("\n".join(json.dumps(one) for one in [*map(span_document, others), {"resourceMetrics": []}]))
    source = open_otlp(name="spans", clock=at())
    assert not any(isinstance(row, UsageRecord | Quarantined) for row in source.read([path]))
    assert sorted(source.skipped.values()) == [1, 1, 3]
    assert isinstance(source.skipped, Counter)


def test_cached_tokens_above_the_input_are_quarantined_without_their_text() -> None:
    """An exporter that leaves cached tokens out of the input is told so, and its prompts stay out of the quarantine."""
    (found,) = _read(span_document({**_STANDARD, "gen_ai.usage.input_tokens": 5, "gen_ai.prompt": "SECRET"}))
    assert isinstance(found, Quarantined)
    assert "of which they are parts" in found.reason
    assert "msg_1" in found.raw
    assert "SECRET" not in found.raw


def test_broken_parts_do_not_hide_the_rows_beside_them() -> None:
    """What is no span is quarantined with its place; the next span is read."""
    document = span_document(_STANDARD)
    group = document["resourceSpans"]
    assert isinstance(group, list)
    found = _read({"resourceSpans": [7, {"scopeSpans": "x"}, {"scopeSpans": [None, {"spans": ["SECRET"]}]}, *group]}, 3)
    reasons = [one.reason for one in found if isinstance(one, Quarantined)]
    assert reasons == [
        "an element of resourceSpans is not an object",
        "scopeSpans is not a list",
        "an element of scopeSpans is not an object",
        "an element of spans is not an object",
        "the element is not a JSON object",
    ]
    assert not any("SECRET" in one.raw for one in found if isinstance(one, Quarantined))
    assert sum(isinstance(one, UsageRecord) for one in found) == 1


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("listed", [False, True])
def test_a_file_may_be_one_document(indent: int | None, listed: bool, tmp_path: Path) -> None:
    """One object or one list, on one line or pretty-printed, reads like JSON lines."""
    document = span_document(_STANDARD)
    path = tmp_path / "spans.json"
    path.write_text(json.dumps([document] if listed else document, indent=indent))
    found = open_otlp(name="spans", clock=at()).read([path])
    assert [row for row in found if isinstance(row, UsageRecord)] == [_one(_STANDARD)]
