"""Announce: one thread per incident, in order, whatever Slack does."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from store.model.remedy import Verdict
from store.model.usage import Scope
from tests.agent.steps.slack_scene import Scene, slack_scene
from tests.servers.slack import BOT, CHANNEL
from tests.store.ledger.examples import SCOPE, T0, a_finding, an_application, claimed, moved
from tools.slack.blocks import APPROVE, UNDO


@pytest.fixture
def scene() -> Iterator[Scene]:
    with slack_scene() as opened:
        yield opened


def _said(scene: Scene) -> str:
    (root,) = scene.slack.roots()
    return json.dumps(root["blocks"], ensure_ascii=False)


def test_a_request_opens_one_thread_that_says_everything(scene: Scene) -> None:
    """Cause with confidence, drivers, diff, saving, risk, lease, expiry, and the buttons."""
    scene.file()
    assert scene.announce() == 1
    said = _said(scene)
    for part in ("Agent loop: $10.00 above", "90% sure", "request volume +$10.00", "60 requests a minute", "not set"):
        assert part in said
    for part in (
        "*Saves*",
        "it cash",
        "*Risk* low",
        "*Lasts* 1 d",
        "Waits for a decision until Tue 24 Nov 08:00",
        "ann",
    ):
        assert part in said
    assert (APPROVE, "rem-1@1") in scene.buttons()
    assert "<@U0ANN> · <@U0BEN> · <@U0CLEO>" in said
    assert scene.announce() == 0


def test_the_session_that_loops_is_named(scene: Scene) -> None:
    """What the finding names inside the incident's scope stands in the thread, and comes to no life there."""
    scene.file()
    inside = Scope.of({**SCOPE.as_dict(), "session_id": "night-run <!channel>"})
    scene.ledger.save_finding(a_finding().model_copy(update={"focus": inside}))
    scene.announce()
    assert "session_id=night-run" in _said(scene)
    assert "<!channel>" not in _said(scene)


def test_a_decision_updates_the_root_in_place_and_takes_the_buttons_away(scene: Scene) -> None:
    """The thread tells who decided and why."""
    scene.file()
    scene.announce()
    scene.clicked("U0ANN", "bursar_reject", "rem-1@1:risk")
    scene.settle()
    (root,) = scene.slack.roots()
    assert root["edited"]
    assert scene.buttons() == []
    assert "<@" not in _said(scene)
    assert "Rejected by ann" in _said(scene)
    assert [one["text"] for one in scene.slack.replies(root)] == ["Rejected by ann: Too risky."]


def test_what_a_rule_did_can_be_undone(scene: Scene) -> None:
    """Undo appears once the change is in force, and goes when it is taken back."""
    scene.file(verdict="apply")
    scene.announce()
    assert scene.buttons() == []
    claim, remedy = claimed(scene.ledger)
    assert scene.ledger.intend(claim, an_application(scene.file(), claim), moved(remedy, state="applying"))
    scene.ledger.conclude(claim, moved(remedy, state="verifying", lease_ends_at=T0 + timedelta(days=1)))
    scene.announce()
    assert scene.buttons() == [(UNDO, "rem-1@1")]
    assert "Approved by rule default" in _said(scene)
    scene.clicked("U0BEN", UNDO, "rem-1@1")
    scene.settle()
    standing = scene.ledger.remedy("rem-1")
    assert standing is not None
    assert standing.revert_reason == "undone by ben"
    assert scene.answers("U0BEN") == ["It will be undone now, as ben asked."]


def test_shadow_says_what_would_have_been_done(scene: Scene) -> None:
    """A plan that is only observed stands in a thread without buttons."""
    scene.file(verdict="observe")
    assert scene.announce() == 1
    assert "Only observed: nothing was changed" in _said(scene)
    assert "60 requests a minute" in _said(scene)
    assert scene.buttons() == []


def test_a_lost_answer_makes_no_second_root(scene: Scene) -> None:
    """The post took effect and nobody heard of it: it is found by its metadata."""
    scene.file()
    scene.slack.fail("chat.postMessage", kind="cut", late=True, times=1)
    assert scene.announce() == 0
    assert len(scene.slack.roots()) == 1
    scene.clock.turn(seconds=70)
    assert scene.announce() == 1
    assert len(scene.slack.roots()) == 1
    assert scene.slack.replies(scene.slack.roots()[0]) == []


def test_a_lost_answer_makes_no_second_reply(scene: Scene) -> None:
    """Replies are looked up in their thread."""
    scene.file()
    scene.announce()
    scene.clicked("U0ANN", APPROVE, "rem-1@1")
    scene.hear()
    scene.slack.fail("chat.postMessage", kind="garbage", late=True, times=1)
    scene.announce()
    scene.clock.turn(seconds=70)
    scene.settle()
    (root,) = scene.slack.roots()
    assert [one["text"] for one in scene.slack.replies(root)] == ["Approved by ann."]


