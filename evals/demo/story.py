"""The demo's story as data: what goes wrong in the third week, and what the people answer when they are asked."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from evals.world.faults.agent_loop import AgentLoop
from evals.world.faults.cache_break import CacheBreak
from evals.world.faults.denial_of_wallet import DenialOfWallet
from evals.world.faults.fault import Fault
from evals.world.faults.launch import Launch
from evals.world.faults.leaked_key import LeakedKey
from evals.world.faults.model_switch import ModelSwitch
from evals.world.faults.retry_storm import RetryStorm
from store.model.remedy import Choice
from store.model.usage import Window


class Answer(NamedTuple):
    """What a person says when asked, and how long after the question. `choice` None: nobody answers."""

    choice: Choice | None
    after: timedelta = timedelta(minutes=20)
    reason: str = ""


class Story(NamedTuple):
    """A demo as data: `before` is loaded at once, `live` passes in ticks, `week` is summarised.

    `answers` by app: the first answer to the first question, and so on; the last one is repeated. `owners`: who
    decides for a team's traffic; all other teams' is decided by `on_call`.
    """

    before: Window
    live: Window
    week: str
    faults: tuple[Fault, ...]
    answers: Mapping[str, tuple[Answer, ...]]
    owners: Mapping[str, str]
    on_call: str


FIRST_WEEKS = Window(start=datetime(2026, 11, 2, tzinfo=UTC), end=datetime(2026, 11, 16, tzinfo=UTC))
"""Loaded at once: what the company was like before Bursar came."""

THIRD_WEEK = Window(start=FIRST_WEEKS.end, end=FIRST_WEEKS.end + timedelta(days=7))
TIME_ZONE = "UTC"

OWNERS: Mapping[str, str] = {
    "support": "sam",
    "growth": "gita",
    "payments": "priya",
    "legal": "lee",
    "devtools": "dana",
    "mobile": "mo",
    "sales": "sofia",
}
ON_CALL = "finn"


YES = Answer("approve")

ANSWERS: Mapping[str, tuple[Answer, ...]] = {
    "ticket-triage": (Answer("approve", timedelta(minutes=10), "the provider is down anyway"),),
    "dispute-desk": (Answer("approve", timedelta(minutes=45), "until the prompt is mended tomorrow"),),
    "contract-review": (
        Answer("reject", timedelta(minutes=60), "the bigger model is wanted until the audit is over on Friday"),
    ),
    "crm-notes": (
        Answer("approve", timedelta(minutes=30), "nobody told me about a new model"),
        Answer("reject", timedelta(minutes=30), "the last try broke every second note"),
    ),
    "ci-helper": (Answer("approve", timedelta(minutes=15), "not our traffic; the key is being rotated"),),
    "assistant": (Answer(None),),
    "pr-reviewer": (YES,),
    "lead-scout": (YES,),
}


def the_story() -> Story:
    """Three weeks of a company, the third with Bursar."""
    return Story(
        before=FIRST_WEEKS,
        live=THIRD_WEEK,
        week="2026-W47",
        faults=faults(),
        answers=ANSWERS,
        owners=OWNERS,
        on_call=ON_CALL,
    )


def faults() -> tuple[Fault, ...]:
    """What happens in the third week, in order of time; the launch is no fault and needs no cure."""
    return (
        # In staging, so a rule may act: the session is cut off, and the loop with it.
        AgentLoop("pr-reviewer", _span(0, 1, 10, hours=6)),
        # The old model cannot do any more what the app came to need: the pin does harm and is taken back.
        ModelSwitch("crm-notes", _span(0, 9, hours=11)),
        # In production: asked, approved.
        RetryStorm("ticket-triage", _span(1, 9, 30, hours=4)),
        # Left alone: more users, the same unit cost.
        Launch("campaign-writer", _span(1, 14, hours=30)),
        # A release breaks the prompt cache; approved until it is mended.
        CacheBreak("dispute-desk", _span(2, 10, hours=26), release="2026.11.18-hotfix"),
        # The owner wants the dearer model: rejected.
        ModelSwitch("contract-review", _span(3, 13, hours=23), to_model="claude-opus-4-1"),
        # A key in other hands over night: blocked by its owner.
        LeakedKey("ci-helper", _span(3, 21, 30, hours=20)),
        # Towards the weekend, and nobody answers.
        DenialOfWallet("assistant", _span(4, 9, hours=32)),
        # The agent opens a fresh session whenever it is cut off: the session cap changes nothing.
        AgentLoop("lead-scout", _span(5, 1, hours=7)),
    )


def _span(day: int, hour: int, minute: int = 0, *, hours: float) -> Window:
    start = THIRD_WEEK.start + timedelta(days=day, hours=hour, minutes=minute)
    return Window(start=start, end=start + timedelta(hours=hours))
