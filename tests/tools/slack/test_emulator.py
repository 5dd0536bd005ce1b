"""The Web API against an emulator that is not ours (npm package emulate); skipped where it cannot run."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tools.slack.blocks import Card, incident_message, note_message
from tools.slack.calls import open_client
from tools.slack.errors import SlackRefused
from tools.slack.settings import SlackSettings
from tools.slack.threads import SlackThreads

RIG = Path(__file__).parents[3] / ".." / "shared" / "rigs" / "slack_emulator" / "start.sh"
CARD = Card(
    "Agent loop: $10.00 above", "team=search", "spent", "because", "Waits", target="rem-1@1", buttons=("approve",)
)


@pytest.fixture(scope="module")
def rig() -> Iterator[dict[str, Any]]:
    if not RIG.exists():
        pytest.skip("the rig is not beside this repository (../shared/rigs/slack_emulator)")
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node here, which the emulator runs on")
    emulator = subprocess.Popen([str(RIG.resolve())], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert emulator.stdout is not None
    line = emulator.stdout.readline()
    if not line:
        _, said = emulator.communicate()
        pytest.skip(f"the emulator does not start here: {said.decode().strip()[-200:]}")
    yield json.loads(line)
    emulator.terminate()
    emulator.communicate(timeout=20)


@pytest.fixture
def threads(rig: dict[str, Any]) -> SlackThreads:
    settings = SlackSettings(
        bot_token=SecretStr(rig["bot_token"]),
        app_token=SecretStr("xapp-none"),
        channel=rig["channels"]["finops"],
        base_url=f"{rig['url']}/api/",
    )
    return SlackThreads(open_client(settings))


def test_a_thread_is_posted_found_updated_and_answered(rig: dict[str, Any], threads: SlackThreads) -> None:
    """Metadata survive an update, and each message of a name stands once."""
    channel, since = rig["channels"]["finops"], datetime.now(UTC) - timedelta(hours=1)
    root = threads.post(channel, incident_message(CARD), name="incident:inc-1", since=since)
    threads.update(root, incident_message(CARD._replace(status="Approved by ann", buttons=())))
    assert threads.post(channel, incident_message(CARD), name="incident:inc-1", since=since) == root
    reply = threads.post(channel, note_message("Approved by ann."), name="outbox:2", since=since, thread=root.ts)
    again = threads.post(channel, note_message("Approved by ann."), name="outbox:2", since=since, thread=root.ts)
    assert reply == again != root
    assert threads.find(channel, name="incident:inc-2", since=since) is None


def test_a_chart_is_uploaded_into_the_thread(rig: dict[str, Any], threads: SlackThreads) -> None:
    """The three calls of a file."""
    channel, since = rig["channels"]["finops"], datetime.now(UTC) - timedelta(hours=1)
    root = threads.post(channel, incident_message(CARD), name="incident:inc-3", since=since)
    threads.upload(root, filename="inc-3.png", content=b"\x89PNG", title="Spend", since=since)


def test_accounts_and_errors_mean_the_same_there(rig: dict[str, Any], threads: SlackThreads) -> None:
    """A member is not barred, an unknown account is; a channel that is not there is a refusal."""
    assert threads.account(rig["users"]["approver"]).barred == ""
    assert threads.account("U0NOBODY").barred
    with pytest.raises(SlackRefused) as refused:
        threads.post("C0NOWHERE", note_message("x"), name="n", since=datetime.now(UTC))
    assert refused.value.code == "channel_not_found"