def test_another_apps_message_with_our_metadata_is_not_ours(scene: Scene) -> None:
    """A foreign app cannot take a thread over."""
    metadata = {"event_type": "bursar_message", "event_payload": {"name": "incident:inc-1"}}
    forged = {"ts": f"{T0.timestamp():.0f}.000001", "bot_id": "B0OTHER", "text": "x", "blocks": [], "channel": CHANNEL}
    scene.slack.messages[CHANNEL].append({**forged, "metadata": metadata})
    scene.file()
    scene.announce()
    assert [one["bot_id"] for one in scene.slack.roots()] == ["B0OTHER", BOT]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "http", "status": 429, "retry_after": 60},
        {"kind": "cut"},
        {"kind": "http", "status": 503},
        {"kind": "error", "code": "internal_error"},
        {"kind": "error", "code": "invalid_auth"},
        {"kind": "garbage"},
    ],
    ids=str,
)
def test_an_hour_without_slack_loses_and_doubles_nothing(scene: Scene, fault: dict[str, Any]) -> None:
    """Everything arrives in order within five minutes of the return, decisions made meanwhile among it (I20)."""
    scene.file()
    scene.announce()
    scene.slack.fail(**fault)
    scene.clock.turn(minutes=1)
    scene.ledger.set_kill_switch(True, by="ann", reason="drill")
    scene.file("rem-2")
    scene.ledger.expire_due(T0 + timedelta(days=2))
    for _ in range(60):
        scene.announce()
        scene.clock.turn(minutes=1)
    assert len(scene.slack.roots()) == 1
    scene.slack.mend()
    for _ in range(5):
        scene.announce()
        scene.clock.turn(minutes=1)
    first, second = scene.slack.roots()
    assert "The kill switch is on" in second["text"]
    told = [one["text"] for one in scene.slack.replies(first)]
    assert told[0].startswith("A new plan waits")
    assert told[1:] == ["Nobody decided in time; nothing is changed."] * 2
    assert scene.ledger.outbox_pending() == []
    assert float(second["ts"]) < min(float(one["ts"]) for one in scene.slack.replies(first))


def test_nothing_overtakes(scene: Scene) -> None:
    """One call fails and the next would get through: it is not made before the first has."""
    scene.file()
    scene.ledger.set_kill_switch(True, by="ann", reason="")
    scene.slack.fail("chat.postMessage", kind="http", status=503, times=1)
    assert scene.announce() == 0
    assert scene.slack.roots() == []
    scene.clock.turn(seconds=70)
    assert scene.announce() == 2
    assert "kill switch" in scene.slack.roots()[1]["text"]


def test_retry_after_is_honoured_by_every_replica(scene: Scene) -> None:
    """Nobody calls before the time is over, not even a replica that was not told."""
    scene.file()
    scene.slack.fail("chat.postMessage", kind="http", status=429, retry_after=30, times=1)
    scene.announce()
    calls = len(scene.slack.calls)
    scene.clock.turn(seconds=29)
    assert scene.announce("one") + scene.announce("two") == 0
    assert len(scene.slack.calls) == calls
    scene.clock.turn(seconds=2)
    assert scene.announce("two") == 1


def test_two_replicas_do_not_talk_at_once(scene: Scene) -> None:
    """While one holds the turn the other sends nothing; after its lease it may."""
    scene.file()
    scene.ledger.take_turn("slack-outbox", owner="one", lease_seconds=60)
    assert scene.announce("two") == 0
    scene.clock.turn(seconds=61)
    assert scene.announce("two") == 1


@pytest.mark.parametrize("code", ["channel_not_found", "is_archived"])
def test_a_message_that_is_refused_waits_alone(scene: Scene, code: str) -> None:
    """It is not lost, and does not hold up others."""
    scene.file()
    scene.ledger.set_kill_switch(True, by="ann", reason="")
    scene.slack.fail("chat.postMessage", kind="error", code=code, times=1)
    assert scene.announce() == 1
    assert "kill switch" in scene.slack.roots()[0]["text"]
    scene.clock.turn(minutes=11)
    assert scene.announce() == 1
    assert len(scene.slack.roots()) == 2


def test_a_message_that_is_too_long_after_all_goes_as_text(scene: Scene) -> None:
    """Slack changes a limit, and the request still reaches people."""
    scene.file()
    scene.slack.fail("chat.postMessage", kind="error", code="msg_blocks_too_long", times=1)
    assert scene.announce() == 1
    (root,) = scene.slack.roots()
    assert root["blocks"] == []
    assert "Agent loop" in root["text"]


