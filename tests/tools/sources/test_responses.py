"""Recorded provider responses as five disjoint token classes, and response bodies as a source."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from store.model.usage import Quarantined, UsageRecord
from tests.checks.check_source import at
from tools.sources.anthropic_admin import open_anthropic
from tools.sources.openai_admin import open_openai
from tools.sources.response_usage import anthropic_tokens, openai_tokens
from tools.sources.tokens import Tokens

_RECORDINGS = Path(__file__).parents[3] / ".." / "shared" / "data" / "api_recordings" / "llm_api_recordings.parquet"
_recorded = pytest.mark.skipif(
    not _RECORDINGS.exists(), reason="needs the recordings beside the repository, ../shared/data/api_recordings"
)

Json = dict[str, Any]


@cache
def _exchanges() -> tuple[Json, ...]:
    """Answered calls of a model whose counts are in snake case: not Converse, not completions of before 2024."""
    rows = pq.read_table(_RECORDINGS).to_pylist()
    return tuple(row for row in rows if row["status"] == 200 and json.loads(row["usage_max"] or "{}"))


def _usage(row: Json) -> Json:
    """The usage of a recorded response; of a stream, what its events say in the end."""
    if not row["streamed"]:
        found: Json = json.loads(row["response"])["usage"]
        return found
    usage: Json = {}
    for line in row["response"].splitlines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        holder = event.get("message") or event.get("response") or event
        usage |= holder.get("usage") or {}
    return usage


def _tokens(row: Json) -> Tokens:
    parse: Callable[[object], Tokens] = openai_tokens if row["provider"] == "openai" else anthropic_tokens
    return parse(_usage(row))


@_recorded
@pytest.mark.parametrize(
    ("path", "at_", "tokens"),
    [
        # Anthropic: cached and written tokens stand beside the input.
        ("test_anthropic_prompt_caching_async_with_events_with_no_content.yaml", 0, Tokens(4, 0, 1_165, 0, 207)),
        ("test_anthropic_prompt_caching_async_with_events_with_no_content.yaml", 1, Tokens(4, 1_165, 0, 0, 224)),
        ("test_anthropic_prompt_caching_stream_legacy.yaml", 1, Tokens(4, 1_165, 0, 0, 221)),
        # Bedrock's invoke answers with Anthropic's body.
        ("test_prompt_cache.yaml", 1, Tokens(4, 18_131, 0, 0, 50)),
        # OpenAI: cached tokens are a part of the input, reasoning a part of the output.
        ("test_openai_with_events_with_content.yaml", 0, Tokens(89, 1_408, 0, 0, 1_037)),
        ("test_openai_prompt_caching_async.yaml", 1, Tokens(126, 1_024, 0, 0, 307)),
        ("test_chat_reasoning.yaml", 2, Tokens(11, 0, 0, 0, 138, 128)),
        ("test_responses_reasoning.yaml", 0, Tokens(11, 0, 0, 0, 327, 320)),
    ],
)
def test_recorded_usage(path: str, at_: int, tokens: Tokens) -> None:
    """Read by hand from the recordings: uncached, read, 5-minute write, 1-hour write, output, reasoning."""
    found = [row for row in _exchanges() if row["path"].rpartition("/")[2] == path and row["i"] == at_]
    assert found
    assert {_tokens(row) for row in found} == {tokens}


@_recorded
@pytest.mark.parametrize(("provider", "calls"), [("anthropic", 174), ("bedrock-anthropic", 22)])
def test_every_recorded_anthropic_response(provider: str, calls: int) -> None:
    """The classes are the response's own counters, which are disjoint."""
    rows = [row for row in _exchanges() if row["provider"] == provider]
    assert len(rows) == calls
    for row in rows:
        most, found = json.loads(row["usage_max"]), _tokens(row)
        assert found.input_uncached == most["input_tokens"]
        assert found.output == most["output_tokens"]
        assert found.cache_read == most.get("cache_read_input_tokens", 0)
        assert found.cache_write_5m + found.cache_write_1h == most.get("cache_creation_input_tokens", 0)


