"""Hear: who may decide, checked at the click; one decision; a kind answer to everybody else."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.agent.steps.slack_scene import Scene, buttons_of, slack_scene
from tests.servers.slack import TEAM
from tests.store.ledger.examples import T0, an_application, audited, claimed, moved, walked_to
from tools.slack.blocks import APPROVE, REJECT, UNDO


@pytest.fixture
def scene() -> Iterator[Scene]:
    with slack_scene() as opened:
        yield opened


def test_an_approval_decides_and_wakes_the_service(scene: Scene) -> None:
    """The click is the decision; nobody waits for the next tick."""
    scene.file()
    scene.announce()
    scene.clicked("U0ANN", APPROVE, "rem-1@1")
    assert scene.hear() == 1
    decision = scene.ledger.decision("rem-1", 1)
    assert decision is not None
    assert (decision.outcome, decision.decided_by) == ("approved", ("ann",))
    assert [vote.via for vote in scene.ledger.votes("rem-1", 1)] == ["slack"]
    assert scene.woken == 1
    assert scene.answers() == []


def test_a_second_click_is_answered_kindly(scene: Scene) -> None:
    """It names who decided, and when."""
    scene.file()
    scene.clicked("U0ANN", APPROVE, "rem-1@1")
    scene.clicked("U0BEN", REJECT, "rem-1@1:later")
    scene.hear()
    assert scene.answers("U0BEN") == ["Already approved by ann at 2026-11-23T08:00:00Z."]


def test_a_late_click_has_no_effect(scene: Scene) -> None:
    """The time ran out before the click was judged (I3)."""
    scene.file()
    scene.clock.turn(hours=25)
    scene.clicked("U0ANN", APPROVE, "rem-1@1")
    scene.hear()
    assert scene.answers() == [
        "Too late: the request for approval ended at 2026-11-24T08:00:00Z. Nothing will be changed."
    ]
    decision = scene.ledger.decision("rem-1", 1)
    assert decision is not None
    assert decision.outcome == "approval_expired"


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({"deleted": True}, "deactivated"),
        ({"is_bot": True}, "bot"),
        ({"is_workflow_bot": True}, "bot"),
        ({"is_restricted": True}, "guest"),
        ({"is_ultra_restricted": True}, "guest"),
        ({"is_stranger": True}, "another organisation"),
        ({"is_invited_user": True}, "not set up"),
        ({"team_id": "T0OTHER"}, "not on the list"),
        ({"team_id": ""}, "does not say whose"),
    ],
    ids=str,
)
def test_an_account_with_a_flag_decides_nothing(scene: Scene, flags: dict[str, Any], why: str) -> None:
    """Listed is not enough: what Slack says of the account at the click counts (I16)."""
    scene.slack.add_user("U0ANN", **flags)
    scene.file()
    scene.clicked("U0ANN", APPROVE, "rem-1@1")
    scene.hear()
    assert scene.ledger.decision("rem-1", 1) is None
    (answer,) = scene.answers("U0ANN")
    assert why in answer


def test_a_claimed_team_does_not_help(scene: Scene) -> None:
    """The payload says our team, Slack's own word on the account says another."""
    scene.slack.add_user("U0ANN", team_id="T0OTHER")
    scene.file()
    scene.clicked("U0ANN", APPROVE, "rem-1@1", user={"id": "U0ANN", "team_id": TEAM})
    scene.hear()
    assert scene.ledger.decision("rem-1", 1) is None
    assert "another workspace" in scene.answers()[0]


@pytest.mark.parametrize("user", ["U0MALLORY", "U0GHOST"])
def test_whoever_is_not_listed_decides_nothing(scene: Scene, user: str) -> None:
    """Being in the channel is no authority."""
    scene.slack.add_user("U0MALLORY")
    scene.file()
    scene.clicked(user, APPROVE, "rem-1@1")
    assert scene.hear() == 1
    assert scene.ledger.decision("rem-1", 1) is None


def test_an_empty_list_means_nobody(scene: Scene) -> None:
    """Deny by default."""
    scene.people = {}
    scene.file()
    scene.clicked("U0ANN", APPROVE, "rem-1@1")
    scene.hear()
    assert scene.ledger.decision("rem-1", 1) is None
    assert scene.slack.called("users.info") == 0


def test_an_organisation_may_stand_for_the_workspace(scene: Scene) -> None:
    """Enterprise Grid: listed under E..., and Slack says that the account belongs to it."""
    scene.people = {"E0ORG/U0ANN": "ann"}
    scene.slack.add_user("U0ANN", enterprise_user={"enterprise_id": "E0ORG"})
    scene.slack.add_user("U0BEN", enterprise_user={"enterprise_id": "E0OTHER"})
    scene.file()
    scene.clicked("U0BEN", APPROVE, "rem-1@1", enterprise={"id": "E0ORG"})
    scene.hear()
    assert scene.ledger.decision("rem-1", 1) is None
    scene.clicked("U0ANN", APPROVE, "rem-1@1", enterprise={"id": "E0ORG"})
    scene.hear()
    assert scene.ledger.decision("rem-1", 1) is not None


