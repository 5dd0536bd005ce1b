"""Adversarial histories over the real ledger and the real steps; a failure names the seed that replays it."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.simulation.history import World, faults_of, play

OVERWROTE = "overwrote a person"


@pytest.fixture
def world() -> Iterator[World]:
    made = World.new()
    yield made
    assert made.ledger.verify_audit().ok
    made.ledger.close()


def run(world: World, seeds: range, *, cas: bool) -> tuple[Counter[str], list[tuple[int, str]]]:
    """How the histories ended, and (seed, fault) of everything that was wrong."""
    endings: Counter[str] = Counter()
    wrong: list[tuple[int, str]] = []
    for seed in seeds:
        ended = play(world, seed, cas=cas)
        endings[str(ended.remedy.outcome)] += 1
        wrong += [(seed, fault) for fault in faults_of(world, ended)]
    return endings, wrong


def test_no_history_breaks_an_invariant_with_compare_and_set(world: World) -> None:
    """One effect at most, none without approval, none over a person's, no loan without end, all of them settle."""
    endings, wrong = run(world, range(140), cas=True)
    assert wrong == []
    assert {"rejected", "returned", "stale", "harmed", "no_effect", "drifted"} <= set(endings)


def test_without_compare_and_set_only_a_person_can_be_overwritten(world: World) -> None:
    """The window between look and call stays open; nothing else is lost."""
    _, wrong = run(world, range(40), cas=False)
    assert {fault for _, fault in wrong} <= {OVERWROTE}


def test_a_seed_replays_its_history() -> None:
    """The same seed gives the same changes at the gateway and the same end."""
    for seed in (3, 11):
        one, two = (play(World.new(), seed, cas=True) for _ in range(2))
        assert one.gateway.log == two.gateway.log
        assert one.remedy == two.remedy


@pytest.mark.exam
@pytest.mark.parametrize("thousand", range(10))
def test_ten_thousand_histories_with_compare_and_set(world: World, thousand: int) -> None:
    """No violation in any."""
    _, wrong = run(world, range(1000 * thousand, 1000 * thousand + 1000), cas=True)
    assert wrong == []


@pytest.mark.exam
def test_overwriting_a_person_without_compare_and_set_is_rare(world: World) -> None:
    """Below 1 % of adversarial histories, and the only fault."""
    seeds = range(2000)
    _, wrong = run(world, seeds, cas=False)
    assert {fault for _, fault in wrong} <= {OVERWROTE}
    assert len({seed for seed, _ in wrong}) <= len(seeds) // 100
