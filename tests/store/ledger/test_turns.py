"""Turns and references: one worker at a time, and where our things are in other systems."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.ledger.ledger import Ledger, open_ledger
from tests.store.ledger.examples import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path / 'l.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = open_ledger(str(url), clock=clock, lease_clock=clock)
    yield opened
    opened.close()


def test_one_has_the_turn_until_it_lets_go_or_its_lease_ends(ledger: Ledger, clock: HandClock) -> None:
    """The holder may renew; another waits; the names are apart."""
    assert ledger.take_turn("t", owner="one", lease_seconds=60)
    assert ledger.take_turn("t", owner="one", lease_seconds=60)
    assert not ledger.take_turn("t", owner="two", lease_seconds=60)
    assert ledger.take_turn("other", owner="two", lease_seconds=60)
    clock.turn(seconds=60)
    assert ledger.take_turn("t", owner="two", lease_seconds=60)
    ledger.end_turn("t", owner="one")
    assert not ledger.take_turn("t", owner="one", lease_seconds=60)
    ledger.end_turn("t", owner="two")
    assert ledger.take_turn("t", owner="one", lease_seconds=60)


def test_a_pause_holds_everybody(ledger: Ledger, clock: HandClock) -> None:
    """Whoever ended the turn too."""
    ledger.take_turn("t", owner="one", lease_seconds=60)
    ledger.end_turn("t", owner="one", pause_seconds=30)
    clock.turn(seconds=29)
    assert not ledger.take_turn("t", owner="one", lease_seconds=60)
    assert not ledger.take_turn("t", owner="two", lease_seconds=60)
    clock.turn(seconds=1)
    assert ledger.take_turn("t", owner="two", lease_seconds=60)


def test_the_first_reference_stands(ledger: Ledger) -> None:
    """Two who made the same thing agree on one."""
    assert ledger.reference("thread", "inc-1") is None
    assert ledger.keep_reference("thread", "inc-1", {"ts": "1"}) == {"ts": "1"}
    assert ledger.keep_reference("thread", "inc-1", {"ts": "2"}) == {"ts": "1"}
    assert ledger.reference("thread", "inc-1") == {"ts": "1"}
    assert ledger.reference("thread", "inc-2") is None
