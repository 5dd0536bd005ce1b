"""The same OTLP request to a real Arize Phoenix and to our receiver: both read the same calls, tokens and traces."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from agent.app import assemble
from agent.entrypoints.receiver import receiver_of
from agent.settings import IntakeSettings, Settings
from store.model.usage import NONE, Window
from tests.agent.entrypoints.traced_run import PROJECT, traced_run
from tests.servers.phoenix import Phoenix
from tests.servers.serving import serving
from tools.sources.settings import OtlpSettings

TOKEN = "the-exporters-own-token"
PROTOBUF = "application/x-protobuf"
_NAMES = ("tool.name", "llm.model_name", "agent.name", "gen_ai.agent.name")
_TOKENS = ("input_uncached", "cache_read", "output")
pytestmark = pytest.mark.exam


@pytest.fixture
def phoenix(tmp_path: Path) -> Iterator[Phoenix]:
    """A running Phoenix."""
    folder = tmp_path / "phoenix"
    folder.mkdir()
    server = Phoenix(folder)
    yield server
    server.stop()


def test_phoenix_and_the_receiver_read_the_same(phoenix: Phoenix, tmp_path: Path) -> None:
    """Every span: kind, name, parent, status; every model call: its tokens, by GenAI's and by OpenInference's names."""
    now = datetime.now(UTC)
    run = traced_run(now - timedelta(minutes=1))
    wanted = Settings(data_dir=tmp_path / "data", intake=IntakeSettings(otlp=OtlpSettings(token=SecretStr(TOKEN))))
    bursar = assemble(wanted, clock=lambda: now, owner="test", checkpointed=False)
    receiver = receiver_of(bursar, counted=lambda _: None)
    assert receiver is not None
    api = FastAPI()
    api.include_router(receiver.router)
    with serving(api) as url:
        for base in (phoenix.url, url):
            headers = {"content-type": PROTOBUF, "authorization": f"Bearer {TOKEN}"}
            answer = httpx.post(f"{base}/v1/traces", content=run.body, headers=headers, timeout=30)
            assert (answer.status_code, answer.content) == (200, b""), base
    receiver.close()
    theirs = phoenix.spans(PROJECT, sum(run.kinds.values()))
    window = Window(start=now - timedelta(hours=1), end=now + timedelta(hours=1))
    ours = {(one.trace_id, one.span_id): one for one in bursar.warehouse.spans(window, limit=1_000)}
    records = bursar.warehouse.records(window)
    rows = zip(*(records.column(name).tolist() for name in ("trace_id", "span_id", *_TOKENS)), strict=True)
    tokens = {(trace, span): counts for trace, span, *counts in rows}
    bursar.close()

    assert Counter(one["span_kind"].lower() for one in theirs) == run.kinds == Counter(o.kind for o in ours.values())
    calls = 0
    for span in theirs:
        key = span["context"]["trace_id"], span["context"]["span_id"]
        mine, attributes = ours[key], span["attributes"]
        assert mine.parent_id == (span["parent_id"] or NONE)
        assert mine.status == ("error" if span["status_code"] == "ERROR" else "ok")
        assert mine.name in [attributes.get(name) for name in _NAMES]
        if span["span_kind"] == "LLM":
            calls += 1
            uncached, read, output = tokens.pop(key)
            assert uncached + read == attributes["llm.token_count.prompt"]
            assert read == attributes["llm.token_count.prompt_details.cache_read"]
            assert output == attributes["llm.token_count.completion"]
    assert calls == run.kinds["llm"]
    assert tokens == {}, "calls that Phoenix did not see"
