"""The words of the summary are the same for every format."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from agent.report import wording
from store.model.remedy import (
    Action,
    BlockKey,
    Notify,
    SetModelAlias,
    SetOutputCap,
    SetPromptCache,
    SetRateLimit,
    SetSessionCap,
)
from store.model.usage import Scope

APP = Scope.of(app="indexer")


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (SetSessionCap(target=APP, max_calls=1200), "At most 1,200 calls a session for app=indexer (was: not set)"),
        (
            SetRateLimit(
                target=APP, requests_per_minute=60, was={"requests_per_minute": 600, "tokens_per_minute": None}
            ),
            "At most 60 requests a minute for app=indexer (was: requests_per_minute 600)",
        ),
        (
            SetRateLimit(target=APP, requests_per_minute=60, tokens_per_minute=9000),
            "At most 60 requests and 9,000 tokens a minute for app=indexer (was: not set)",
        ),
        (SetModelAlias(target=APP, from_model="big", to_model="small"), "Answer big with small for app=indexer"),
        (SetOutputCap(target=APP, max_tokens=2000), "At most 2,000 output tokens a request for app=indexer"),
        (SetPromptCache(target=APP, ttl="1h"), "Prompt cache of 1h for app=indexer"),
        (SetPromptCache(target=APP, ttl="off"), "No prompt cache for app=indexer"),
        (BlockKey(target=Scope.of(api_key_id="key-7")), "Block the key for api_key_id=key-7"),
        (Notify(target=APP, message="look"), "Tell the owner of app=indexer; nothing changes at the gateway"),
    ],
)
def test_every_action_says_what_it_sets_and_what_was_there(action: Action, says: str) -> None:
    """One line for each kind of action."""
    assert wording.action_text(action).startswith(says)


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3900, "1 h 05 min"),
        (86400, "1 d"),
        (97200, "1 d 3 h"),
    ],
)
def test_a_length_of_time_has_two_units_at_most(seconds: int, says: str) -> None:
    """Short enough to compare at a glance."""
    assert wording.duration_text(seconds) == says


@pytest.mark.parametrize(
    ("now", "before", "says"),
    [
        (112, 100, "+12 %"),
        (97, 100, "-3 %"),
        (100, 100, "no change"),
        (5, 0, "new"),
        (0, 0, "no change"),
        (0, 9, "-100 %"),
    ],
)
def test_a_change_is_a_share_of_what_was(now: int, before: int, says: str) -> None:
    """Nothing is divided by nothing."""
    assert wording.change_text(now, before) == says


def test_deciders_are_named_as_people_know_them() -> None:
    """A rule is a rule, the clock is nobody, people are joined by "and"."""
    assert wording.deciders_text(("policy:session-caps",)) == "rule session-caps"
    assert wording.deciders_text(("clock",)) == "nobody in time"
    assert wording.deciders_text(("ann", "bob", "cy")) == "ann, bob and cy"
    assert wording.deciders_text(()) == "nobody yet"


def test_a_moment_is_told_by_the_clock_of_the_team() -> None:
    """English day and month names, whatever the locale of the machine."""
    assert wording.time_text(datetime(2026, 11, 22, 23, 5, tzinfo=UTC), ZoneInfo("Europe/Berlin")) == "Mon 23 Nov 00:05"
