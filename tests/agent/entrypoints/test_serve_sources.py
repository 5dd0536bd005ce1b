"""A running `bursar serve` with live sources: an exporter sends, an API is pulled, a month is restated beside it."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.agent.entrypoints.test_cli import bursar
from tests.agent.entrypoints.test_receiver import CURRENT, to
from tests.agent.entrypoints.test_serve import BURSAR, free_port, wait_for
from tests.agent.steps.test_restate import charge, written
from tests.tools.sources.report_server import ANTHROPIC_KEY, AdminStandIn, admin_api

TOKEN = "the-exporters-own-token"
_CONFIG = """
server: {{port: {port}}}
schedule: {{tick_seconds: 1}}
intake:
  otlp: {{token: "${{BURSAR_OTLP_TOKEN}}", source: spans}}
sources:
  - name: org
    format: anthropic
    role: reference
    pull: {{base_url: "{url}", key: "${{ANTHROPIC_ADMIN_KEY}}", history_days: 1}}
"""
_MINUTE = timedelta(minutes=1)
SECRETS = {"BURSAR_OTLP_TOKEN": TOKEN, "ANTHROPIC_ADMIN_KEY": ANTHROPIC_KEY}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """(its folder, its URL)."""
    port = free_port()
    with admin_api(AdminStandIn()) as url:
        (tmp_path / "bursar.yaml").write_text(_CONFIG.format(port=port, url=url))
        environment = {**os.environ, **SECRETS}
        process = subprocess.Popen([BURSAR, "serve"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        here = f"http://127.0.0.1:{port}"
        wait_for(lambda: httpx.get(f"{here}/ready").status_code == 200)
        yield tmp_path, here
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert process.stderr is not None
    process.stderr.close()


def test_live_sources(service: tuple[Path, str]) -> None:
    """The SDK's spans and the pulled buckets are there, the pull's state is shown, a month is restated by files."""
    folder, url = service
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(to(url)))
    span = provider.get_tracer("tests").start_span("chat")
    span.set_attributes(CURRENT)
    span.end()
    assert provider.force_flush()
    provider.shutdown()
    month = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    before = datetime.now(UTC) - timedelta(hours=1)
    rows = [charge(1, "a", 100, month), charge(1, "b", 10, month)]
    first = written(folder / "1" / "bill.csv", rows, at=before)
    second = written(folder / "2" / "bill.csv", rows[:1], at=before + _MINUTE)
    assert _json(folder, "ingest", "focus", str(first))["accepted"] == 2
    assert _json(folder, "ingest", "focus", str(second)) == _counts(duplicate=1)
    nothing = written(
        folder / "3" / "bill.csv", [charge(1, "b", 9, ServiceCategory="Storage")], at=before + _MINUTE * 2
    )
    assert _json(folder, "ingest", "focus", str(nothing)) == _counts()
    status = _json(folder, "status")
    assert (status["pulls"][0]["state"], status["pulls"][0]["error"]) == ("ok", None)
    records = {one["source"]: (one["role"], one["records"]) for one in status["sources"]}
    assert records["spans"] == ("metered", 1)
    assert "focus" not in records, "the last file has no token charges any more"
    assert records["org"][0] == "reference"
    assert records["org"][1] >= 26
    periods = {one["source"]: one for one in status["restated"]}
    assert (periods["focus"]["account"], periods["focus"]["withdrawn_rows"]) == ("acme", 2)
    checked = {one["part"]: one["state"] for one in _json(folder, "check", "--online")["parts"]}
    assert checked["source org"].startswith("ok, ")


def _json(folder: Path, *words: str) -> Any:
    done = bursar(*words, "--json", cwd=folder, env=SECRETS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _counts(**more: int) -> dict[str, int]:
    return {"accepted": 0, "duplicate": 0, "superseded": 0, "quarantined": 0, **more}
