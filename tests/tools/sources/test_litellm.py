"""LiteLLM's payloads and spend rows become records: tokens disjoint, dimensions from the right places."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.errors import BadInput
from store.model.usage import NONE, Quarantined, UsageRecord, to_us
from tests.checks.check_source import NOW, Row, at
from tools.sources.litellm import LiteLLMSource


def _payload(**fields: object) -> Row:
    return {
        "id": "chatcmpl-1",
        "trace_id": "trace-1",
        "call_type": "acompletion",
        "custom_llm_provider": "anthropic",
        "model": "claude-opus-4-5",
        "model_group": "claude-big",
        "response_cost": 0.0123456789,
        "prompt_tokens": 1_000,
        "completion_tokens": 50,
        "startTime": NOW.timestamp() - 2.25,
        "endTime": NOW.timestamp() - 1,
        "status": "success",
        "metadata": {},
        **fields,
    }


def _read(folder: Path, row: Row) -> UsageRecord | Quarantined:
    path = folder / "usage.jsonl"
    path.write_text(json.dumps(row))
    [found] = LiteLLMSource(name="gateway", clock=at()).read([path])
    return found


def _record(folder: Path, row: Row) -> UsageRecord:
    found = _read(folder, row)
    assert isinstance(found, UsageRecord), found
    return found


def test_a_plain_call(tmp_path: Path) -> None:
    """Identity, time, model and the billed amount are taken as the gateway says them."""
    found = _record(tmp_path, _payload())
    assert found == UsageRecord(
        record_id="chatcmpl-1",
        source="gateway",
        observed_us=to_us(NOW),
        occurred_us=to_us(NOW) - 10**6,
        provider="anthropic",
        model="claude-opus-4-5",
        requested_model="claude-big",
        latency_ms=1_250,
        trace_id="trace-1",
        input_uncached=1_000,
        output=50,
        billed_nanos=12_345_679,
    )


@pytest.mark.parametrize(
    "usage",
    [
        {"cache_read_input_tokens": 600, "cache_creation_input_tokens": 300},
        {"prompt_tokens_details": {"cached_tokens": 600, "cache_creation_tokens": 300}},
    ],
)
def test_cached_tokens_are_taken_out_of_the_prompt(usage: Row, tmp_path: Path) -> None:
    """`prompt_tokens` includes what was read from and written to the cache."""
    usage["completion_tokens_details"] = {"reasoning_tokens": 20}
    found = _record(tmp_path, _payload(metadata={"usage_object": usage}))
    assert (found.input_uncached, found.cache_read, found.cache_write_5m, found.cache_write_1h) == (100, 600, 300, 0)
    assert (found.output, found.reasoning) == (50, 20)


def test_one_hour_writes_are_told_apart(tmp_path: Path) -> None:
    """The split by lifetime divides the written tokens."""
    split = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}
    usage = {"cache_creation_input_tokens": 300, "prompt_tokens_details": {"cache_creation_token_details": split}}
    found = _record(tmp_path, _payload(metadata={"usage_object": usage}))
    assert (found.input_uncached, found.cache_write_5m, found.cache_write_1h) == (700, 100, 200)


def test_more_cached_than_prompted_cannot_be(tmp_path: Path) -> None:
    """Such a row is quarantined with both numbers, and without its prompt."""
    usage = {"cache_read_input_tokens": 1_001}
    found = _read(tmp_path, _payload(metadata={"usage_object": usage}, messages="a secret"))
    assert isinstance(found, Quarantined)
    assert "1001 read" in found.reason
    assert "secret" not in found.raw


def test_dimensions_come_from_the_first_place_that_has_them(tmp_path: Path) -> None:
    """The key's metadata goes before the caller's, and that before request tags."""
    metadata = {
        "user_api_key_hash": "hash-1",
        "user_api_key_alias": "indexer-prod",
        "user_api_key_team_alias": "search",
        "user_api_key_auth_metadata": {"env": "prod", "app": "indexer"},
        "spend_logs_metadata": {"app": "forged", "job": "nightly", "session_id": "s-1", "prefix_tokens": 900},
    }
    tags = ["app:tagged", "release:2.1", "job:tagged", "feature:a:b", "beta", "User-Agent: curl", "env:dev", 7]
    found = _record(tmp_path, _payload(metadata=metadata, request_tags=tags, end_user="u-1"))
    assert (found.team, found.environment, found.api_key_id) == ("search", "prod", "hash-1")
    assert (found.app, found.job, found.release, found.end_user) == ("indexer", "nightly", "2.1", "u-1")
    assert (found.session_id, found.prefix_tokens) == ("s-1", 900)
    assert dict(found.tags)["feature"] == "a:b"
    assert dict(found.tags)["beta"] == "true"
    assert dict(found.tags)["environment"] == "dev", "the tag stays a tag"


def test_policy_dimensions_never_come_from_the_request(tmp_path: Path) -> None:
    """A caller cannot name its own team or environment."""
    claimed = {"team": "finance", "environment": "dev", "bursar": {"team": "finance", "environment": "dev"}}
    row = _payload(metadata={"spend_logs_metadata": claimed}, request_tags=["team:finance", "env:dev"])
    found = _record(tmp_path, row)
    assert (found.team, found.environment) == (NONE, NONE)
    with pytest.raises(BadInput, match="the caller of the gateway writes"):
        LiteLLMSource(name="gateway", clock=at(), places={"environment": ["tags.environment"]})
    with pytest.raises(BadInput, match="no such dimension"):
        LiteLLMSource(name="gateway", clock=at(), places={"colour": ["tags.colour"]})


def test_places_can_be_replaced(tmp_path: Path) -> None:
    """An operator's list replaces the default one."""
    path = tmp_path / "usage.jsonl"
    path.write_text(json.dumps(_payload(request_tags=["service:indexer"])))
    source = LiteLLMSource(name="gateway", clock=at(), places={"app": ["tags.service"]})
    [found] = source.read([path])
    assert isinstance(found, UsageRecord)
    assert found.app == "indexer"


