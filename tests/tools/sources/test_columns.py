"""Reading by columns gives the records that reading row by row gives, and leaves to it what is not plain."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.errors import BadInput
from store.model.prices import PriceTable
from store.model.usage import Quarantined, UsageRecord
from store.model.usage_batch import DELIVERY_ROWS, Delivery, batch_of
from store.price_batch import batch_keys, price_batch
from store.prices import PriceBook, price, price_keys
from store.usage.columns import coded, from_arrow, to_arrow
from tests.checks.check_source import NOW, Row, at
from tests.tools.sources.test_litellm import _payload
from tools.sources.litellm import LiteLLMSource

_PRICED = ("provider", "model", "service_tier", "speed")


def _records(deliveries: Iterable[Delivery]) -> tuple[list[UsageRecord], list[Quarantined]]:
    records: list[UsageRecord] = []
    rejected: list[Quarantined] = []
    for delivery in deliveries:
        records += from_arrow(to_arrow(delivery.batch))
        rejected += delivery.rejected
    return records, rejected


def _both_ways(path: Path, places: dict[str, list[str]] | None = None) -> None:
    source = LiteLLMSource(name="gateway", clock=at(), places=places)
    one_by_one = list(source.read([path]))
    records, rejected = _records(source.deliveries([path]))
    assert sorted(map(repr, records)) == sorted(repr(row) for row in one_by_one if isinstance(row, UsageRecord))
    assert sorted(rejected) == sorted(row for row in one_by_one if isinstance(row, Quarantined))


_TEXT = st.sampled_from(["", "(none)", "x", "search", "anthropic/claude-opus-4-5", "é", "batch", "y" * 600])
_COUNT = st.one_of(st.none(), st.integers(-1, 300), st.sampled_from([2.0, 0.5, 10**12, "7", True]))
_HINTS = st.fixed_dictionaries(
    {},
    optional={
        "attempt": _COUNT,
        "prefix_tokens": _COUNT,
        "finish_reason": st.one_of(st.none(), _TEXT),
        "region": st.one_of(st.none(), _TEXT, st.integers(0, 3)),
        "session_id": _TEXT,
        "app": _TEXT,
    },
)
_SPLIT = st.fixed_dictionaries({}, optional={"ephemeral_1h_input_tokens": _COUNT, "ephemeral_5m_input_tokens": _COUNT})
_USAGE = st.fixed_dictionaries(
    {},
    optional={
        "cache_read_input_tokens": _COUNT,
        "cache_creation_input_tokens": _COUNT,
        "cache_creation": _SPLIT,
        "prompt_tokens_details": st.fixed_dictionaries(
            {}, optional={"cached_tokens": _COUNT, "cache_creation_token_details": _SPLIT}
        ),
        "completion_tokens_details": st.fixed_dictionaries({}, optional={"reasoning_tokens": _COUNT}),
        "service_tier": _TEXT,
        "speed": _TEXT,
    },
)
_METADATA = st.fixed_dictionaries(
    {},
    optional={
        "bursar": st.one_of(
            st.none(),
            st.builds(lambda hints, dims: {**hints, "dims": dims}, _HINTS, st.just({"team": "t", "model": ""})),
        ),
        "spend_logs_metadata": st.one_of(st.none(), st.just("text"), _HINTS),
        "user_api_key_team_alias": st.one_of(st.none(), _TEXT, st.integers(1, 2)),
        "user_api_key_auth_metadata": st.fixed_dictionaries({}, optional={"env": _TEXT, "app": _TEXT}),
        "usage_object": st.one_of(st.none(), _USAGE),
    },
)
_SECONDS = st.one_of(
    st.floats(1.4e9, 1.8e9),
    st.integers(1_420_070_400_000_000, 1_763_600_000_000_000).map(lambda us: us / 1e6),
    st.integers(0, 2 * 10**9),
    st.sampled_from([None, "2026-11-19T23:59:59Z", -1.0, float("nan")]),
)
_USD = st.integers(1, 10**10).map(lambda n: n / 2e10)
_TAG = st.sampled_from(["app:a", "env:dev", "beta", "session_id:s", "app:(none)", "", "a\x1fb", 3, None])
_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(st.none(), _TEXT, st.integers(0, 3)),
        "endTime": _SECONDS,
        "startTime": _SECONDS,
        "response_cost": st.one_of(st.floats(0, 1), st.floats(0, 1e8), _COUNT, _USD),
        "prompt_tokens": _COUNT,
        "completion_tokens": _COUNT,
        "model": st.one_of(st.none(), _TEXT),
        "custom_llm_provider": st.one_of(st.none(), _TEXT),
        "model_group": st.one_of(st.none(), _TEXT),
        "call_type": st.one_of(st.none(), _TEXT),
        "status": st.sampled_from(["success", "failure", None]),
        "cache_hit": st.sampled_from([True, False, "True", "None", None]),
        "request_tags": st.one_of(st.none(), st.lists(_TAG, max_size=3)),
        "metadata": _METADATA,
        "response": st.one_of(st.none(), st.just("redacted"), st.just({"choices": [{"finish_reason": "stop"}]})),
        "request_id": st.just("r"),
        "spend": st.just(0.5),
    },
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(_FIELDS, min_size=1, max_size=6))
def test_columns_and_rows_agree(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever stands in a row, both ways make the same record of it, or quarantine it for the same reason."""
    path = tmp_path_factory.mktemp("log") / "usage.jsonl"
    path.write_text("\n".join(json.dumps(_payload(**row)) for row in rows))
    _both_ways(path)


