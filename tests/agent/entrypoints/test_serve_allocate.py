"""`bursar allocate` and spans beside a running service: both go through its door, and nothing is left behind."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx
import pytest

from tests.agent.entrypoints.test_cli import bursar, call
from tests.agent.entrypoints.test_serve import BURSAR, free_port, wait_for
from tests.tools.sources.cases import span_document

SPAN = ("--from", "2026-11-01", "--to", "2026-12-01")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running service that began without allocation rules."""
    port = free_port()
    (tmp_path / "bursar.yaml").write_text(f"server: {{port: {port}}}\n")
    process = subprocess.Popen([BURSAR, "serve"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200)
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def test_allocation_and_spans_beside_a_service(service: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Today's rules reach the service's usage, once; spans of a file without any call reach its traces."""
    folder = tmp_path
    rows = [call(f"c{i}", 1793620800.0 + i) for i in range(5)]
    (folder / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert bursar("ingest", "litellm", "usage.jsonl", cwd=folder).returncode == 0
    with (folder / "bursar.yaml").open("a") as config:
        config.write("allocation: {rules: [{when: {team: search}, team: find}]}\n")
    ways: list[tuple[str, ...]] = [("--dry-run",), (), ()]
    told = [json.loads(bursar("allocate", *SPAN, *way, "--json", cwd=folder).stdout) for way in ways]
    assert [one["changed"] for one in told] == [5, 5, 0]
    assert "restart it when they changed" in bursar("allocate", *SPAN, cwd=folder).stderr
    books = json.loads(bursar("reconcile", "--month", "2026-11", "--json", cwd=folder).stdout)
    assert {one["team"]: one["requests"] for one in books["teams"]} == {"find": 5}

    tool = span_document({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}, name="search")
    (folder / "spans.jsonl").write_text(json.dumps(tool) + "\n")
    done = bursar("ingest", "otlp", "spans.jsonl", "--json", cwd=folder)
    assert json.loads(done.stdout) == {"accepted": 0, "duplicate": 0, "superseded": 0, "quarantined": 0}
    assert "kept as traces" in done.stderr
    exchange = folder / "bursar-data" / "exchange"
    assert list(exchange.iterdir()) == [], "nothing is left behind"
    service.send_signal(signal.SIGTERM)
    assert service.wait(60) == 0
    kept = (
        duckdb.connect(str(folder / "bursar-data" / "usage.duckdb")).execute("SELECT kind, name FROM spans").fetchall()
    )
    assert kept == [("tool", "search")]
