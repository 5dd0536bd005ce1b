"""Two replicas of the service on one PostgreSQL ledger: one decision, one effect."""

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from agent.walk import Pace
from evals.world.gateway import SimulatedGateway
from store.ledger.ledger import open_ledger
from store.model.remedy import Proposal, Ruling, SetRateLimit
from store.model.usage import Scope
from tests.simulation.hand_clock import START, HandClock
from tests.simulation.history import play
from tests.simulation.invariants import LANDED_LATE, faults_of
from tests.simulation.story import Driver, incident, proposal, ruling
from tests.simulation.test_histories import story_of
from tests.simulation.world import Ground

PATIENT = Pace(applies=9)
"""One remedy may meet all five requests that are lost."""
REMEDIES = [f"rem-{number}" for number in range(10)]


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Ground]:
    """Two replicas, each with connections of its own."""
    made = Ground.on(postgres_url, postgres_url)
    yield made
    assert made.replicas[0].verify_audit().ok
    made.close()


def _play_on(postgres: Ground, seeds: range) -> None:
    for seed in seeds:
        real = play(postgres, seed, cas=True)
        assert story_of(real) == story_of(play(Ground.in_memory(), seed, cas=True)), seed
        assert set(faults_of(real)) <= {LANDED_LATE}


def test_two_replicas_tell_the_story_of_one(postgres: Ground) -> None:
    """Every tick and click comes to either replica: row by row and change by change what one ledger tells."""
    _play_on(postgres, range(20))


@pytest.mark.exam
def test_two_replicas_tell_the_story_of_one_at_length(postgres: Ground) -> None:
    """The same, a thousand times."""
    _play_on(postgres, range(1000))


def _race(url: str, rounds: int) -> tuple[Counter[str], Counter[str]]:
    """Two replicas that run freely in threads of their own, over remedies that both want to move at once.

    Returns:
        How often the gateway was changed for each remedy, and each remedy's outcome.
    """
    clock = HandClock()
    gateway = SimulatedGateway(clock=clock)
    for _ in range(5):
        gateway.script("apply", "ok", "lost_answer", "lost_request", "error_after_apply")
    filing = open_ledger(url, clock=clock)
    filing.save_incident(incident())
    for name in REMEDIES:
        action = SetRateLimit(target=Scope.of(team="search", app=name), requests_per_minute=60)
        plan = proposal(action).model_copy(update={"remedy_id": name})
        filing.file(plan, ruling("apply").model_copy(update={"remedy_id": name}))
    gate = threading.Barrier(2)
    replicas = [threading.Thread(target=_reconcile, args=(url, clock, gateway, gate, rounds, n)) for n in range(2)]
    for replica in replicas:
        replica.start()
    for replica in replicas:
        replica.join()
    outcomes = Counter(str(one.outcome) for one in filing.remedies())
    assert filing.verify_audit().ok
    filing.close()
    return Counter(one.who for one in gateway.log), outcomes


def _permit(plan: Proposal) -> Ruling:
    return ruling("apply").model_copy(update={"remedy_id": plan.remedy_id})


def _reconcile(
    url: str, clock: HandClock, gateway: SimulatedGateway, gate: threading.Barrier, rounds: int, number: int
) -> None:
    """Tick, side by side with the other: both begin each round together, with the same remedies due."""
    ledger = open_ledger(url, clock=clock)
    for done in range(rounds):
        gate.wait(30)
        clock.now = START + timedelta(minutes=done)
        for name in ledger.due(clock()):
            driver = Driver(ledger, gateway, clock, permit=_permit, pace=PATIENT, owner=f"replica-{number}")
            driver._replace(remedy_id=name).step()
    ledger.close()


def test_two_replicas_that_run_freely_make_one_effect_each(postgres_url: str) -> None:
    """Real transactions, real connections, leases by the database's own clock, lost requests and answers."""
    changes, outcomes = _race(postgres_url, 20)
    assert changes == dict.fromkeys(REMEDIES, 1)
    assert set(outcomes) == {"applied"}