def test_lines_of_all_kinds(tmp_path: Path) -> None:
    """Broken lines, blank ones, carriage returns, names given twice and foreign places are read as row by row."""
    path = tmp_path / "usage.jsonl"
    plain = json.dumps(_payload()).encode()
    twice = plain.replace(b"{", b'{"model": "x", ', 1)
    long = json.dumps(_payload(end_user="\u00e9" * 300), ensure_ascii=False).encode()
    not_utf8 = plain.replace(b"{", b'{"y": "\xff", ', 1)
    lines = [plain, b"", b"{broken", b"[1]", b"null", not_utf8, long, plain, twice]
    path.write_bytes(b"\r\n".join(lines[:-1]))
    _both_ways(path)
    path.write_bytes(b"\r\n".join(lines))
    _both_ways(path)
    _both_ways(path, {"app": ["metadata.user_api_key_auth_metadata", "model", "metadata.user_api_key_auth_metadata.x"]})


def test_deliveries_are_whole_row_groups(tmp_path: Path) -> None:
    """Whatever the blocks: plain rows go by exactly as many as the store writes at once, in order, none lost."""
    path = tmp_path / "usage.jsonl"
    odd = {5, 140_000, 260_000}
    with path.open("w") as file:
        for number in range(260_001):
            ended = '"2025-11-19T00:00:00Z"' if number in odd else "1763510400.5"
            file.write(f'{{"id":"call-{number}","endTime":{ended},"prompt_tokens":{number}}}\n')
    found = list(LiteLLMSource(name="gateway", clock=at()).deliveries([path]))
    plain = [delivery.batch for delivery in found if delivery.batch.rows > len(odd)]
    assert [batch.rows for batch in plain] == [DELIVERY_ROWS, 260_001 - len(odd) - DELIVERY_ROWS]
    tokens = np.concatenate([batch.number("input_uncached") for batch in plain]).tolist()
    assert tokens == [number for number in range(260_001) if number not in odd]
    alone = [record for delivery in found if delivery.batch.rows <= len(odd) for record in _records([delivery])[0]]
    assert sorted(record.input_uncached for record in alone) == sorted(odd)
    assert found[-1].bytes_read == path.stat().st_size


def test_a_list_that_is_no_lines_is_refused(tmp_path: Path) -> None:
    """As it is row by row."""
    path = tmp_path / "usage.json"
    path.write_text(json.dumps([_payload()]))
    with pytest.raises(BadInput, match="jq -c"):
        list(LiteLLMSource(name="gateway", clock=at()).deliveries([path]))


_MODELS = st.sampled_from(
    [
        ("anthropic", "claude-opus-4-6"),
        ("anthropic", "claude-sonnet-4-5"),
        ("openai", "gpt-5.4"),
        ("openai", "gpt-4o"),
        ("openai", "nobody"),
    ]
)
_CALLS = st.builds(
    lambda key, day, tokens, requests, tier, speed: UsageRecord(
        record_id="r",
        source="s",
        observed_us=0,
        occurred_us=int(NOW.timestamp() - day * 86_400) * 10**6,
        provider=key[0],
        model=key[1],
        requests=requests,
        service_tier=tier,
        speed=speed,
        input_uncached=tokens[0],
        cache_read=tokens[1],
        cache_write_5m=tokens[2],
        cache_write_1h=tokens[3],
        output=tokens[4],
    ),
    _MODELS,
    st.integers(0, 900),
    st.tuples(*(st.one_of(st.integers(0, 400_000), st.integers(0, 10**11)) for _ in range(5))),
    st.integers(1, 50),
    st.sampled_from(["standard", "batch", "priority", "flex"]),
    st.sampled_from(["standard", "fast"]),
)


@settings(max_examples=200, deadline=None)
@given(calls=st.lists(_CALLS, max_size=8))
def test_a_batch_costs_what_its_records_cost(calls: list[UsageRecord]) -> None:
    """To the nano-dollar: dated prices, context tiers, service tiers and speeds, small and absurdly many tokens."""
    book = PriceBook()
    table: PriceTable = book.table_for(price_keys(calls))
    batch = coded(batch_of(calls), _PRICED)
    assert set(batch_keys(batch)) == price_keys(calls)
    assert from_arrow(to_arrow(price_batch(batch, table))) == price(calls, table)
