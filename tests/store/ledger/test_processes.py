"""Several processes on one ledger: one decision, one holder of a remedy, one upgrade."""

import multiprocessing
from collections import Counter
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from store.ledger.ledger import open_ledger
from store.model.remedy import Choice
from tests.store.ledger.examples import HandClock, a_proposal, a_ruling, a_vote

PEOPLE = tuple(f"p{n}" for n in range(50))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return str(request.getfixturevalue("postgres_url"))


def test_fifty_clicks_in_two_processes_make_one_decision(url: str) -> None:
    """Approve and reject mixed (I14): one decides, 49 hear that it is decided; one worker gets the claim."""
    ledger = open_ledger(url, clock=HandClock())
    proposal = a_proposal()
    ledger.file(proposal, a_ruling(proposal, approvers=PEOPLE))
    spawn = multiprocessing.get_context("spawn")
    gate = spawn.Barrier(2)
    answers: multiprocessing.Queue[list[str]] = spawn.Queue()
    clickers = [spawn.Process(target=_click, args=(url, PEOPLE[half::2], gate, answers)) for half in (0, 1)]
    for clicker in clickers:
        clicker.start()
    heard = Counter(word for _ in clickers for word in answers.get(timeout=60))
    for clicker in clickers:
        clicker.join()
        assert clicker.exitcode == 0
    decision = ledger.decision("rem-1", 1)
    assert decision is not None
    claims = heard.pop("claimed", 0)
    assert claims == (1 if decision.outcome == "approved" else 0)
    assert heard == {"decided": 1, "already_decided": 49}
    assert ledger.verify_audit().ok
    ledger.close()


def test_two_processes_may_open_a_new_ledger_at_once(tmp_path: Path) -> None:
    """One upgrades, the other finds it done."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    spawn = multiprocessing.get_context("spawn")
    gate = spawn.Barrier(2)
    openers = [spawn.Process(target=_open, args=(url, gate)) for _ in range(2)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert [opener.exitcode for opener in openers] == [0, 0]


def _click(url: str, people: tuple[str, ...], gate: Barrier, answers: "multiprocessing.Queue[list[str]]") -> None:
    ledger = open_ledger(url, clock=HandClock())
    gate.wait(30)
    heard: list[str] = []
    for number, person in enumerate(people):
        choice: Choice = "approve" if number % 2 == 0 else "reject"
        heard.append(ledger.cast(a_vote(person, choice)).status)
    if ledger.claim("rem-1", owner=people[0], lease_seconds=600) is not None:
        heard.append("claimed")
    answers.put(heard)
    ledger.close()


def _open(url: str, gate: Barrier) -> None:
    gate.wait(30)
    ledger = open_ledger(url, clock=HandClock())
    ledger.ping()
    ledger.close()
