"""The OTLP receiver over real HTTP, fed by OpenTelemetry's own SDK and exporters, and by whoever sends garbage."""

import base64
import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]  # protobuf ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no types either
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import SecretStr

from agent.app import assemble
from agent.bursar import Bursar
from agent.entrypoints.keeper import Keeper
from agent.entrypoints.receiver import build_receiver, receiver_of
from agent.settings import IntakeSettings, Settings
from agent.steps.collect import take_in
from store.model.span import SourceRow
from store.model.usage import Intake, Quarantined, UsageRecord, Window
from tests.agent.entrypoints.traced_run import traced_run
from tests.servers.serving import serving
from tools.sources.otel import open_otlp
from tools.sources.settings import OtlpSettings

TOKEN = "the-exporters-own-token"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVER = Window(start=NOW - timedelta(days=9), end=NOW + timedelta(days=9))
PROTOBUF = "application/x-protobuf"

CURRENT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-opus-4-5",
    "gen_ai.response.model": "claude-opus-4-5",
    "gen_ai.response.id": "msg_1",
    "gen_ai.response.finish_reasons": ["end_turn"],
    "gen_ai.conversation.id": "talk-7",
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.cache_read.input_tokens": 400,
    "gen_ai.usage.cache_creation.input_tokens": 100,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.input.messages": '[{"role": "user", "content": "a secret prompt"}]',
}
OLDER = {
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.prompt_tokens": 200,
    "gen_ai.usage.completion_tokens": 20,
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "anthropic",
    "llm.model_name": "claude-opus-4-5",
    "llm.token_count.prompt": 300,
    "llm.token_count.prompt_details.cache_read": 100,
    "llm.token_count.completion": 30,
    "session.id": "talk-8",
}
NAMELESS = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5}


