"""Langfuse: real exported traces, both ways to count details, and the public API page by page."""

import base64
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from store.model.span import Span
from store.model.usage import Quarantined, UsageRecord, Window
from tests.checks.check_source import at
from tests.servers.serving import serving
from tools.http import Host
from tools.sources.langfuse import open_langfuse
from tools.sources.langfuse_pull import pull_langfuse

_TRACES = Path(__file__).parents[3] / ".." / "shared" / "data" / "traces"
_START = datetime(2026, 11, 18, tzinfo=UTC)
_OBSERVATION: dict[str, Any] = {
    "id": "b" * 16,
    "traceId": "a" * 32,
    "type": "GENERATION",
    "startTime": "2026-11-18T10:00:00.000Z",
    "endTime": "2026-11-18T10:00:02.500Z",
    "level": "DEFAULT",
    "environment": "production",
    "providedModelName": "gpt-4o-mini",
    "usageDetails": {"input": 100, "output": 20, "total": 120},
    "totalCost": 0.0001,
    "promptName": "triage",
    "promptVersion": 3,
    "sessionId": "s-1",
    "userId": "u-1",
    "tags": ["app:search", "env:prod", "beta"],
    "release": "1.2",
    "traceName": "answer",
}


def _one(**changes: object) -> UsageRecord:
    span, found = open_langfuse(name="langfuse", clock=at()).parse([{**_OBSERVATION, **changes}])
    assert isinstance(span, Span), span
    assert isinstance(found, UsageRecord), found
    assert (span.kind, span.name, span.record_id) == ("llm", found.model, found.record_id)
    return found


@pytest.mark.skipif(not _TRACES.is_dir(), reason="needs the traces beside the repository, ../shared/data/traces")
def test_real_exports_of_seven_frameworks() -> None:
    """Every generation becomes one record with the tokens that Langfuse shows; all else is passed over."""
    paths = sorted(_TRACES.glob("langfuse_*.json"))
    observations = [one for path in paths for one in json.loads(path.read_text())["observations"]]
    calls = {f"{one['traceId']}-{one['id']}": one for one in observations if one["type"] == "GENERATION"}
    source = open_langfuse(name="langfuse", clock=at())
    found = [row for row in source.read(paths) if isinstance(row, UsageRecord)]
    assert len(found) == len(calls) == 19
    assert sum(source.skipped.values()) == len(observations) - len(calls)
    for record in found:
        one = calls[record.record_id]
        assert record.input_uncached + record.cache_read + record.cache_write_5m == one["inputUsage"]
        assert (record.output, record.model, record.latency_ms) == (one["outputUsage"], one["model"], one["latency"])
        assert (record.grade, record.billed_nanos) == ("claimed", None)
    assert {record.session_id for record in found} > {"session_abc", "35cc6c90-b657-4819-b66c-c931c03ad569"}
    assert sum(record.reasoning for record in found) == 1_104
    assert {"openai", "(none)"} <= {record.provider for record in found}


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        # What the v2 API documents: details beside input and output; total is the sum of all.
        (
            {"input": 10, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 30, "output": 5, "total": 105},
            (10, 60, 30, 0, 5, 0),
        ),
        # The same names inside: total is input and output.
        ({"input": 100, "input_cached_tokens": 60, "output": 5, "total": 105}, (40, 60, 0, 0, 5, 0)),
        # OpenInference's names, inside.
        (
            {"input": 100, "prompt_details.cache_read": 60, "output": 9, "completion_details.reasoning": 4},
            (40, 60, 0, 0, 9, 4),
        ),
        # Cached inside, reasoning beside, as the total says.
        (
            {"input": 100, "input_cached_tokens": 60, "output": 5, "output_reasoning_tokens": 7, "total": 112},
            (40, 60, 0, 0, 12, 7),
        ),
        # Without a total Langfuse's own names stand beside, audio is input like any other.
        ({"input": 10, "input_cached_tokens": 60, "input_audio_tokens": 2, "output": 5}, (12, 60, 0, 0, 5, 0)),
        ({"input": 1, "ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3, "output": 4}, (1, 0, 2, 3, 4, 0)),
        ({}, (0, 0, 0, 0, 0, 0)),
        (None, (0, 0, 0, 0, 0, 0)),
    ],
)
def test_details_stand_beside_or_inside(usage: object, tokens: tuple[int, ...]) -> None:
    """The reading that adds up to the total is taken; classes never overlap."""
    found = _one(usageDetails=usage)
    classes = (found.input_uncached, found.cache_read, found.cache_write_5m, found.cache_write_1h)
    assert (*classes, found.output, found.reasoning) == tokens


