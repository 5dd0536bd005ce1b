"""A tick in which the looking fails still looks after what is in force."""

from pathlib import Path

import pytest

from agent.app import assemble
from agent.settings import Settings
from store.ledger.ledger import open_ledger
from store.model.usage import Window
from store.usage.duckdb import DuckDBWarehouse, open_duckdb
from tests.simulation.hand_clock import START, HandClock
from tests.simulation.story import incident, proposal, ruling


class Spoiled(DuckDBWarehouse):
    """A warehouse whose roll-up meets a fault of ours."""

    def roll_up(self) -> Window | None:
        raise ValueError("an index is out of range")


def test_a_fault_in_the_watch_does_not_keep_remedies_from_moving(tmp_path: Path) -> None:
    """A request that nobody answered ends in its time; the fault is told all the same."""
    clock = HandClock()
    ledger = open_ledger("sqlite://", clock=clock)
    bursar = assemble(
        Settings(data_dir=tmp_path),
        clock=clock,
        owner="test",
        ledger=ledger,
        warehouse=Spoiled(open_duckdb(None, clock=clock)._connection),
        checkpointed=False,
    )
    plan = proposal()
    ledger.save_incident(incident())
    ledger.file(plan, ruling())
    clock.move((plan.expires_at - START).total_seconds() + 1)
    with pytest.raises(ValueError, match="out of range"):
        bursar.tick()
    ended = ledger.remedy(plan.remedy_id)
    assert ended is not None
    assert (ended.state, ended.outcome) == ("closed", "approval_expired")
    bursar.close()
