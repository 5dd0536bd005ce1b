"""Real responses of the provider, as other projects recorded them, are read as replies."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tools.reasoner.reply import parse_reply, usage_record

RECORDINGS = Path(__file__).parents[3] / ".." / "shared" / "data" / "api_recordings" / "llm_api_recordings.parquet"


@pytest.fixture(scope="module")
def bodies() -> list[str]:
    """Every recorded answer of the Messages API that was not streamed."""
    if not RECORDINGS.exists():
        pytest.skip("no recordings beside the repository (shared/data/api_recordings)")
    table = pq.read_table(RECORDINGS, columns=["provider", "uri", "status", "response", "streamed"])
    return [
        row["response"]
        for row in table.to_pylist()
        if row["provider"] == "anthropic"
        and row["status"] == 200
        and not row["streamed"]
        and row["uri"].split("?")[0].endswith("/v1/messages")
    ]


def test_recorded_messages_parse_to_the_token(bodies: list[str]) -> None:
    """Each real message is a reply whose disjoint classes add up to what its usage says."""
    assert len(bodies) > 100
    stops = set()
    for body in bodies:
        reply = parse_reply(body.encode())
        assert reply is not None, body[:300]
        usage = json.loads(body)["usage"]
        whole = sum(
            usage.get(name) or 0
            for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
        )
        assert reply.tokens.input + reply.tokens.output == whole
        record = usage_record(reply, requested="m", route="reasoner", session="inc-1", now_us=1)
        assert record.record_id.startswith("msg_")
        stops.add(reply.stop_reason)
    assert {"end_turn", "tool_use"} <= stops