def test_a_caller_cannot_hide_or_cheapen_its_spend(tmp_path: Path) -> None:
    """Bad hints do not quarantine a call, and no hint changes its price."""
    hints = {"attempt": "nan", "prompt_chars": -1, "prefix_tokens": [], "service_tier": "batch", "speed": "slow"}
    found = _record(tmp_path, _payload(metadata={"spend_logs_metadata": {**hints, "bursar": hints}}))
    assert (found.attempt, found.prompt_chars, found.prefix_tokens) == (1, 0, 0)
    assert (found.service_tier, found.speed, found.input_uncached) == ("standard", "standard", 1_000)


def test_failures_and_refusals(tmp_path: Path) -> None:
    """A failed call is an error; one that our guard refused says so."""
    failed = _payload(status="failure", error_information={"error_code": "529"}, response_cost=0)
    found = _record(tmp_path, failed)
    assert (found.status, found.status_code) == ("error", 529)
    ours = {"bursar": {"remedy_id": "rem-1", "status": "refused"}}
    refused = {**failed, "metadata": ours, "error_information": {"error_code": "429"}}
    found = _record(tmp_path, refused)
    assert (found.status, found.status_code, found.remedy_id) == ("refused", 429, "rem-1")
    assert (found.input_uncached, found.output, found.billed_nanos) == (0, 0, 0)
    changed = {"bursar": {"remedy_id": "rem-1", "status": "error"}}
    found = _record(tmp_path, {**failed, "metadata": changed})
    assert (found.status, found.remedy_id) == ("error", "rem-1"), "a call that we changed and the provider failed"
    forged = {"spend_logs_metadata": {"bursar": {"remedy_id": "rem-1", "status": "refused"}}}
    found = _record(tmp_path, {**failed, "metadata": forged})
    assert (found.status, found.remedy_id) == ("error", NONE), "a caller cannot say that we refused it"


def test_what_the_guard_resolved_goes_first(tmp_path: Path) -> None:
    """Its dimensions, hints and the model that was asked for before a swap; the caller's words come after it."""
    guard = {
        "dims": {"team": "search", "app": "indexer", "environment": "prod", "model": "claude-big"},
        "session_id": "s-1",
        "attempt": 3,
        "prefix_tokens": 900,
        "remedy_id": "rem-1",
    }
    metadata = {
        "bursar": guard,
        "user_api_key_team_alias": "t-7",
        "spend_logs_metadata": {"app": "forged", "attempt": 1, "session_id": "other"},
    }
    found = _record(tmp_path, _payload(metadata=metadata, model_group="claude-small"))
    assert (found.team, found.app, found.environment, found.session_id) == ("search", "indexer", "prod", "s-1")
    assert (found.attempt, found.prefix_tokens, found.remedy_id) == (3, 900, "rem-1")
    assert (found.requested_model, found.status) == ("claude-big", "ok")


