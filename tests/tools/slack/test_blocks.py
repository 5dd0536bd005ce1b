"""Block Kit: whatever came from traffic, Slack accepts the message and brings nothing in it to life (I21, I22)."""

import json
import re
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.report.thread import ThreadFile, card_of
from store.model.incident import CauseScore, Driver, DriverShare
from store.model.remedy import Action, Notify, Remedy, SetModelAlias, SetRateLimit
from store.model.usage import Scope
from tests.servers.slack_rules import check_message, live_text
from tests.store.ledger.examples import a_decision, a_finding, a_proposal, a_ruling, an_incident
from tools.slack.blocks import (
    TOTAL_CHARS,
    Card,
    Message,
    WeekCard,
    answer_text,
    incident_message,
    note_message,
    week_message,
)

BAD = (
    "<!channel>",
    "<!here|all>",
    "<@U0ANN>",
    "<https://evil.example|click>",
    "https://evil.example/?leak=1",
    "www.evil.example",
    "evil.example",
    "mailto:a@evil.example",
    "@everyone",
    "&lt;!channel&gt;",
    "&amp;lt;",
    "*b* _i_ ~s~ `c`",
    "```",
    ":fire:",
    "\u202eesrever",
    "\u0000\u0007\r\n\t",
    "😀",
    "e\u0301\u0301\u0301\u0301\u0301",
    "\ud800",
    "&",
)
hostile = st.one_of(
    st.sampled_from(BAD),
    st.text(max_size=200),
    st.lists(st.sampled_from(BAD), min_size=1, max_size=20).map("".join),
    st.tuples(st.sampled_from(BAD), st.sampled_from([1, 100, 10_000])).map(lambda p: (p[0] * p[1])[: p[1]]),
)
stored = hostile.map(lambda text: text.replace("\ud800", ""))
"""The ledger refuses a lone surrogate, so that no noun has one."""
ZONE = ZoneInfo("Europe/Berlin")


def _accepted(message: Message) -> None:
    check_message(message.text, message.blocks)
    assert live_text(message.text, message.blocks) == []
    assert len(json.dumps(message.blocks)) <= TOTAL_CHARS
    assert len(message.text) <= 5 * 300


def _values(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["value"]] if isinstance(value.get("value"), str) else []
        return own + [one for part in value.values() for one in _values(part)]
    return [one for part in value for one in _values(part)] if isinstance(value, list) else []


@settings(deadline=None, max_examples=60)
@given(one=stored, two=stored, three=stored, state=st.sampled_from(["pending", "kept", "closed", "observed"]))
@example(one="&" * 10**6, two="&" * 10**6, three="&" * 10**6, state="kept")
@example(one="😀" * 10**6, two="😀" * 10**6, three="😀" * 10**6, state="pending")
@example(one="&" * 10**6, two="<!channel>" * 10**5, three="😀" * 10**6, state="pending")
def test_any_incident_renders(one: str, two: str, three: str, state: str) -> None:
    """Names, reasons and people of any length and content."""
    scope = Scope.of({"team": one, "app": two, "tags.k": three})
    incident = an_incident().model_copy(update={"scope": scope, "id": "inc-1"})
    drivers = tuple(DriverShare(driver=name, nanos=10**9) for name in get_args(Driver))
    cause = CauseScore(cause="agent_loop", confidence=0.9, because=three)
    finding = a_finding().model_copy(update={"drivers": drivers, "causes": (cause,)})
    actions: tuple[Action, ...] = (
        SetModelAlias(target=scope, from_model=one, to_model=two, was={"model": three}),
        *(SetRateLimit(target=scope, requests_per_minute=60, was={"rpm": two}) for _ in range(10)),
        Notify(target=scope, message=one),
    )
    words = {"scope": scope, "actions": actions, "quality_note": one, "undo_note": two, "playbook": three}
    proposal = a_proposal().model_copy(update=words)
    remedy_state = {"remedy_id": "rem-1", "revision": 1, "incident_id": "inc-1", "state": state}
    file = ThreadFile(
        incident=incident,
        finding=finding,
        remedy=Remedy.model_validate(remedy_state),
        proposal=proposal,
        ruling=a_ruling(proposal, approvers=(one, two, three) * 50),
        decision=a_decision(proposal, "rejected", by=one).model_copy(update={"reason": two}),
    )
    message = incident_message(card_of(file, ZONE))
    _accepted(message)
    assert all(re.fullmatch(r"rem-1@1(:[a-z]+)?", value) for value in _values(message.blocks))


@settings(deadline=None, max_examples=100)
@given(parts=st.lists(hostile, min_size=4, max_size=12))
def test_any_card_week_and_note_render(parts: list[str]) -> None:
    """The cards themselves, with every field hostile at once."""
    first, second, third, *rest = parts
    terms = tuple(("Risk", one) for one in parts)
    card = Card(
        first, second, third, first, second, tuple(parts * 9), third, ((first, second),) * 9, terms, third, first
    )
    _accepted(incident_message(card))
    figures = tuple((first, second, one) for one in parts)
    _accepted(week_message(WeekCard(first, second, figures, tuple(rest * 9))))
    _accepted(note_message(third))
    assert live_text(answer_text(second), []) == []


@pytest.mark.parametrize("bad", BAD)
def test_a_hostile_name_is_shown_and_dead(bad: str) -> None:
    """It is visible that something was there, and it does nothing."""
    message = note_message(f"team={bad}!")
    _accepted(message)
    assert message.text.startswith("team=")


def test_people_see_what_was_written() -> None:
    """Plain text passes unharmed, with Slack's three entities."""
    assert note_message("Rejected by ann: R&D expects 3 < 5, at 08:00:00Z.").text == (
        "Rejected by ann: R&amp;D expects 3 &lt; 5, at 08:00:00Z."
    )
    for text in ("session_cap for app=search_api", "bursar approve rem-3f9a@12"):
        assert note_message(text).text == text


def test_long_lists_say_how_much_is_missing() -> None:
    """Nothing is left out in silence."""
    card = Card("h", "w", "c", "c", "s", drivers=tuple(f"d{n}" for n in range(9)), plan="p", changes=(("a", "b"),) * 5)
    said = json.dumps(incident_message(card).blocks, ensure_ascii=False)
    assert "and 3 more" in said
    assert "and 2 more" in said