@_recorded
def test_every_recorded_openai_response() -> None:
    """Uncached and cached tokens add up to the input, chat completions and responses alike."""
    rows = [row for row in _exchanges() if row["provider"] == "openai"]
    assert len(rows) == 448
    for row in rows:
        most, found = json.loads(row["usage_max"]), _tokens(row)
        assert found.input == most["prompt_tokens" if "prompt_tokens" in most else "input_tokens"]
        assert found.output == most["completion_tokens" if "completion_tokens" in most else "output_tokens"]
        assert found.cache_read == most.get("cached_tokens", 0)
        assert found.reasoning == most.get("reasoning_tokens", 0) <= found.output


@_recorded
def test_recorded_bodies_are_a_source(tmp_path: Path) -> None:
    """Each body that is not a stream becomes a record with the provider's own id."""
    for provider, opened in (("openai", open_openai), ("anthropic", open_anthropic)):
        rows = [row for row in _exchanges() if row["provider"] == provider and not row["streamed"]]
        path = tmp_path / f"{provider}.jsonl"
        bodies = [{**json.loads(row["response"]), "timestamp": "2026-11-18T10:00:00Z"} for row in rows]
        path.write_text("".join(json.dumps(body) + "\n" for body in bodies))
        found = list(opened(name=provider, clock=at()).read([path]))
        assert len(found) == len(rows)
        for body, row, record in zip(bodies, rows, found, strict=True):
            assert isinstance(record, UsageRecord), record
            assert (record.record_id, record.model, record.provider) == (body["id"], body["model"], provider)
            assert record.output == _tokens(row).output
            assert (record.grade, record.billed_nanos) == ("claimed", None)


def test_one_hour_writes_and_thinking() -> None:
    """Anthropic's split of written tokens, and thinking as a part of the output."""
    split = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70}
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 100, "cache_creation": split, "output_tokens": 9}
    thinking = {"output_tokens_details": {"thinking_tokens": 4}}
    assert anthropic_tokens({**usage, **thinking}) == Tokens(5, 0, 30, 70, 9, 4)


def test_openai_cache_writes_are_a_part_of_the_input() -> None:
    """From GPT-5.6 on written tokens are named: they leave the uncached input."""
    details = {"cached_tokens": 60, "cache_write_tokens": 30}
    assert openai_tokens({"input_tokens": 100, "input_tokens_details": details}) == Tokens(10, 60, 30, 0, 0)


def test_batch_files() -> None:
    """Lines of a batch's output: the tier is batch, the time is the body's, or the one that was written beside it."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_763_460_000,
        "model": "gpt-4o",
        "usage": usage,
    }
    line = {"id": "batch_req_1", "custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None}
    (found,) = open_openai(name="openai", clock=at()).parse([line])
    assert isinstance(found, UsageRecord)
    assert (found.record_id, found.service_tier, found.occurred_us) == ("chatcmpl-1", "batch", 1_763_460_000 * 10**6)
    message = {"id": "msg_1", "type": "message", "model": "claude-opus-4-5", "stop_reason": "end_turn"}
    result = {"type": "succeeded", "message": {**message, "usage": {"input_tokens": 3, "output_tokens": 4}}}
    batch = {"custom_id": "a", "result": result}
    (timed,) = open_anthropic(name="anthropic", clock=at()).parse([{**batch, "timestamp": "2026-11-18T10:00:00Z"}])
    assert isinstance(timed, UsageRecord)
    assert (timed.service_tier, timed.finish_reason, timed.output) == ("batch", "end_turn", 4)


def test_a_response_that_cannot_be_right_keeps_no_text() -> None:
    """No time, no usage, too many cached tokens: quarantined without the answer's words."""
    message = {"id": "m", "type": "message", "model": "claude", "content": [{"text": "SECRET"}]}
    chat = {"id": "c", "object": "chat.completion", "model": "gpt", "created": 1_763_460_000, "choices": ["SECRET"]}
    details = {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}
    found = [
        *open_anthropic(name="a", clock=at()).parse([{**message, "usage": {"input_tokens": 1}}, message]),
        *open_openai(name="o", clock=at()).parse([{**chat, "usage": details}]),
    ]
    reasons = [row.reason for row in found if isinstance(row, Quarantined)]
    assert len(reasons) == 3
    for reason, says in zip(reasons, ("carries no time", "no usage", "more than all input"), strict=True):
        assert says in reason
    assert not any("SECRET" in row.raw for row in found if isinstance(row, Quarantined))