def test_a_deleted_thread_is_not_the_end(scene: Scene) -> None:
    """Somebody deleted the root: the news stand in the channel."""
    scene.file()
    scene.announce()
    scene.slack.messages[CHANNEL].clear()
    scene.ledger.expire_due(T0 + timedelta(days=2))
    assert scene.announce() == 1
    (alone,) = scene.slack.roots()
    assert alone["text"].startswith("inc-1 (team=search): Nobody decided in time")
    scene.file(revision=2)
    scene.announce()
    assert scene.slack.roots()[1]["text"].endswith("To decide: bursar approve or reject rem-1@2")


def test_escalations_are_told_in_the_thread(scene: Scene) -> None:
    """A quarter of the waiting time is over."""
    scene.file()
    scene.announce()
    scene.ledger.expire_due(T0 + timedelta(hours=7))
    scene.announce()
    (root,) = scene.slack.roots()
    (reply,) = scene.slack.replies(root)
    assert reply["text"] == "Still waiting for a decision: 25 % of the time is over."
    assert "<@U0ANN>" in json.dumps(reply["blocks"])


def test_old_news_are_not_told_when_slack_is_connected(scene: Scene) -> None:
    """A kill switch that was turned two days ago."""
    scene.ledger.set_kill_switch(True, by="ann", reason="")
    scene.clock.turn(days=2)
    scene.ledger.set_kill_switch(False, by="ann", reason="")
    assert scene.announce() == 2
    (root,) = scene.slack.roots()
    assert "The kill switch is off" in root["text"]


@pytest.mark.parametrize(("verdict", "told"), [("ask", 1), ("observe", 0)])
def test_what_ended_before_slack_was_connected_is_history(scene: Scene, verdict: Verdict, told: int) -> None:
    """What still waits is told; what was over long ago floods nobody."""
    scene.file(verdict=verdict)
    scene.clock.turn(hours=1)
    assert scene.announce() == 1
    assert len(scene.slack.roots()) == told


def test_the_chart_comes_once_with_the_thread(scene: Scene) -> None:
    """A crash in the upload repeats neither the root nor the file."""
    scene.chart = b"png"
    scene.file()
    scene.slack.fail("files.completeUploadExternal", kind="cut", late=True, times=1)
    scene.announce()
    scene.clock.turn(seconds=70)
    scene.settle()
    (root,) = scene.slack.roots()
    assert [one["files"][0]["name"] for one in scene.slack.replies(root)] == ["inc-1.png"]


def test_the_weekly_summary_is_posted_once_with_its_chart(scene: Scene, tmp_path: Path) -> None:
    """One message a week in the channel, the picture in its thread, whatever is lost between."""
    (tmp_path / "bursar-2026-W47.png").write_bytes(b"picture")
    payload = {
        "week": "2026-W47",
        "markdown": str(tmp_path / "bursar-2026-W47.md"),
        "title": "Week 47",
        "story": "One incident cost $5.00 above the baseline.",
        "figures": [["Lost", "$5.00", "above the baseline"]],
        "incidents": ["Agent loop at team=<!channel>: $5.00 above the baseline, $1.00 avoided"],
    }
    scene.ledger.claim_window("weekly", "", T0, owner="one", lease_seconds=60)
    scene.ledger.finish_window("weekly", "", T0, owner="one", outbox=("weekly_summary", "2026-W47", payload))
    scene.slack.fail("files.completeUploadExternal", kind="cut", late=True, times=1)
    for _ in range(3):
        scene.announce()
        scene.clock.turn(seconds=70)
    (root,) = scene.slack.roots()
    assert root["blocks"][0]["text"]["text"] == "Week 47"
    assert "$1.00 avoided" in json.dumps(root["blocks"])
    assert [one["files"][0]["name"] for one in scene.slack.replies(root)] == ["bursar-2026-W47.png"]


def test_a_summary_without_its_chart_is_posted_all_the_same(scene: Scene, tmp_path: Path) -> None:
    """The picture was deleted."""
    payload = {"week": "2026-W47", "markdown": str(tmp_path / "gone.md")}
    scene.ledger.claim_window("weekly", "", T0, owner="one", lease_seconds=60)
    scene.ledger.finish_window("weekly", "", T0, owner="one", outbox=("weekly_summary", "2026-W47", payload))
    assert scene.announce() == 1
    assert scene.slack.replies(scene.slack.roots()[0]) == []


def test_a_row_that_nobody_understands_holds_up_nothing(scene: Scene) -> None:
    """It comes from a newer version, say."""
    scene.ledger.claim_window("k", "", T0, owner="one", lease_seconds=60)
    scene.ledger.finish_window("k", "", T0, owner="one", outbox=("remedy_changed", "k", {"strange": True}))
    scene.file()
    assert scene.announce() == 1
    assert len(scene.slack.roots()) == 1