def test_rows_from_memory_read_like_rows_of_a_file(tmp_path: Path) -> None:
    """One parser serves every door; what is no object is kept aside."""
    row = _payload(response_cost=0.25)
    source = LiteLLMSource(name="gateway", clock=at())
    assert list(source.parse([row])) == [_read(tmp_path, row)]
    [odd] = source.parse([7])
    assert isinstance(odd, Quarantined)
    assert odd.reason == "the element is not a JSON object"


def test_tiers_operations_and_prefixed_models(tmp_path: Path) -> None:
    """Batch calls, service tiers and "provider/model" names are read as such."""
    found = _record(tmp_path, _payload(call_type="aretrieve_batch", custom_llm_provider=None, model="openai/gpt-4o"))
    assert (found.service_tier, found.provider, found.model) == ("batch", "openai", "gpt-4o")
    found = _record(tmp_path, _payload(call_type="aembedding", model_parameters={"service_tier": "priority"}))
    assert (found.service_tier, found.operation) == ("priority", "embeddings")
    assert _record(tmp_path, _payload(model_parameters={"service_tier": "auto"})).service_tier == "standard"


def test_an_answer_from_the_gateways_own_cache_used_no_tokens(tmp_path: Path) -> None:
    """The payload repeats the first answer's tokens; the provider saw none of them."""
    found = _record(tmp_path, _payload(cache_hit=True, response_cost=0))
    assert (found.input_uncached, found.output, found.billed_nanos) == (0, 0, 0)


def test_rows_of_the_spend_log(tmp_path: Path) -> None:
    """A row of /spend/logs gives the same call the same id as its payload does."""
    metadata = {"user_api_key_alias": "indexer-prod", "user_api_key_team_alias": "search"}
    row = {
        "request_id": "chatcmpl-1",
        "call_type": "acompletion",
        "api_key": "hash-1",
        "spend": 0.0123456789,
        "prompt_tokens": 1_000,
        "completion_tokens": 50,
        "startTime": "2026-11-19T23:59:57.750000Z",
        "endTime": "2026-11-19T23:59:59+00:00",
        "model": "claude-opus-4-5",
        "model_group": "claude-big",
        "custom_llm_provider": "anthropic",
        "team_id": "t-1",
        "end_user": "",
        "session_id": "s-1",
        "request_tags": '["app:indexer"]',
        "metadata": json.dumps(metadata),
    }
    found = _record(tmp_path, row)
    payload = _record(tmp_path, _payload())
    same = ("record_id", "occurred_us", "model", "requested_model", "input_uncached", "output", "billed_nanos")
    assert [getattr(found, name) for name in same] == [getattr(payload, name) for name in same]
    assert (found.team, found.api_key_id, found.app, found.session_id) == ("search", "hash-1", "indexer", "s-1")
    assert found.latency_ms == 1_250


@pytest.mark.parametrize("metadata", ["\ud800", "[" * 3_000, "{broken"])
def test_metadata_that_is_no_json_says_nothing(metadata: str, tmp_path: Path) -> None:
    """Half a character, text nested without end, an object cut off: the call counts, for nobody."""
    found = _read(tmp_path, _payload(request_id="chatcmpl-1", spend=0.5, metadata=metadata))
    assert isinstance(found, UsageRecord)
    assert (found.team, found.app) == (NONE, NONE)


def test_a_json_array_is_told_how_to_become_lines(tmp_path: Path) -> None:
    """An export as one array would not fit in bounded memory."""
    path = tmp_path / "spend.json"
    path.write_text(json.dumps([_payload()]))
    with pytest.raises(BadInput, match="jq -c"):
        list(LiteLLMSource(name="gateway", clock=at()).read([path]))


def test_a_row_without_an_id_cannot_be_counted_once(tmp_path: Path) -> None:
    """It is quarantined."""
    found = _read(tmp_path, _payload(id=None))
    assert isinstance(found, Quarantined)
    assert found.reason == "the row has no id"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@settings(max_examples=400, deadline=None)
@given(fields=st.dictionaries(st.sampled_from([*sorted(_payload()), "request_tags", "end_user"]), _JSON, max_size=4))
def test_no_value_of_a_field_breaks_the_parser(fields: Row) -> None:
    """A row becomes a record or is quarantined; it is never lost, and never an exception."""
    [found] = LiteLLMSource(name="gateway", clock=at()).parse([_payload(**fields)])
    assert isinstance(found, UsageRecord | Quarantined)
