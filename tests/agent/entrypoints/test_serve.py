"""The running service as an operator meets it: alive, shared, and alone on its data directory."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.agent.entrypoints.test_cli import bursar, call

BURSAR = str(Path(sys.executable).parent / "bursar")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A running `bursar serve` on a fresh data directory; (its folder, its URL)."""
    port = free_port()
    (tmp_path / "bursar.yaml").write_text(f"server: {{port: {port}}}\nschedule: {{tick_seconds: 1}}\n")
    process = subprocess.Popen([BURSAR, "serve"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: httpx.get(f"{url}/ready").status_code == 200)
    yield tmp_path, url
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert process.stderr is not None
    process.stderr.close()


def wait_for(ready: object, seconds: float = 60) -> None:
    """Poll until the other process is ready; it is not under our clock."""
    assert callable(ready)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if ready():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"not ready within {seconds} s")


def test_it_is_alive_ready_and_measured(service: tuple[Path, str]) -> None:
    """Health, readiness and Prometheus metrics answer on the loopback."""
    _, url = service
    assert httpx.get(f"{url}/health").json()["status"] == "ok"
    assert httpx.get(f"{url}/ready").json()["status"] == "ready"
    metrics = httpx.get(f"{url}/metrics").text
    assert 'bursar_ticks_total{outcome="ok"}' in metrics
    assert "bursar_kill_switch 0.0" in metrics


def test_commands_share_its_warehouse(service: tuple[Path, str]) -> None:
    """`ingest` hands records over, `backtest` and `status` read a copy, and reading a file twice changes nothing."""
    folder, _ = service
    rows = [call(f"c{i}", 1793620800.0 + i * 600) for i in range(50)] + [call("bad", -1.0)]
    (folder / "usage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    first = bursar("ingest", "litellm", "usage.jsonl", "--json", cwd=folder)
    assert json.loads(first.stdout) == {"accepted": 50, "duplicate": 0, "superseded": 0, "quarantined": 1}
    again = bursar("ingest", "litellm", "usage.jsonl", "--json", cwd=folder)
    assert json.loads(again.stdout) == {"accepted": 0, "duplicate": 50, "superseded": 0, "quarantined": 1}
    (kept_out,) = json.loads(bursar("quarantine", "--json", cwd=folder).stdout)
    assert json.loads(kept_out["raw"][0])["id"] == "bad"
    tested = bursar("backtest", "--json", cwd=folder)
    assert tested.returncode == 0, tested.stderr
    assert json.loads(tested.stdout)["incidents"] == []
    status = json.loads(bursar("status", "--json", cwd=folder).stdout)
    assert status["sources"][0]["records"] == 50
    assert list((folder / "bursar-data" / "exchange").iterdir()) == [], "nothing is left behind"


def test_a_second_service_is_refused(service: tuple[Path, str]) -> None:
    """The data directory has one service; the second is told who holds it, exit code 2."""
    folder, _ = service
    second = bursar("serve", cwd=folder)
    assert second.returncode == 2
    assert "another bursar service" in second.stderr


def test_a_held_warehouse_without_a_service_says_what_to_do(tmp_path: Path) -> None:
    """Where another process holds the file and nobody answers on the socket, the message says so; exit code 2."""
    (tmp_path / "usage.jsonl").write_text(json.dumps(call("a", 1793620800.0)) + "\n")
    code = (
        "import sys, datetime, pathlib; from store.usage.duckdb import open_duckdb;"
        "w = open_duckdb(pathlib.Path('bursar-data/usage.duckdb'), clock=lambda: datetime.datetime.now(datetime.UTC));"
        "print('held', flush=True); sys.stdin.read()"
    )
    (tmp_path / "bursar-data").mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    done = bursar("ingest", "litellm", "usage.jsonl", cwd=tmp_path)
    holder.communicate("", timeout=30)
    assert done.returncode == 2
    assert "another process" in done.stderr
    assert "bursar serve" in done.stderr
