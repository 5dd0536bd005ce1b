"""The page that a picture of the thread is taken from."""

import pytest

from evals.picture.page import Pane, Shown, thread_page
from tools.slack.blocks import Card, Message, incident_message, note_message

CARD = Card(
    headline="Agent loop: $12.00 above the baseline",
    where="team=a<b>&c app=*bold* <@U0EVE>",
    cost="spent $13.00",
    cause="Agent loop, 90% sure",
    status="Waits for a decision",
    drivers=("request volume +$12.00",),
    plan="session_cap",
    changes=(("not set", "at most 20 calls"),),
    terms=(("Risk", "low"),),
    names="inc-1 · rem-1@1",
    target="rem-1@1",
    buttons=("approve", "reject", "undo"),
    asked=("U0SAM",),
)


def page(*messages: Shown) -> str:
    """A page of one pane."""
    return thread_page([Pane("Thread", "now", messages)], names={"U0SAM": "sam"})


def test_every_block_of_a_card_is_shown() -> None:
    """Header, sections with their bold labels, the buttons as they are, and who is asked."""
    shown = page(Shown("Mon 09:00", incident_message(CARD)))
    assert "<h1>Agent loop: $12.00 above the baseline</h1>" in shown
    assert "<b>Plan</b> session_cap" in shown
    assert "<b>at most 20 calls</b>" in shown
    assert '<span class="button primary">Approve</span>' in shown
    assert '<span class="select">Reject…</span>' in shown
    assert '<span class="button danger">Undo</span>' in shown
    assert '<span class="mention">@sam</span>' in shown


def test_text_from_traffic_stays_text() -> None:
    """What the product escaped for Slack is shown as people see it there, and escaped for HTML."""
    shown = page(Shown("", incident_message(CARD)))
    assert "team=a&lt;b&gt;&amp;c" in shown
    assert "U0EVE" in shown
    assert 'class="mention">@U0EVE' not in shown
    assert "<b>bold</b>" not in shown
    assert "<script" not in page(Shown("<script>", note_message("<script>alert(1)</script>")))


def test_replies_are_counted_and_pictures_are_inside() -> None:
    """The page needs nothing beside it."""
    shown = page(Shown("", incident_message(CARD)), Shown("", None, b"png"), Shown("", note_message("Approved.")))
    assert "2 replies" in shown
    assert 'src="data:image/png;base64,cG5n"' in shown


def test_an_unknown_block_is_not_left_out_in_silence() -> None:
    """A block that the page cannot show is an error: the picture would not be honest."""
    with pytest.raises(ValueError, match="video"):
        page(Shown("", Message("", [{"type": "video"}])))
