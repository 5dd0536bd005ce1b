"""Which thread the picture shows, and as of when."""

from datetime import timedelta

import pytest

from evals.picture.thread import APP, UNTIL, Said, panes_of
from tools.slack.blocks import note_message
from tools.slack.threads import Place

ASKED = UNTIL - timedelta(hours=3)
OTHER, ROOT = Place("C0", "1.0"), Place("C0", "2.0")


def test_the_first_message_is_shown_as_it_was_and_as_it_is() -> None:
    """Left the question with its chart, right the newest version of the same message with the replies since."""
    said = [
        Said(ASKED, OTHER, None, note_message("another thread")),
        Said(ASKED, ROOT, None, note_message("a question")),
        Said(ASKED, ROOT, ROOT.ts, None, b"png"),
        Said(UNTIL, ROOT, None, note_message("an answer")),
        Said(UNTIL, Place("C0", "4.0"), ROOT.ts, note_message("Approved.")),
    ]
    asked, decided = panes_of(said)
    assert [one.message and one.message.text for one in asked.messages] == ["a question", None]
    assert [one.message and one.message.text for one in decided.messages] == ["an answer", "Approved."]
    assert decided.messages[0].when == asked.messages[0].when, "an updated message keeps its time"


def test_a_demo_without_the_thread_is_an_error() -> None:
    """No picture of nothing."""
    with pytest.raises(LookupError, match=APP):
        panes_of([Said(ASKED, OTHER, None, note_message("another thread"))])
