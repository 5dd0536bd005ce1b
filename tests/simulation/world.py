"""The ground that histories happen on: a ledger, or replicas of one, and two clocks."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from agent.walk import Pace
from store.ledger.database import Database
from store.ledger.ledger import Ledger, open_ledger
from store.ledger.migrate import upgrade
from tests.simulation.flaky_ledger import FlakyLedger
from tests.simulation.hand_clock import START, HandClock
from tests.simulation.memory_ledger import MemoryLedger

PACE = Pace(lease_seconds=30, retry_seconds=5, data_delay_seconds=60, observations=3, applies=3)


class World(NamedTuple):
    """One SQLite ledger for many stories: a lease clock that only goes forward, and a clock that jumps move."""

    ledger: Ledger
    clock: HandClock
    lease_clock: HandClock

    @classmethod
    def new(cls) -> "World":
        """An empty ledger in memory."""
        clock, lease_clock = HandClock(), HandClock()
        return cls(open_ledger("sqlite://", clock=clock, lease_clock=lease_clock), clock, lease_clock)

    def move(self, seconds: float) -> None:
        """Time passes; a jump backwards does not reach leases."""
        self.clock.move(seconds)
        self.lease_clock.move(max(0.0, seconds))


class FlakyMemoryLedger(FlakyLedger, MemoryLedger):
    """The ledger in memory, with a database that fails."""


class Ground:
    """A ledger to play on, as its replicas see it, and its two clocks: leases are judged by one that never jumps back.

    Every history begins at the same time, so that its seed alone replays it.
    """

    def __init__(self, open_replicas: Callable[[HandClock, HandClock], Sequence[FlakyLedger]]) -> None:
        self.clock, self.lease_clock = HandClock(), HandClock()
        self.replicas = open_replicas(self.clock, self.lease_clock)

    @classmethod
    def in_memory(cls, ledger: type[FlakyMemoryLedger] = FlakyMemoryLedger) -> "Ground":
        """One ledger in dictionaries."""
        return cls(lambda clock, leases: [ledger(clock=clock, lease_clock=leases)])

    @classmethod
    def on(cls, *urls: str) -> "Ground":
        """The real ledger on a database; the same url twice gives two replicas, each with connections of its own."""
        return cls(lambda clock, leases: [_open(url, clock, leases) for url in urls])

    def restart(self) -> None:
        """Back to the beginning of time."""
        self.clock.now = self.lease_clock.now = START

    def move(self, seconds: float) -> None:
        """Time passes; a jump backwards does not reach leases."""
        self.clock.move(seconds)
        self.lease_clock.move(max(0.0, seconds))

    def close(self) -> None:
        """Close every replica."""
        for ledger in self.replicas:
            ledger.close()


def _open(url: str, clock: HandClock, lease_clock: HandClock) -> FlakyLedger:
    database = Database(url, clock=clock, lease_clock=lease_clock, busy_timeout_seconds=10.0)
    upgrade(database)
    return FlakyLedger(database)
