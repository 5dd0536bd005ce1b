"""Adversarial histories over the real steps; a failure names the seed that replays it.

In bulk over the ledger in memory; the same seeds over the real ledgers must give the same histories to the last change.
"""

from collections.abc import Iterator

import pytest

from tests.simulation.course import Ended
from tests.simulation.history import play
from tests.simulation.invariants import LANDED_LATE, OVERWROTE, faults_of
from tests.simulation.runs import run
from tests.simulation.world import Ground

IN_TEST, IN_EXAM, PART = 10_000, 100_000, 2500


@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_histories_with_compare_and_set(part: int) -> None:
    """No double effect, none without a decision, none over a person's, no loan without end, and all of them settle."""
    no_fault_in(range(PART * part, PART * part + PART))


def no_fault_in(seeds: range) -> None:
    """Nothing but the residue, which is measured; and every kind of fault, state and end occurred."""
    found = run(seeds, cas=True)
    assert [one for one in found.wrong if one[1] != LANDED_LATE] == []
    assert found.share(LANDED_LATE) <= 0.008
    assert found.unseen == []


def test_without_compare_and_set_only_a_person_can_be_overwritten() -> None:
    """The window between look and call stays open, and what is late lands blindly; nothing else is lost."""
    found = run(range(1000), cas=False)
    assert found.kinds <= {OVERWROTE, LANDED_LATE}
    assert found.share(OVERWROTE) < 0.01


def test_a_seed_replays_its_history() -> None:
    """The same seed gives the same changes at the gateway and the same end."""
    for seed in (3, 11):
        one, two = (play(Ground.in_memory(), seed, cas=True) for _ in range(2))
        assert story_of(one) == story_of(two)


@pytest.fixture(scope="module")
def sqlite() -> Iterator[Ground]:
    made = Ground.on("sqlite://")
    yield made
    assert made.replicas[0].verify_audit().ok
    made.close()


def story_of(ended: Ended) -> tuple[object, ...]:
    """All that a history left behind."""
    return (
        ended.gateway.log,
        ended.remedy,
        ended.course.plans,
        ended.decisions,
        ended.applications,
        ended.verifications,
        ended.seen,
    )


@pytest.mark.parametrize("part", range(2))
def test_the_real_ledger_on_sqlite_tells_the_same_story(sqlite: Ground, part: int) -> None:
    """Row by row and change by change what the ledger in memory tells."""
    for seed in range(60 * part, 60 * part + 60):
        for cas in (True, False):
            real, bulk = play(sqlite, seed, cas=cas), play(Ground.in_memory(), seed, cas=cas)
            assert story_of(real) == story_of(bulk), seed


@pytest.mark.exam
@pytest.mark.parametrize("part", range(IN_EXAM // PART))
def test_a_hundred_thousand_histories_with_compare_and_set(part: int) -> None:
    """The same with seeds of its own."""
    first = IN_TEST + PART * part
    no_fault_in(range(first, first + PART))


@pytest.mark.exam
@pytest.mark.parametrize("part", range(4))
def test_overwriting_a_person_without_compare_and_set_is_rare(part: int) -> None:
    """Below 1 % of adversarial histories, and the only fault but for what is late."""
    found = run(range(5000 * part, 5000 * part + 5000), cas=False)
    assert found.kinds <= {OVERWROTE, LANDED_LATE}
    assert found.share(OVERWROTE) < 0.01


@pytest.mark.exam
def test_two_thousand_histories_on_sqlite(sqlite: Ground) -> None:
    """The real ledger by itself, beyond what is compared above."""
    for seed in range(IN_TEST, IN_TEST + 2000):
        assert set(faults_of(play(sqlite, seed, cas=True))) <= {LANDED_LATE}
