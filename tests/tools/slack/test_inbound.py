"""What comes in: a click of ours, whole and well formed, or nothing (I15, I22)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.servers.slack import CHANNEL, TEAM, SlackStandIn
from tools.slack.blocks import APPROVE, REJECT, UNDO
from tools.slack.inbound import Click, click_of

ROOT = {"channel": CHANNEL, "ts": "1763884800.000001"}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
PLACES = ("type", "user", "team", "container", "channel", "message", "actions", "enterprise")


def _payload(action: str = APPROVE, value: str = "rem-1@2", **changes: Any) -> dict[str, Any]:
    return SlackStandIn(clock=lambda: 1.0).click_payload("U0ANN", ROOT, action, value, **changes)


def _click(*given: Any, **changes: Any) -> Click | None:
    return click_of("interactive", _payload(*given, **changes))


def test_a_click_says_who_where_and_what() -> None:
    """Approve and undo by a button, reject by a menu with its reason."""
    click = _click()
    assert click is not None
    assert (click.accounts, click.choice, click.remedy_id, click.revision) == (
        (f"{TEAM}/U0ANN",),
        "approve",
        "rem-1",
        2,
    )
    assert (click.channel_id, click.message_ts) == (ROOT["channel"], ROOT["ts"])
    rejected = _click(REJECT, "rem-1@2:risk")
    assert rejected is not None
    assert (rejected.choice, rejected.reason) == ("reject", "risk")
    undone = _click(UNDO, "rem-1@2")
    assert undone is not None
    assert undone.choice == "undo"


@pytest.mark.parametrize(
    "value",
    ["", "rem-1", "rem-1@0", "rem-1@-1", "rem-1@1e9", "rem-1@9999999", "a b@1", "rem-1@1:bribed", "rem-1@1\n", "@1"],
)
def test_a_value_that_we_never_write_is_nothing(value: str) -> None:
    """Buttons carry an id and a revision, and nothing else is believed."""
    assert _click(REJECT, value) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "view_submission"},
        {"actions": []},
        {"actions": [{}, {}]},
        {"actions": "x"},
        {"user": {"id": "U0ANN/x", "team_id": TEAM}},
        {"user": {"id": 5}},
        {"user": None},
        {"container": {}, "channel": {}, "message": {}},
        {"enterprise": {"id": "<!channel>"}},
    ],
    ids=str,
)
def test_a_payload_that_is_not_whole_is_nothing(changes: dict[str, Any]) -> None:
    """No field is guessed."""
    assert _click(**changes) is None


def test_other_envelopes_are_nothing() -> None:
    """Events, slash commands, and another app's buttons."""
    assert click_of("events_api", _payload()) is None
    assert _click("somebody_elses_button") is None


@settings(deadline=None, max_examples=300)
@given(payload=json_values, place=st.sampled_from(PLACES), value=json_values)
def test_no_payload_raises(payload: object, place: str, value: object) -> None:
    """Garbage as a whole, and in each place of a good payload."""
    assert click_of("interactive", payload) is None
    click_of("interactive", {**_payload(), place: value})


def test_one_click_has_one_key_however_often_it_comes() -> None:
    """Another moment, person, button or plan is another click."""
    payload = _payload()
    first, again = click_of("interactive", payload), click_of("interactive", payload)
    other = _click()
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.dedupe_key == again.dedupe_key
    keys = {one.dedupe_key for one in (first, first.model_copy(update={"user_id": "U0BEN"}), _click(UNDO)) if one}
    assert len(keys) == 3