class Here(NamedTuple):
    """A served receiver."""

    url: str
    bursar: Bursar
    seen: list[Intake]

    def send(self, content: bytes, signal: str = "traces", **headers: str) -> httpx.Response:
        shown = {"authorization": f"Bearer {TOKEN}", "content-type": PROTOBUF}
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(f"{self.url}/v1/{signal}", content=content, headers={**shown, **names}, verify=False)

    def records(self) -> dict[str, dict[str, Any]]:
        found = self.bursar.warehouse.records(EVER)
        rows = [dict(zip(found.columns, row, strict=True)) for row in zip(*found.columns.values(), strict=True)]
        return {f"{row['model']} {row['session_id']}": row for row in rows}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    yield from _served(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    yield from _served(tmp_path_factory.mktemp("receiver"))


def _served(folder: Path) -> Iterator[Here]:
    wanted = Settings(data_dir=folder, intake=IntakeSettings(otlp=OtlpSettings(token=SecretStr(TOKEN))))
    bursar = assemble(wanted, clock=lambda: NOW, owner="test", checkpointed=False)
    seen: list[Intake] = []
    receiver = receiver_of(bursar, counted=seen.append)
    assert receiver is not None
    api = FastAPI()
    api.include_router(receiver.router)
    with serving(api) as url:
        yield Here(url, bursar, seen)
    receiver.close()
    bursar.close()


def traced(exporter: SpanExporter, *calls: dict[str, Any], failed: bool = False) -> None:
    """An agent's span with a tool's and one of each model call below it, ended two seconds ago, and exported."""
    resource = Resource({"service.name": "indexer", "team": "search", "deployment.environment.name": "prod"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    ended = int(NOW.timestamp() - 2) * 10**9
    agent = tracer.start_span("invoke_agent", start_time=ended - 10**9)
    agent.set_attributes({"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 9_999})
    tool = tracer.start_span("execute_tool", start_time=ended - 10**9)
    tool.set_attribute("gen_ai.operation.name", "execute_tool")
    for attributes in calls:
        span = tracer.start_span("chat", start_time=ended - 1_500_000_000)
        span.set_attributes(attributes)
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(ended)
    tool.end(ended)
    agent.end(ended)
    assert provider.force_flush()
    provider.shutdown()


def to(url: str, token: str = TOKEN, packed: bool = True) -> OTLPSpanExporter:
    """OpenTelemetry's own exporter: protobuf, gzipped."""
    compression = Compression.Gzip if packed else Compression.NoCompression
    headers = {"authorization": f"Bearer {token}"}
    return OTLPSpanExporter(f"{url}/v1/traces", headers=headers, compression=compression, timeout=10)


def encoded(*calls: dict[str, Any]) -> bytes:
    """The body that the exporter would send."""
    return bytes(encode_spans(_spans(*calls)).SerializeToString())


def _spans(*calls: dict[str, Any]) -> tuple[ReadableSpan, ...]:
    memory = InMemorySpanExporter()
    traced(memory, *calls)
    return memory.get_finished_spans()


@pytest.mark.parametrize("packed", [True, False])
def test_the_sdk_exports_model_calls(here: Here, packed: bool) -> None:
    """Names of today, older ones and OpenInference's; tokens in disjoint classes, priced; agents and tools no calls."""
    traced(to(here.url, packed=packed), CURRENT, OLDER, OPENINFERENCE)
    found = here.records()
    assert sorted(found) == ["claude-opus-4-5 talk-7", "claude-opus-4-5 talk-8", "gpt-4o-mini (none)"]
    one = found["claude-opus-4-5 talk-7"]
    assert (one["input_uncached"], one["cache_read"], one["cache_write_5m"], one["output"]) == (500, 400, 100, 50)
    assert (one["provider"], one["record_id"], one["finish_reason"]) == ("anthropic", "msg_1", "end_turn")
    assert (one["team"], one["app"], one["environment"], one["latency_ms"]) == ("search", "indexer", "prod", 1_500)
    assert one["cost_nanos"] == 500 * 5_000 + 400 * 500 + 100 * 6_250 + 50 * 25_000
    two = found["claude-opus-4-5 talk-8"]
    assert (two["input_uncached"], two["cache_read"], two["output"]) == (200, 100, 30)
    three = found["gpt-4o-mini (none)"]
    assert (three["input_uncached"], three["output"], three["cost_nanos"]) == (200, 20, 200 * 150 + 20 * 600)
    assert {row["grade"] for row in found.values()} == {"claimed"}
    assert here.seen == [Intake(accepted=3)]
    assert here.bursar.warehouse.quarantined() == []


def test_both_encodings_end_in_equal_records(here: Here) -> None:
    """The JSON mapping of the same export adds nothing: every row is a duplicate."""
    spans = _spans(CURRENT, OLDER, OPENINFERENCE)
    assert here.send(encode_spans(spans).SerializeToString()).content == b""
    document = MessageToDict(encode_spans(spans))
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                ids = ("traceId", "spanId")
                # protobuf's JSON has bytes in base64, OTLP's has ids in hexadecimal.
                span.update({name: _hex(span[name]) for name in ids})
    answer = here.send(json.dumps(document).encode(), content_type="application/json; charset=utf-8")
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-type"] == "application/json"
    assert here.seen == [Intake(accepted=3), Intake(duplicate=3)]


def test_agents_and_tools_become_traces(here: Here) -> None:
    """A run of both conventions: every span once, below its parent, and each model call names its record."""
    run = traced_run(NOW - timedelta(minutes=1))
    for _ in range(2):
        assert here.send(run.body).content == b""
    spans = here.bursar.warehouse.spans(EVER, limit=99)
    assert Counter(one.kind for one in spans) == run.kinds
    by_id = {one.span_id: one for one in spans}
    above = Counter((one.kind, by_id[one.parent_id].name) for one in spans if one.parent_id in by_id)
    assert above == {("tool", "triage"): 3, ("tool", "writer"): 3, ("llm", "search"): 3, ("llm", "fetch"): 3}
    assert Counter(one.status for one in spans if one.kind == "tool") == {"ok": 4, "error": 2}
    known = set(here.bursar.warehouse.records(EVER).column("record_id").tolist())
    assert {one.record_id for one in spans if one.kind == "llm"} == known
    assert here.seen == [Intake(accepted=6), Intake(duplicate=6)]


def _hex(text: str) -> str:
    return base64.b64decode(text).hex()


def test_events_of_a_coding_agent(here: Here) -> None:
    """Claude Code's log events by /v1/logs."""
    attributes = {"event.name": "api_request", "session.id": "s1", "event.sequence": "4", "model": "claude-opus-4-5"}
    counts = {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 90, "cost_usd": 0.1}
    pairs: list[dict[str, Any]] = [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items()]
    pairs += [{"key": k, "value": {"doubleValue" if k == "cost_usd" else "intValue": v}} for k, v in counts.items()]
    record: dict[str, Any] = {"timeUnixNano": str(int(NOW.timestamp()) * 10**9), "attributes": pairs}
    record["body"] = {"stringValue": "claude_code.api_request"}
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    assert here.send(json.dumps(document).encode(), "logs", content_type="application/json").json() == {}
    one = here.records()["claude-opus-4-5 s1"]
    assert (one["input_uncached"], one["cache_read"], one["output"], one["app"]) == (10, 90, 5, "claude-code")


def test_what_cannot_be_right_is_a_partial_success(here: Here) -> None:
    """Good spans are kept; the others are quarantined, counted and explained, and need not be sent again."""
    answer = here.send(encoded(CURRENT, NAMELESS))
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert answer.headers["content-type"] == PROTOBUF
    assert (answer.status_code, said.rejected_spans, said.error_message) == (200, 1, "the span names no model")
    assert here.seen == [Intake(accepted=1, quarantined=1)]
    assert "secret" not in here.bursar.warehouse.quarantined()[0].raw


def test_metrics_are_answered_and_not_taken(here: Here) -> None:
    """All points are rejected with the reason, in both encodings."""
    points = {"metrics": [{"name": "claude_code.token.usage", "sum": {"dataPoints": [{"asInt": "3"}, {"asInt": "4"}]}}]}
    document = {"resourceMetrics": [{"scopeMetrics": [points]}]}
    said = here.send(json.dumps(document).encode(), "metrics", content_type="application/json").json()
    assert said["partialSuccess"]["rejectedDataPoints"] == "2"
    assert "not taken" in said["partialSuccess"]["errorMessage"]
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add().sum.data_points.add().as_int = 3
    answer = here.send(request.SerializeToString(), "metrics")
    assert ExportMetricsServiceResponse.FromString(answer.content).partial_success.rejected_data_points == 1
    assert here.send(b"", "metrics").content == b""
    assert here.seen == []


@pytest.mark.parametrize(
    ("status", "content", "headers"),
    [
        (401, b"", {"authorization": "Bearer wrong"}),
        (401, b"", {"authorization": ""}),
        (415, b"", {"content_type": "text/plain"}),
        (415, b"x", {"content_encoding": "zstd"}),
        (400, b"\xff\xff garbage", {}),
        (400, b"not gzip", {"content_encoding": "gzip"}),
        (400, b"[1]", {"content_type": "application/json"}),
        (400, b"{", {"content_type": "application/json"}),
        (413, gzip.compress(bytes(65 * 2**20), 1), {"content_encoding": "gzip"}),
    ],
)
def test_what_is_not_taken_is_told_why(shared: Here, status: int, content: bytes, headers: dict[str, str]) -> None:
    """Every refusal is a google.rpc.Status in the request's encoding, and writes nothing."""
    answer = shared.send(content, **headers)
    assert answer.status_code == status
    as_json = answer.headers["content-type"] == "application/json"
    assert as_json == ("json" in headers.get("content_type", ""))
    message = answer.json()["message"] if as_json else Status.FromString(answer.content).message
    assert len(message) > 10
    assert shared.records() == {}


@pytest.fixture(scope="module")
def cut_off() -> bytes:
    return encoded(OLDER)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=60) | st.integers(0, 400),
    signal=st.sampled_from(["traces", "logs", "metrics"]),
    media=st.sampled_from([PROTOBUF, "application/json"]),
)
def test_garbage_is_never_a_fault_of_ours(
    shared: Here, cut_off: bytes, body: bytes | int, signal: str, media: str
) -> None:
    """Whatever bytes come, and wherever a good export is cut off, the answer is 200 or 4xx."""
    body = cut_off[:body] if isinstance(body, int) else body
    assert shared.send(body, signal, content_type=media).status_code in (200, 400)


class Blocked(NamedTuple):
    """A receiver whose warehouse does not come free until it is let go."""

    url: str
    let_go: threading.Event
    kept: list[SourceRow]
    stop: Callable[[], None]


@pytest.fixture
def blocked() -> Iterator[Blocked]:
    let_go, kept = threading.Event(), list[SourceRow]()

    def keep(rows: list[SourceRow]) -> Intake:
        assert let_go.wait(30)
        kept.extend(rows)
        return Intake(accepted=len(rows))

    keeper = Keeper(keep, most_waiting=1)
    api = FastAPI()
    source = lambda: open_otlp(name="otel", clock=lambda: NOW)  # noqa: E731
    api.include_router(build_receiver(token=TOKEN, opened=source, keeper=keeper, patience=0.05))
    with serving(api) as url:
        yield Blocked(url, let_go, kept, keeper.close)
    let_go.set()


def test_a_busy_warehouse_keeps_nobody_waiting(blocked: Blocked) -> None:
    """503 with Retry-After within the patience, at once where too many wait; what was not begun is not kept."""
    body, headers = encoded(CURRENT), {"authorization": f"Bearer {TOKEN}", "content-type": PROTOBUF}
    answers = [httpx.post(f"{blocked.url}/v1/traces", content=body, headers=headers, verify=False) for _ in range(3)]
    assert [one.status_code for one in answers] == [503, 503, 503]
    assert {one.headers["retry-after"] for one in answers} == {"5"}
    assert all(one.elapsed < timedelta(seconds=2) for one in answers)
    assert "busy" in Status.FromString(answers[0].content).message
    assert "too much waits" in Status.FromString(answers[2].content).message
    blocked.let_go.set()
    blocked.stop()
    calls = [row for row in blocked.kept if isinstance(row, UsageRecord)]
    assert len(calls) == 1, "the first was begun; the second was dropped; the third never came in"


def test_groups_are_kept_together_and_each_hears_of_its_fate() -> None:
    """Many small requests are one write; an error reaches every sender of the group, and the next group is kept."""
    begun, let_go, groups = threading.Event(), threading.Event(), list[int]()

    def keep(rows: list[SourceRow]) -> Intake:
        begun.set()
        assert let_go.wait(30)
        groups.append(len(rows))
        if len(groups) == 2:
            raise RuntimeError("the disk is gone")
        return Intake()

    keeper, row = Keeper(keep), Quarantined("otel", 1, "why", "{}")
    first = keeper.bring([row])
    assert begun.wait(30)
    others = [keeper.bring([row] * 2) for _ in range(3)]
    let_go.set()
    assert first.result(30) is None
    assert [type(one.exception(30)) for one in others] == [RuntimeError] * 3
    assert keeper.bring([row]).result(30) is None
    keeper.close()
    assert groups == [1, 6, 1]


def test_what_waits_is_kept_before_the_end() -> None:
    """Closing keeps what was handed over."""
    kept: list[SourceRow] = []

    def keep(rows: list[SourceRow]) -> Intake:
        kept.extend(rows)
        return Intake()

    keeper = Keeper(keep)
    futures = [keeper.bring([Quarantined("otel", n, "why", "{}")]) for n in range(5)]
    keeper.close()
    assert len(kept) == 5
    assert all(one.done() for one in futures)


def test_records_of_a_group_are_counted_once(here: Here) -> None:
    """The same export five times, as after five timeouts: one record."""
    body = encoded(CURRENT)
    for _ in range(5):
        assert here.send(body).status_code == 200
    assert sum((one for one in here.seen), Intake()) == Intake(accepted=1, duplicate=4)
    assert take_in(rows=[], warehouse=here.bursar.warehouse, prices=here.bursar.prices) == Intake()
