"""`bursar serve` with the guard and the intake configured: one process, real HTTP, the key on disk."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.agent.entrypoints.test_cli import bursar, call
from tests.agent.entrypoints.test_serve import BURSAR, free_port, wait_for
from tests.servers.guard_proxy import GuardProxy

TOKEN = "a-token-of-this-installation"
CONFIG = """
server: {port: PORT}
schedule: {tick_seconds: 1}
guard:
  token: ${BURSAR_GUARD_TOKEN}
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """(its folder, its URL)."""
    port = free_port()
    (tmp_path / "bursar.yaml").write_text(CONFIG.replace("PORT", str(port)))
    environment = {**os.environ, "BURSAR_GUARD_TOKEN": TOKEN}
    process = subprocess.Popen([BURSAR, "serve"], cwd=tmp_path, stderr=subprocess.DEVNULL, env=environment)
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: httpx.get(f"{url}/ready").status_code == 200)
    yield tmp_path, url
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_a_guard_is_served_and_its_usage_is_kept(service: tuple[Path, str]) -> None:
    """`guard keys` shows the key that signs; a proxy fetches, verifies, reports; pushed usage shows in metrics."""
    folder, url = service
    env = {"BURSAR_GUARD_TOKEN": TOKEN}
    key = json.loads(bursar("guard", "keys", "--json", cwd=folder, env=env).stdout)
    assert (folder / "bursar-data" / "guard.key").stat().st_mode & 0o777 == 0o600
    proxy = GuardProxy(bursar_url=url, token=TOKEN, public_key=key["public_key"], clock=lambda: datetime.now(UTC))
    assert [proxy.poll(), proxy.poll()] == [200, 304]
    proxy.close()
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False) as client:
        rows = [call(f"c{n}", time.time() - 60 * n) for n in range(3)]
        assert client.post("/v1/usage", json=rows).json()["accepted"] == 3
        assert client.post("/v1/usage", json=rows).json()["duplicate"] == 3
        assert 'bursar_usage_records_total{outcome="accepted"} 3.0' in client.get("/metrics").text
        client.headers["authorization"] = "Bearer wrong"
        assert client.post("/v1/usage", json=rows).status_code == 401