def test_an_observation_fills_a_record() -> None:
    """Trace context, prompt version and tags; the cost is an estimate, not a bill."""
    found = _one()
    assert found.record_id == f"{'a' * 32}-{'b' * 16}"
    assert (found.session_id, found.end_user, found.release) == ("s-1", "u-1", "1.2")
    assert (found.app, found.environment, found.prompt_version) == ("search", "production", "triage:3")
    assert found.latency_ms == 2_500
    tags = {"app": "search", "environment": "prod", "beta": "true", "trace_name": "answer", "estimated_usd": "0.0001"}
    assert dict(found.tags) == tags
    failed = _one(level="ERROR", environment="default", totalCost=None)
    assert (failed.status, failed.status_code, failed.environment) == ("error", 500, "(none)")


def test_what_cannot_be_right_is_kept_without_prompts() -> None:
    """Too many cached tokens, a broken usage, no model, no document: quarantined, inputs left out."""
    nested = {"input": 10, "prompt_details.cache_read": 60, "output": 5, "total": 15}
    documents = [
        {**_OBSERVATION, "usageDetails": nested, "input": "SECRET"},
        {**_OBSERVATION, "usageDetails": [1], "metadata": {"prompt": "SECRET"}},
        {**_OBSERVATION, "providedModelName": None},
        {"hello": "SECRET"},
        {"data": ["SECRET"]},
    ]
    found = list(open_langfuse(name="langfuse", clock=at()).parse(documents))
    reasons = [row.reason for row in found if isinstance(row, Quarantined)]
    assert len(reasons) == len(documents)
    for reason, says in zip(reasons, ("are parts", "not an object", "no model", "not a trace", "data"), strict=True):
        assert says in reason
    assert not any("SECRET" in row.raw for row in found if isinstance(row, Quarantined))


class _PublicApi:
    """GET /api/public/v2/observations of one project: filters, field groups, cursors of 2 rows."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.asked: list[dict[str, str]] = []

    def observations(self, request: Request) -> Response:
        """One page."""
        query = dict(request.query_params)
        self.asked.append(query)
        pair = base64.b64encode(b"pk-1:sk-1").decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return JSONResponse({"message": "Invalid credentials"}, 401)
        begin = int(base64.b64decode(query.get("cursor", "MA==")))
        fit = [
            row
            for row in self.rows
            if row["type"] == query["type"] and query["fromStartTime"] <= row["startTime"] < query["toStartTime"]
        ]
        more = begin + 2 < len(fit)
        meta = {"cursor": base64.b64encode(str(begin + 2).encode()).decode()} if more else {}
        return JSONResponse({"data": fit[begin : begin + 2], "meta": meta})


def test_the_public_api_page_by_page() -> None:
    """All calls and steps of the window, by cursor; prompts and metadata are not asked for."""
    rows = [{**_OBSERVATION, "id": f"{n:016x}"} for n in range(5)]
    rows += [{**_OBSERVATION, "id": "e", "type": "EMBEDDING"}, {**_OBSERVATION, "id": "s", "type": "SPAN"}]
    rows += [{**_OBSERVATION, "id": "old", "startTime": "2026-11-17T10:00:00.000Z"}]
    server = _PublicApi(rows)
    api = FastAPI()
    api.get("/api/public/v2/observations")(server.observations)
    with serving(api) as url, closing(Host(url)) as host:
        puller = pull_langfuse(host=host, public_key="pk-1", secret_key="sk-1", clock=at(), wait=lambda _: None)
        pages = list(puller.pull(Window(start=_START, end=_START + timedelta(days=1))))
    found = [row for page in pages for row in page.rows if isinstance(row, UsageRecord)]
    spans = [row for page in pages for row in page.rows if isinstance(row, Span)]
    assert [sum(isinstance(row, UsageRecord) for row in page.rows) for page in pages] == [2, 2, 1, 1, 0, 0, 0, 0]
    assert [row.kind for row in spans] == ["llm"] * 6 + ["step"]
    assert [row.operation for row in found] == ["chat"] * 5 + ["embeddings"]
    assert pages[-1].cursor is None
    assert all("io" not in asked["fields"].split(",") and asked["limit"] == "1000" for asked in server.asked)
    assert all("metadata" not in asked["fields"] for asked in server.asked)
