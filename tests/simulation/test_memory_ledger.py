"""The ledger in memory does what every ledger must do."""

from collections.abc import Iterator

import pytest

from store.ledger.ledger import Ledger
from tests.checks.check_ledger import LedgerChecks
from tests.simulation.memory_ledger import MemoryLedger
from tests.store.ledger.examples import HandClock


class TestMemoryLedger(LedgerChecks):
    """The whole shared suite."""

    @pytest.fixture
    def ledger_url(self) -> str:
        return "sqlite://"  # gone at its end, like a memory database

    @pytest.fixture
    def ledger(self, clock: HandClock) -> Iterator[Ledger]:
        made = MemoryLedger(clock=clock, lease_clock=clock)
        yield made
        report = made.verify_audit(made.anchor())
        assert report.ok, report.problem
