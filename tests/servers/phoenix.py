"""A real Arize Phoenix in its own virtual environment, which takes OTLP/HTTP and tells what it read of it."""

import os
import platform
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.environments import interpreter_of

REQUIREMENTS = Path(__file__).parent / "requirements-phoenix.txt"
_LOCKED_FOR = ("linux", "x86_64", (3, 11))
START_SECONDS = 300  # 5 to 50 by how busy the machine is
READ_SECONDS = 60  # it writes what it took some seconds later


class Phoenix:
    """A running server with a database of its own."""

    def __init__(self, folder: Path) -> None:
        """Start it in the folder and wait until it answers."""
        if (sys.platform, platform.machine(), sys.version_info[:2]) != _LOCKED_FOR:
            pytest.skip(f"{REQUIREMENTS.name} locks the wheels of CPython 3.11 on Linux x86-64 only")
        python = interpreter_of("phoenix", REQUIREMENTS)
        port, grpc_port = _free_port(), _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "phoenix.log"
        inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ}
        own = {
            "HOME": str(folder),
            "PHOENIX_WORKING_DIR": str(folder),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(port),
            # Never the default: it listens on every interface there, and collectors use 4317.
            "PHOENIX_GRPC_PORT": str(grpc_port),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        with self._log.open("w") as out:
            command = [str(python.parent / "phoenix"), "serve"]
            self._process = subprocess.Popen(
                command, cwd=folder, env={**inherited, **own}, stdout=out, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def spans(self, project: str, count: int) -> list[dict[str, Any]]:
        """The spans that it read of a project, once there are so many."""
        end = time.monotonic() + READ_SECONDS
        found: list[dict[str, Any]] = []
        while len(found) < count and time.monotonic() < end:
            time.sleep(0.5)
            answer = httpx.get(f"{self.url}/v1/projects/{project}/spans", params={"limit": 1_000}, timeout=30)
            found = answer.json()["data"] if answer.status_code == httpx.codes.OK else []
        return found

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(30)

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            try:
                if httpx.get(f"{self.url}/healthz").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.5)
        pytest.fail(f"Phoenix did not start: {self._log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
