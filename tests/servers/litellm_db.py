"""A real LiteLLM proxy with PostgreSQL: the rig beside the repository, started once for a test session.

The rig (shared/rigs/litellm_db) holds LiteLLM's Python code, a real PostgreSQL and a stand-in for Prisma's engine.
"""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.servers.json_server import Json, Reply, Request

RIG = Path(__file__).parents[2].parent / "shared" / "rigs" / "litellm_db" / "start.sh"
_numbers = count(1)


class LiteLLMWithDatabase:
    """A running proxy, asked as its administrator; also a stand-in that passes requests on to it."""

    def __init__(self, url: str, master_key: str) -> None:
        """Talk to a proxy that runs."""
        self.url, self.master_key = url, master_key
        self._client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {master_key}"}, timeout=60)

    def admin(self, method: str, path: str, body: Json | None = None, **params: str) -> Json:
        """An administrator's call that works."""
        answer = self._client.request(method, path, json=body, params=params)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def new_team(self, **fields: object) -> tuple[str, str]:
        """A new team: its alias and its id."""
        for _ in range(50):
            alias = f"team-{next(_numbers)}"
            answer = self._client.post("/team/new", json={"team_alias": alias, **fields})
            if answer.status_code == 200:
                return alias, str(answer.json()["team_id"])
            # The rig's stand-in for Prisma at times loses sight of the new row: "was deleted while ... running".
            assert "was deleted while" in answer.text, answer.text
            time.sleep(0.1)
        raise AssertionError("the proxy made no team in fifty tries")

    def new_key(self, *, team_id: str, **fields: object) -> tuple[str, str]:
        """A new key of a team: its alias and its secret."""
        alias = f"key-{next(_numbers)}"
        made = self.admin("POST", "/key/generate", {"team_id": team_id, "key_alias": alias, **fields})
        return alias, str(made["key"])

    def chat(self, secret: str, model: str) -> httpx.Response:
        """One call with a key."""
        body = {"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": f"Bearer {secret}"}
        return self._client.post("/v1/chat/completions", json=body, headers=headers)

    def answer(self, request: Request) -> Reply:
        """What the proxy answers."""
        path = "/" + "/".join(request.path)
        headers = {"authorization": request.headers.get("authorization", "")}
        got = self._client.request(request.method, path, params=request.query, json=request.body, headers=headers)
        return Reply(got.status_code, got.text)

    def refusal(self, request: Request) -> Reply:
        """What a viewer is told."""
        return Reply(403, {"error": {"message": f"user not allowed to access this route: {request.path}"}})

    def pretended(self, request: Request) -> Reply:
        """Success, and nothing changes."""
        return Reply(200, {name: request.body[name] for name in ("key", "team_id") if name in request.body})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


@pytest.fixture(scope="session")
def litellm_db() -> Iterator[LiteLLMWithDatabase]:
    """The proxy; about 20 s to start."""
    if not RIG.exists():
        pytest.skip(f"no rig at {RIG}: it lies beside the repository")
    with subprocess.Popen([str(RIG)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.skip(f"the LiteLLM rig did not start: {process.wait()}")
        told = json.loads(line)
        proxy = LiteLLMWithDatabase(told["url"], told["master_key"])
        yield proxy
        proxy.close()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
