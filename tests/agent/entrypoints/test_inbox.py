"""Slack's side of the service over real sockets: acknowledged at once, stored once, decided once."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.entrypoints.inbox import SlackDesk, channel_of
from agent.policy import Owner, Policy
from store.ledger.ledger import Ledger, open_ledger
from store.model.usage import Scope
from tests.agent.entrypoints.slack_child import PEOPLE, now, slack_settings
from tests.servers.slack import Delivery, Json, SlackStandIn
from tests.store.ledger.examples import a_finding, a_proposal, a_ruling, an_incident, audited
from tools.slack.blocks import APPROVE, REJECT

ROOT = Path(__file__).parents[3]


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        for account in PEOPLE:
            stand_in.add_user(account.partition("/")[2])
        yield stand_in
        assert stand_in.violations == []


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(ledger_file: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{ledger_file}", clock=now)
    opened.save_incident(an_incident())
    opened.save_finding(a_finding())
    proposal = a_proposal(made_at=now())
    opened.file(proposal, a_ruling(proposal, approvers=tuple(PEOPLE.values())))
    yield opened
    opened.close()


@contextmanager
def a_desk(ledger: Ledger, base_url: str, *, woken: Callable[[], None] = lambda: None) -> Iterator[SlackDesk]:
    desk = SlackDesk(
        settings=slack_settings(base_url),
        policy=Policy(),
        ledger=ledger,
        clock=now,
        owner="one",
        zone=ZoneInfo("UTC"),
        wake=woken,
        idle_seconds=0.05,
    )
    desk.start()
    yield desk
    desk.close()


@contextmanager
def a_child(ledger_file: Path, slack: SlackStandIn, owner: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "tests.agent.entrypoints.slack_child"]
    arguments = [f"sqlite:///{ledger_file}", slack.base_url, owner]
    child = subprocess.Popen([*command, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.communicate(timeout=30)


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Wait for what other threads and processes do."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def fifty_clicks(slack: SlackStandIn, root: Json) -> list[Delivery]:
    """Everybody clicks at once, approve and reject mixed."""
    gate, sent = threading.Barrier(len(PEOPLE)), list[Delivery]()

    def click(number: int) -> None:
        gate.wait()
        action, value = (APPROVE, "rem-1@1") if number % 2 else (REJECT, "rem-1@1:risk")
        sent.append(slack.click(f"U0P{number}", root, action, value))

    clickers = [threading.Thread(target=click, args=(number,)) for number in range(len(PEOPLE))]
    for one in clickers:
        one.start()
    for one in clickers:
        one.join()
    return sent


def test_fifty_clicks_in_two_processes_make_one_decision(
    ledger: Ledger, ledger_file: Path, slack: SlackStandIn
) -> None:
    """One decides, and 49 are told that it is decided (I14); the thread shows it once."""
    with a_child(ledger_file, slack, "one"), a_child(ledger_file, slack, "two"):
        until(lambda: slack.connections() == 2 and slack.roots())
        sent = fifty_clicks(slack, slack.roots()[0])
        until(lambda: len(slack.ephemerals) == 49 and not ledger.inbox_pending() and not ledger.outbox_pending())
    assert audited(ledger).count("decision") == 1
    assert all(one["text"].startswith("Already ") for one in slack.ephemerals)
    assert len({one["user"] for one in slack.ephemerals}) == 49
    assert all(one.acked.is_set() for one in sent)
    (root,) = slack.roots()
    assert len(slack.replies(root)) == 1
    assert not [block for block in root["blocks"] if block["type"] == "actions"]


def test_a_slow_database_delays_no_acknowledgement(ledger: Ledger, ledger_file: Path, slack: SlackStandIn) -> None:
    """Somebody holds the database for as long as fifty click (I19); nothing is lost."""
    with a_desk(ledger, slack.base_url) as desk:
        until(lambda: desk.connected and slack.roots() and slack.connections())
        until(lambda: not ledger.outbox_pending())
        with closing(sqlite3.connect(ledger_file, isolation_level=None)) as hog:
            hog.execute("BEGIN IMMEDIATE")
            sent = fifty_clicks(slack, slack.roots()[0])
            until(lambda: all(one.acked.is_set() for one in sent))
            hog.execute("ROLLBACK")
        until(lambda: len(slack.ephemerals) == 49)
    seconds = sorted(one.ack_seconds or 9.0 for one in sent)
    assert seconds[-1] < 2.5
    assert seconds[len(seconds) // 2] <= 0.5
    assert audited(ledger).count("decision") == 1


def test_a_click_that_cannot_be_stored_is_not_acknowledged(
    ledger: Ledger, ledger_file: Path, slack: SlackStandIn
) -> None:
    """Slack then shows the person that it failed, and the button stays."""
    with a_desk(ledger, slack.base_url) as desk:
        until(lambda: desk.connected and slack.roots() and slack.connections())
        with closing(sqlite3.connect(ledger_file)) as broken:
            broken.execute("ALTER TABLE inbox RENAME TO lost")
        failed = slack.click("U0P1", slack.roots()[0], APPROVE, "rem-1@1")
        ignored = slack.deliver("events_api", {"event": {"type": "message"}})
        until(ignored.acked.is_set)
        assert not failed.acked.wait(0.3)
        with closing(sqlite3.connect(ledger_file)) as mended:
            mended.execute("ALTER TABLE lost RENAME TO inbox")
        again = slack.click("U0P1", slack.roots()[0], APPROVE, "rem-1@1")
        until(again.acked.is_set)
        until(lambda: ledger.decision("rem-1", 1))


def test_replays_and_garbage_have_no_effect(ledger: Ledger, slack: SlackStandIn) -> None:
    """The same click in an envelope that comes again, or in another, is acknowledged and forgotten (I15).

    So is what is no click: Slack would only send it again.
    """
    kind = {"type": "block_actions"}
    garbage: tuple[object, ...] = ({}, kind, {**kind, "actions": [None]}, "text", {"actions": 5})
    woken: list[int] = []
    with a_desk(ledger, slack.base_url, woken=lambda: woken.append(1)):
        until(lambda: slack.roots() and slack.connections())
        payload = slack.click_payload("U0P1", slack.roots()[0], APPROVE, "rem-1@1")
        for envelope in ("env-a", "env-a", "env-b"):
            until(slack.deliver("interactive", payload, envelope_id=envelope).acked.is_set)
        for anything in garbage:
            until(slack.deliver("interactive", anything).acked.is_set)
        until(lambda: ledger.decision("rem-1", 1) and not ledger.inbox_pending())
    assert audited(ledger).count("vote") == 1
    assert slack.ephemerals == []
    assert woken == [1]


def test_clicks_come_again_after_slack_closed_the_connection(ledger: Ledger, slack: SlackStandIn) -> None:
    """Slack recycles connections; the client opens another."""
    with a_desk(ledger, slack.base_url):
        until(lambda: slack.roots() and slack.connections())
        slack.drop_connections()
        until(lambda: slack.called("apps.connections.open") >= 2 and slack.connections())
        until(slack.click("U0P1", slack.roots()[0], APPROVE, "rem-1@1").acked.is_set)
        until(lambda: ledger.decision("rem-1", 1))


def test_a_kill_between_post_and_commit_makes_no_second_root(
    ledger: Ledger, ledger_file: Path, slack: SlackStandIn
) -> None:
    """Kill -9 as Slack has the message and nobody else knows; the next process finds it (I20)."""
    with a_child(ledger_file, slack, "one") as first:

        def kill(method: str, _given: Json) -> None:
            if method == "chat.postMessage":
                os.kill(first.pid, signal.SIGKILL)

        slack.on_effect = kill
        first.wait(20)
    assert first.returncode == -signal.SIGKILL
    assert ledger.reference("slack-thread", "inc-1") is None
    slack.on_effect = lambda _method, _given: None
    with a_child(ledger_file, slack, "one"):
        until(lambda: not ledger.outbox_pending())
    (root,) = slack.roots()
    assert slack.replies(root) == []


def test_the_service_starts_and_stops_without_slack(ledger: Ledger) -> None:
    """Nobody answers at the address; nothing is lost, and nothing hangs."""
    with a_desk(ledger, "http://127.0.0.1:9/api/") as desk:
        until(lambda: ledger.reference("slack-since", ""))
        assert not desk.connected
    assert ledger.outbox_pending()


def test_threads_open_in_the_owners_channel() -> None:
    """By id, or by a name that has one; else in the default channel."""
    owners = (
        Owner(scope={"team": "search"}, channel="C0SEARCH"),
        Owner(scope={"team": "ads"}, channel="#ads"),
        Owner(scope={"team": "hr"}, channel="#hr"),
        Owner(scope={"team": "lab"}),
    )
    policy = Policy(owners=owners)
    found = {
        team: channel_of(Scope.of(team=team), policy, {"#ads": "C0ADS"}, default="C0FINOPS")
        for team in ("search", "ads", "hr", "lab", "other")
    }
    assert found == {"search": "C0SEARCH", "ads": "C0ADS", "hr": "C0FINOPS", "lab": "C0FINOPS", "other": "C0FINOPS"}
