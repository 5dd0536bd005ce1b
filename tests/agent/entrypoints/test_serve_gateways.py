"""The whole walk by the command line alone: approve, applied by the service, seen in force, reverted, as it was."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from store.ledger.ledger import open_ledger
from store.model.remedy import OpenPullRequest, SetRateLimit
from store.model.usage import Scope
from tests.agent.entrypoints.test_cli import bursar
from tests.agent.entrypoints.test_serve import free_port, wait_for
from tests.servers.git_host import REPOSITORY, TOKEN
from tests.servers.git_host_github import GitHubHost
from tests.servers.json_server import JsonServer
from tests.servers.litellm_keys import ADMIN, LiteLLMKeys
from tests.store.ledger.examples import a_proposal, a_ruling, an_incident

BURSAR = str(Path(sys.executable).parent / "bursar")
TEAM = Scope.of(team="search")
LIMIT = SetRateLimit(target=TEAM, requests_per_minute=60, was={"requests_per_minute": 500, "tokens_per_minute": None})
PULL = OpenPullRequest(
    target=TEAM,
    repository=REPOSITORY,
    path="prompts/a.md",
    content="mended\n",
    title="Keep the cached prefix stable",
    body="The prefix breaks at offset 12.",
)
CONFIG = """
server: {{port: {port}}}
schedule: {{tick_seconds: 1, retry_seconds: 1}}
policy: {{mode: ask, approvers: [ann]}}
litellm_admin: {{url: "{proxy}", admin_key: "${{BURSAR_LITELLM_ADMIN_KEY}}", propagation_seconds: 1}}
pull_request:
  url: "{host}"
  token: "${{BURSAR_GIT_TOKEN}}"
  repositories: [{repository}]
  paths: ["prompts/*.md"]
"""
SECRETS = {"BURSAR_LITELLM_ADMIN_KEY": ADMIN, "BURSAR_GIT_TOKEN": TOKEN}


class Place(NamedTuple):
    """A folder in which a service runs, and the two gateways of its configuration."""

    folder: Path
    proxy: LiteLLMKeys
    host: GitHubHost

    def says(self, *words: str) -> str:
        """What a command that works prints."""
        done = bursar(*words, cwd=self.folder, env=SECRETS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def standing(self) -> dict[str, tuple[str, str]]:
        """Where each remedy stands, as `bursar remedies` says."""
        return {one["id"]: (one["state"], one["outcome"]) for one in json.loads(self.says("remedies", "--json"))}

    def wait_for(self, state: str) -> None:
        """Until the service has brought both remedies so far."""
        ledger = open_ledger(f"sqlite:///{self.folder / 'bursar-data' / 'ledger.db'}", clock=lambda: datetime.now(UTC))
        wait_for(lambda: {one.state for one in ledger.remedies()} == {state})
        ledger.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    proxy, host = LiteLLMKeys(), GitHubHost()
    proxy.add_team("search", rpm_limit=500)
    servers = [JsonServer(proxy), JsonServer(host)]
    port = free_port()
    text = CONFIG.format(port=port, proxy=servers[0].url, host=servers[1].url, repository=REPOSITORY)
    (tmp_path / "bursar.yaml").write_text(text)
    (tmp_path / "bursar-data").mkdir()
    now = datetime.now(UTC)
    ledger = open_ledger(f"sqlite:///{tmp_path / 'bursar-data' / 'ledger.db'}", clock=lambda: now)
    ledger.save_incident(an_incident())
    for name, gateway, action in (("rem-1", "litellm_admin", LIMIT), ("rem-2", "pull_request", PULL)):
        changes = {"gateway": gateway, "actions": (action,)}
        proposal = a_proposal(name, made_at=now).model_copy(update=changes)
        ledger.file(proposal, a_ruling(proposal, approvers=("ann",)))
    ledger.close()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR")}
    process = subprocess.Popen(
        [BURSAR, "serve"], cwd=tmp_path, env={**inherited, **SECRETS}, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200)
    yield Place(tmp_path, proxy, host)
    process.send_signal(signal.SIGTERM)
    _, noise = process.communicate(timeout=30)
    assert process.returncode == 0, noise
    assert ADMIN not in noise
    assert TOKEN not in noise
    for server in servers:
        server.close()


def test_approve_apply_revert_at_two_gateways(place: Place) -> None:
    """Nothing before the approvals; then both changes under our marker; after the reverts all is as it was."""
    [team] = place.proxy.teams.values()
    assert (team["rpm_limit"], place.host.repo.papers) == (500, [])
    for remedy in ("rem-1@1", "rem-2@1"):
        place.says("approve", remedy, "--as", "ann", "--yes")
    place.wait_for("verifying")
    [paper] = place.host.repo.papers
    assert (team["rpm_limit"], paper.state) == (60, "open")
    assert team["metadata"]["bursar_remedies"]["set_rate_limit"]["remedy"] == "rem-1"
    assert place.host.repo.branches["main"].files["prompts/a.md"] == "broken\n"
    undone = bursar("revert", "--all", "--yes", cwd=place.folder, env=SECRETS)
    assert "requests_per_minute=60 -> requests_per_minute=500, as it was before" in undone.stderr
    place.wait_for("closed")
    assert place.standing() == {"rem-1": ("closed", "returned"), "rem-2": ("closed", "returned")}
    assert (team["rpm_limit"], team["metadata"], paper.state) == (500, {}, "closed")
    assert list(place.host.repo.branches) == ["main"]