def test_a_quorum_counts_people_not_clicks(scene: Scene) -> None:
    """Two must agree; one who clicks twice is one (I17)."""
    scene.file(quorum=2)
    for user in ("U0ANN", "U0ANN"):
        scene.clicked(user, APPROVE, "rem-1@1")
    scene.hear()
    assert scene.ledger.decision("rem-1", 1) is None
    assert scene.answers("U0ANN") == [
        "Counted: 1 of 2 approvals.",
        "Your vote (approve) was counted before; the first one stands.",
    ]
    scene.clicked("U0BEN", APPROVE, "rem-1@1")
    scene.hear()
    assert scene.ledger.decision("rem-1", 1) is not None


def test_no_historic_button_ever_acts(scene: Scene) -> None:
    """Every button that ever stood in a message is clicked once its plan is over (I22)."""
    historic: list[tuple[str, str]] = []

    def look() -> None:
        scene.announce()
        historic.extend(buttons_of(scene.slack.roots()[0]))

    scene.file()
    look()
    scene.file(revision=2)
    look()
    scene.ledger.expire_due(T0 + timedelta(days=2))
    scene.file("rem-2")
    look()
    scene.clicked("U0CLEO", REJECT, "rem-2@1:expected")
    scene.hear()
    look()
    effects = [row for row in audited(scene.ledger) if row in {"decision", "vote", "revert_requested"}]
    assert len(set(historic)) == 18
    for action, value in [*historic, (UNDO, "rem-1@1"), (UNDO, "rem-1@2"), (UNDO, "rem-2@1"), (UNDO, "rem-9@1")]:
        scene.clicked("U0BEN", action, value)
    heard = scene.hear()
    assert heard == len(historic) + 4
    assert [row for row in audited(scene.ledger) if row in {"decision", "vote", "revert_requested"}] == effects
    assert len(scene.answers("U0BEN")) == heard


def test_undo_is_for_those_who_may_decide(scene: Scene) -> None:
    """A stranger to the plan is told who may; a second undo is told of the first."""
    walked_to(scene.ledger, "kept")
    scene.people = {**scene.people, f"{TEAM}/U0DAN": "dan"}
    scene.slack.add_user("U0DAN")
    for user in ("U0DAN", "U0ANN", "U0BEN"):
        scene.clicked(user, UNDO, "rem-1@1")
    scene.hear()
    assert scene.answers() == [
        "You may not undo this one; those who may: ann, ben, cleo.",
        "It will be undone now, as ann asked.",
        "It is being undone already: undone by ann.",
    ]
    assert audited(scene.ledger).count("revert_requested") == 1
    assert scene.woken == 1


def test_undo_of_an_older_plan_leaves_the_newer_one_alone(scene: Scene) -> None:
    """The button of revision 1 is clicked while revision 2 is in force."""
    scene.file()
    scene.ledger.expire_due(T0 + timedelta(days=2))
    proposal = scene.file(revision=2, verdict="apply")
    claim, remedy = claimed(scene.ledger)
    assert scene.ledger.intend(claim, an_application(proposal, claim), moved(remedy, state="applying"))
    assert scene.ledger.conclude(claim, moved(remedy, state="kept"))
    scene.clicked("U0ANN", UNDO, "rem-1@1")
    scene.hear()
    assert scene.answers() == ["Revision 1 is no longer current: please look at revision 2."]
    standing = scene.ledger.remedy("rem-1")
    assert standing is not None
    assert standing.revert_reason is None


def test_a_click_waits_while_slack_is_away(scene: Scene) -> None:
    """The account cannot be looked up: nobody decides on trust, and nothing is lost."""
    scene.file()
    scene.clicked("U0ANN", APPROVE, "rem-1@1")
    scene.slack.fail("users.info", kind="http", status=429, retry_after=20)
    assert scene.hear() == 0
    calls = len(scene.slack.calls)
    assert scene.hear() == 0
    assert len(scene.slack.calls) == calls
    scene.slack.mend()
    scene.clock.turn(seconds=21)
    assert scene.hear() == 1
    assert scene.ledger.decision("rem-1", 1) is not None


def test_an_account_that_may_not_be_looked_up_decides_nothing(scene: Scene) -> None:
    """The scope users:read is missing: closed, not open."""
    scene.file()
    scene.clicked("U0ANN", APPROVE, "rem-1@1")
    scene.slack.fail("users.info", kind="error", code="missing_scope")
    scene.hear()
    assert scene.ledger.decision("rem-1", 1) is None
    assert "could not be checked (missing_scope)" in scene.answers()[0]


def test_a_lost_answer_changes_no_decision(scene: Scene) -> None:
    """A crash between the vote and its answer: the vote is cast again, and the first one stands."""
    scene.file()
    scene.clicked("U0ANN", APPROVE, "rem-1@1")
    scene.clicked("U0BEN", APPROVE, "rem-1@1")
    scene.slack.fail("chat.postEphemeral", kind="cut", times=1)
    assert scene.hear() == 1
    scene.clock.turn(seconds=10)
    assert scene.hear() == 1
    assert audited(scene.ledger).count("decision") == 1
    assert len(scene.answers("U0BEN")) == 1
