"""What calls to a model cost: reserved before, settled after, capped together; and the transcripts."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from store.ledger.ledger import Ledger, open_ledger
from store.ledger.model_calls import CallCaps
from store.model.transcript import Entry, ReviewOutcome, Transcript
from tests.simulation.hand_clock import HandClock

CAPS = CallCaps(incident_nanos=100, incident_tokens=1_000, day_nanos=150)


def reserve(ledger: Ledger, incident_id: str, nanos: int, tokens: int = 1) -> int | str:
    return ledger.reserve_model_call(incident_id, purpose="plan", model="m", nanos=nanos, tokens=tokens, caps=CAPS)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path / 'l.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = open_ledger(str(url), clock=clock)
    yield opened
    opened.close()


def test_a_reservation_counts_until_it_is_settled(ledger: Ledger, clock: HandClock) -> None:
    """At its most before, at what it cost after; once settled it stays."""
    call = reserve(ledger, "inc-1", 80)
    assert isinstance(call, int)
    assert reserve(ledger, "inc-1", 30) == "incident_usd"
    ledger.settle_model_call(call, nanos=20, tokens=5)
    ledger.settle_model_call(call, nanos=0, tokens=0)
    assert ledger.model_nanos(since=clock()) == 20
    assert isinstance(reserve(ledger, "inc-1", 80), int)
    assert reserve(ledger, "inc-1", 1) == "incident_usd"


def test_tokens_and_days_have_caps_of_their_own(ledger: Ledger, clock: HandClock) -> None:
    """A cap names itself; the UTC day that follows begins anew, an incident does not."""
    assert reserve(ledger, "inc-1", 1, tokens=1_001) == "incident_tokens"
    assert isinstance(reserve(ledger, "inc-1", 100), int)
    assert isinstance(reserve(ledger, "inc-2", 50), int)
    assert reserve(ledger, "inc-3", 1) == "day_usd"
    clock.move(86_400)
    assert isinstance(reserve(ledger, "inc-3", 100), int)
    assert reserve(ledger, "inc-1", 1) == "incident_usd"


def test_calls_at_the_same_time_do_not_pass_the_cap_together(ledger: Ledger, clock: HandClock) -> None:
    """Ten threads, a cap for five."""
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda i: reserve(ledger, f"inc-{i}", 30), range(10)))
    assert sum(isinstance(one, int) for one in answers) == 5
    assert ledger.model_nanos(since=clock()) == 150


def test_transcripts_come_back_as_they_were_kept(ledger: Ledger, clock: HandClock) -> None:
    """Oldest first for an incident; the newest outcomes first for the breaker."""
    outcomes: tuple[ReviewOutcome, ...] = ("answered", "refused", "cut")
    kept = []
    for outcome in outcomes:
        clock.move(60)
        entry = Entry(kind="answer", purpose="plan", text='"\\u202e"', model="m", cost_nanos=3)
        kept.append(
            Transcript(
                incident_id="inc-1", revision=2, made_at=clock(), outcome=outcome, says="x", cost_nanos=3, calls=1,
                caps={"usd_per_day": 2.5}, entries=(entry,),
            )
        )  # fmt: skip
        ledger.save_transcript(kept[-1])
    assert ledger.transcripts("inc-1") == kept
    assert ledger.transcripts("inc-2") == []
    assert ledger.review_outcomes(limit=2) == [(kept[2].made_at, "cut"), (kept[1].made_at, "refused")]


def test_old_ones_go(ledger: Ledger, clock: HandClock) -> None:
    """A ledger does not grow for ever: after ninety days a transcript and its calls are gone."""
    assert isinstance(reserve(ledger, "inc-1", 80), int)
    old = Transcript(
        incident_id="inc-1", revision=1, made_at=clock(), outcome="answered", says="x", cost_nanos=1, calls=1, caps={}
    )
    ledger.save_transcript(old)
    clock.move(91 * 86_400)
    ledger.save_transcript(old.model_copy(update={"incident_id": "inc-2", "made_at": clock()}))
    assert ledger.transcripts("inc-1") == []
    assert len(ledger.transcripts("inc-2")) == 1
    assert isinstance(reserve(ledger, "inc-1", 80), int)
