"""The events of Claude Code, Codex CLI and Gemini CLI: one model request each, never a bill."""

from store.model.usage import Quarantined, UsageRecord
from tests.checks.check_source import at
from tests.tools.sources.cases import log_document
from tools.sources.otel import open_otlp

_CLAUDE: dict[str, object] = {
    "event.name": "api_request",
    "event.sequence": 12,
    "session.id": "s-1",
    "prompt.id": "p-1",
    "user.account_uuid": "u-1",
    "user.email": "one@example.com",
    "organization.id": "org-1",
    "model": "claude-opus-4-5",
    "cost_usd": "0.0123",
    "duration_ms": "2500",
    "input_tokens": "10",
    "output_tokens": "200",
    "cache_read_tokens": "30000",
    "cache_creation_tokens": "400",
    "speed": "fast",
}
_RESOURCE: dict[str, object] = {"service.name": "claude-code", "service.version": "2.1.0", "team.id": "core"}
_CODEX: dict[str, object] = {
    "event.name": "codex.sse_event",
    "event.kind": "response.completed",
    "event.timestamp": "2026-11-19T10:00:00.123Z",
    "conversation.id": "c-1",
    "model": "gpt-5.4",
    "auth_mode": "ApiKey",
    "input_token_count": "1000",
    "cached_token_count": "600",
    "output_token_count": "80",
    "reasoning_token_count": "30",
}
_GEMINI: dict[str, object] = {
    "event.name": "gemini_cli.api_response",
    "event.timestamp": "2026-11-19T10:00:00Z",
    "session.id": "g-1",
    "prompt_id": "g-1########3",
    "model": "gemini-2.5-pro",
    "status_code": 200,
    "duration_ms": 900,
    "input_token_count": 1000,
    "cached_content_token_count": 600,
    "output_token_count": 50,
    "thoughts_token_count": 70,
    "tool_token_count": 5,
}


def _one(attributes: dict[str, object], resource: dict[str, object] | None = None, **record: object) -> UsageRecord:
    (found,) = open_otlp(name="agents", clock=at()).parse([log_document(attributes, resource, **record)])
    assert isinstance(found, UsageRecord), found
    return found


def _tokens(found: UsageRecord) -> tuple[int, ...]:
    return found.input_uncached, found.cache_read, found.cache_write_5m, found.output, found.reasoning


def test_claude_code() -> None:
    """Anthropic's counting: cached tokens stand beside the input. The estimate is a tag, not a bill."""
    found = _one(_CLAUDE, {**_RESOURCE, "vcs.repository.name": "shop"}, body={"stringValue": "claude_code.api_request"})
    assert _tokens(found) == (10, 30_000, 400, 200, 0)
    assert (found.provider, found.model, found.speed) == ("anthropic", "claude-opus-4-5", "fast")
    assert (found.session_id, found.trace_id, found.end_user) == ("s-1", "p-1", "u-1")
    assert (found.team, found.app, found.release, found.latency_ms) == ("core", "claude-code", "2.1.0", 2_500)
    tags = {"estimated_usd": "0.0123", "organization": "org-1", "repository": "shop"}
    assert (found.billed_nanos, found.billing_mode, dict(found.tags)) == (None, "metered", tags)
    assert found.grade == "claimed"


def test_the_event_is_known_by_its_body_or_by_who_sent_it() -> None:
    """`event.name` may lack the prefix: then the body, the record's own name or the service has it."""
    ways = [
        _one(_CLAUDE, body={"stringValue": "claude_code.api_request"}),
        _one(_CLAUDE, eventName="claude_code.api_request"),
        _one(_CLAUDE, {"service.name": "claude-code"}),
        _one({**_CLAUDE, "event.name": "claude_code.api_request"}),
    ]
    assert len({one.record_id for one in ways}) == 1


def test_a_failed_request_is_an_attempt_without_tokens() -> None:
    """Retries show: the attempt and the status code are kept, and another event of the session is another call."""
    failed = {**_CLAUDE, "event.name": "api_error", "event.sequence": 13, "status_code": "529", "attempt": 4}
    found = _one(failed, _RESOURCE)
    assert (found.status, found.status_code, found.attempt, _tokens(found)) == ("error", 529, 4, (0, 0, 0, 0, 0))
    assert found.record_id != _one(_CLAUDE, _RESOURCE).record_id


def test_a_resumed_session_may_count_its_events_anew() -> None:
    """The same number at another time is another request; the same event sent twice is one. No session is no id."""
    ids = {_one(_CLAUDE, _RESOURCE, timeUnixNano=f"17951328{n}0000000000").record_id for n in (1, 1, 2)}
    assert len(ids) == 2
    (found,) = open_otlp(name="agents", clock=at()).parse([log_document({**_CLAUDE, "session.id": ""}, _RESOURCE)])
    assert isinstance(found, Quarantined)
    assert found.reason == "the row has no id"


def test_codex() -> None:
    """OpenAI's counting: cached is a part of the input, reasoning a part of the output."""
    found = _one(_CODEX, timeUnixNano="0")
    assert _tokens(found) == (400, 600, 0, 80, 30)
    assert (found.provider, found.app, found.session_id) == ("openai", "codex", "c-1")
    assert dict(found.tags) == {"auth": "ApiKey"}
    assert found.occurred_us % 10**6 == 123_000


def test_codex_counts_only_what_completed_or_failed() -> None:
    """A stream has many events and one completion; a request that was answered is counted by its completion."""
    source = open_otlp(name="agents", clock=at())
    request = {**_CODEX, "event.name": "codex.api_request", "http.response.status_code": 200, "attempt": 1}
    delta = {**_CODEX, "event.kind": "response.output_text.delta"}
    assert list(source.parse(map(log_document, [request, delta]))) == []
    assert source.skipped == {"events that are not model requests": 2}
    found = _one({**request, "http.response.status_code": 429})
    assert (found.status, found.status_code, found.output) == ("error", 429, 0)


def test_gemini() -> None:
    """Gemini's counting: thoughts are output beside the answer, tool results input beside the prompt."""
    found = _one(_GEMINI)
    assert _tokens(found) == (405, 600, 0, 120, 70)
    assert (found.provider, found.session_id, found.trace_id) == ("gemini", "g-1", "g-1########3")


def test_seats_cost_no_cash_when_the_operator_says_so() -> None:
    """The billing mode is the configuration's word, never the client's."""
    source = open_otlp(name="agents", clock=at(), billing_mode="included")
    (found,) = source.parse([log_document({**_CLAUDE, "billing_mode": "metered"}, _RESOURCE)])
    assert isinstance(found, UsageRecord)
    assert found.billing_mode == "included"


def test_other_events_are_passed_over_and_bad_ones_keep_no_prompt() -> None:
    """Prompts and tool results are no requests; a request that cannot be right is kept without its texts."""
    source = open_otlp(name="agents", clock=at())
    prompt = {**_CLAUDE, "event.name": "user_prompt", "prompt": "SECRET"}
    bad = {**_CLAUDE, "output_tokens": "-1", "prompt": "SECRET"}
    foreign = log_document({"event.name": "login"}, {"service.name": "shop"}, body={"stringValue": "SECRET"})
    found = list(source.parse([log_document(prompt, _RESOURCE), log_document(bad, _RESOURCE), foreign]))
    assert [type(one) for one in found] == [Quarantined]
    assert isinstance(found[0], Quarantined)
    assert "negative" in found[0].reason
    assert "SECRET" not in found[0].raw
    assert sum(source.skipped.values()) == 2
