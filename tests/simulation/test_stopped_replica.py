"""A replica that is stopped between its fence check and its call, longer than its lease: it wakes, and changes nothing.

Two real processes on one PostgreSQL ledger; the gateway lives in a third, as gateways do.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from multiprocessing.managers import BaseManager

import pytest

from agent.failpoints import Failpoint, nothing
from agent.walk import Pace
from evals.world.gateway import SimulatedGateway
from evals.world.gateway_state import Mutation
from store.ledger.ledger import open_ledger
from tests.simulation.hand_clock import START
from tests.simulation.story import REMEDY, Driver, incident, proposal, ruling

PACE = Pace(lease_seconds=3)


def noon() -> datetime:
    """The business clock of all three processes; it stands still. Leases run by the database's clock."""
    return START


class Town(BaseManager):
    """The process in which the gateway lives."""


class OnlyGateway(SimulatedGateway):
    """The one gateway; its log can be asked for from afar."""

    def changes(self) -> tuple[Mutation, ...]:
        """Every change, oldest first."""
        return self.log


_GATEWAY = OnlyGateway(clock=noon)


def the_gateway() -> OnlyGateway:
    """Whoever asks gets the same one."""
    return _GATEWAY


Town.register("gateway", callable=the_gateway)


@pytest.fixture
def town() -> Iterator[Town]:
    made = Town(ctx=multiprocessing.get_context("spawn"))
    made.start()
    yield made
    made.shutdown()


def _driver(url: str, town: Town, owner: str, failpoint: Failpoint = nothing) -> Driver:
    gateway: SimulatedGateway = town.gateway()  # type: ignore[attr-defined]  # the manager makes it when it registers
    ledger = open_ledger(url, clock=noon)
    return Driver(ledger, gateway, noon, pace=PACE, owner=owner, failpoint=failpoint)


def stop_at_the_call(url: str, address: str, key: bytes) -> None:
    """Take one step, and stop this process just before the gateway is called."""
    town = Town(address=address, authkey=key)
    multiprocessing.current_process().authkey = key
    town.connect()

    def reach(name: str) -> None:
        if name == "apply.fenced":
            os.kill(os.getpid(), signal.SIGSTOP)

    driver = _driver(url, town, "stopped", reach)
    assert driver.step() == "apply"
    driver.ledger.close()


def test_a_replica_that_was_stopped_past_its_lease_changes_nothing(postgres_url: str, town: Town) -> None:
    """The other one takes over within two leases, makes the one effect, and the sleeper's words are refused (I11)."""
    filing = open_ledger(postgres_url, clock=noon)
    filing.save_incident(incident())
    filing.file(proposal(), ruling("apply"))
    key = bytes(multiprocessing.current_process().authkey)
    spawn = multiprocessing.get_context("spawn")
    sleeper = spawn.Process(target=stop_at_the_call, args=(postgres_url, town.address, key))
    sleeper.start()
    assert sleeper.pid is not None
    _, status = os.waitpid(sleeper.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    stopped_at = time.monotonic()

    awake = _driver(postgres_url, town, "awake")
    while (first := awake.step()) is None:
        assert time.monotonic() - stopped_at < 2 * PACE.lease_seconds
    assert (first, awake.step()) == ("resolve", "apply")
    assert awake.remedy().state == "verifying"
    stands = awake.remedy()

    os.kill(sleeper.pid, signal.SIGCONT)
    sleeper.join(60)

    assert sleeper.exitcode == 0
    assert [one.what for one in town.gateway().changes()] == ["apply"]  # type: ignore[attr-defined]  # see above
    assert awake.remedy() == stands, "the sleeper's outcome is not written"
    assert [one.outcome for one in filing.applications(REMEDY)] == ["unsure", "applied"]
    assert filing.verify_audit().ok
    for ledger in (awake.ledger, filing):
        ledger.close()
