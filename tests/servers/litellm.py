"""A real LiteLLM proxy in its own virtual environment, with a model stub behind it and our guard inside.

The environment is made once, under `.venv/litellm`, from requirements-litellm.txt (locked with hashes, by pip alone).
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.environments import interpreter_of

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).parent / "litellm_config"
REQUIREMENTS = Path(__file__).parent / "requirements-litellm.txt"
GUARD = ROOT / "tools" / "guard" / "bursar_guard.py"
START_SECONDS = 180  # about 12 on a quiet machine


@pytest.fixture(scope="session")
def litellm_python() -> Path:
    """The interpreter of LiteLLM's environment."""
    return interpreter_of("litellm", REQUIREMENTS)


class Upstream:
    """The model stub (upstream.py), with its log of requests."""

    def __init__(self) -> None:
        """Start it on a free port."""
        command = [sys.executable, str(Path(__file__).with_name("upstream.py"))]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = str(json.loads(self._process.stdout.readline())["url"])
        self._client = httpx.Client(base_url=self.url, timeout=30)

    def log(self, containing: str = "") -> list[dict[str, Any]]:
        """Requests whose body has the text, in order of arrival, as {"path", "model", "body", "usage", ...}."""
        entries: list[dict[str, Any]] = self._client.get("/_log").json()
        return [entry for entry in entries if containing in json.dumps(entry["body"])]

    def rule(self, rule: Mapping[str, object]) -> None:
        """Add a rule (see upstream.py)."""
        self._client.post("/_rules", json=rule).raise_for_status()

    def stop(self) -> None:
        """End it."""
        self._client.close()
        end(self._process)


class LiteLLM:
    """A running proxy. Keys are added while it runs; its log has one line for each HTTP request."""

    def __init__(
        self,
        python: Path,
        folder: Path,
        *,
        upstream: Upstream,
        env: Mapping[str, str],
        callbacks: str = "bursar_guard.guard",
        workers: int = 1,
    ) -> None:
        """Start it in a folder of its own and wait until it answers; `env` holds the guard's BURSAR_* variables."""
        for source in (*CONFIG.iterdir(), GUARD):
            if source.is_file():
                shutil.copy(source, folder / source.name)
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace("CALLBACKS", callbacks))
        self._keys: dict[str, dict[str, object]] = {}
        self._keys_file = folder / "keys.json"
        self._write_keys()
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self._log_file = folder / "proxy.log"
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        own = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": f"sk-{uuid.uuid4().hex}{uuid.uuid4().hex}",  # it does not start without one
            "UPSTREAM_URL": upstream.url,
            "UPSTREAM_OPENAI_URL": f"{upstream.url}/v1",
            "UPSTREAM_MESSAGES_URL": f"{upstream.url}/v1/messages",
            "ANTHROPIC_API_BASE": upstream.url,
            "ANTHROPIC_API_KEY": "x",
            "BURSAR_TEST_KEYS": str(self._keys_file),
        }
        command = [str(python.parent / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        with self._log_file.open("w") as out:
            self._process = subprocess.Popen(
                [*command, "--num_workers", str(workers)],
                cwd=folder,
                env={**inherited, **own, **env},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_ready()

    def add_key(self, *, team: str, app: str, environment: str = "staging", alias: str | None = None) -> str:
        """A new key of a team and app, good from the next call on."""
        key = f"sk-{uuid.uuid4().hex}"
        metadata = {"app": app, "environment": environment}
        self._keys[key] = {"team": team, "alias": alias or f"{team}-{app}", "metadata": metadata}
        self._write_keys()
        return key

    def log(self) -> str:
        """All that the proxy printed."""
        return self._log_file.read_text(errors="replace")

    def answers(self, path: str, status: int) -> int:
        """How many requests to a path it has answered with a status, by its own access log."""
        return sum(1 for line in self.log().splitlines() if f'"POST {path} HTTP/1.1" {status}' in line)

    def stop(self) -> None:
        """End it and the workers that it started."""
        end(self._process, group=True)

    def _write_keys(self) -> None:
        draft = self._keys_file.with_suffix(".tmp")
        draft.write_text(json.dumps(self._keys))
        draft.replace(self._keys_file)

    def _wait_until_ready(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                pytest.fail(f"the proxy ended with {self._process.returncode}: {self.log()[-3000:]}")
            try:
                if httpx.get(f"{self.url}/health/liveliness", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)  # the start of a server has no event to wait for
        self.stop()
        pytest.fail(f"the proxy was not ready after {START_SECONDS} s: {self.log()[-3000:]}")


class OpenAIClient:
    """The real openai client, which lives in LiteLLM's environment."""

    def __init__(self, python: Path) -> None:
        """Start it."""
        command = [str(python), str(CONFIG / "openai_client.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def chat(self, url: str, key: str, *, max_retries: int = 2, **body: object) -> dict[str, Any]:
        """One chat completion: {"status", "headers", "body"} and for an error the class `raised`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"url": url, "key": key, "max_retries": max_retries, "body": body}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def stop(self) -> None:
        """End it."""
        end(self._process)


def end(process: "subprocess.Popen[str] | subprocess.Popen[bytes]", *, group: bool = False) -> None:
    """TERM, then KILL after ten seconds; `group` for a process that leads a session of its own."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        if group:
            os.killpg(process.pid, sign)
        else:
            process.send_signal(sign)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            continue
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """The model stub of this test process."""
    stub = Upstream()
    yield stub
    stub.stop()


@pytest.fixture(scope="session")
def openai_client(litellm_python: Path) -> Iterator[OpenAIClient]:
    """The real openai client."""
    client = OpenAIClient(litellm_python)
    yield client
    client.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
