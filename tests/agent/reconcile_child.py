"""A process of its own that walks one remedy to its end over files, so that it can be killed and started again."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from agent.failpoints import from_environment
from agent.walk import Pace
from evals.world.gateway import SimulatedGateway
from evals.world.gateway_state import GatewayState
from store.ledger.ledger import Ledger, open_ledger
from tests.simulation.hand_clock import START, HandClock
from tests.simulation.story import HARMED, WORKED, Driver, incident, proposal, ruling

Story = Literal["works", "harms", "loses_its_answer"]

PACE = Pace(applies=9)


class KeptClock(HandClock):
    """A clock whose time survives its process."""

    def __init__(self, file: Path) -> None:
        super().__init__(datetime.fromisoformat(file.read_text()) if file.exists() else START)
        self._file = file

    def move(self, seconds: float) -> None:
        super().move(seconds)
        _write(self._file, self.now.isoformat())


def open_all(folder: Path) -> tuple[KeptClock, Ledger, SimulatedGateway]:
    """The clock, the ledger and the gateway as the files have them; leases run by the same clock."""
    clock = KeptClock(folder / "clock")
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", clock=clock, lease_clock=clock)
    file = folder / "gateway.json"
    state = GatewayState.model_validate_json(file.read_text()) if file.exists() else None
    gateway = SimulatedGateway(clock=clock, state=state, on_change=lambda new: _write(file, new.model_dump_json()))
    return clock, ledger, gateway


def file_remedy(folder: Path) -> None:
    """The remedy as it is after its approval by rule."""
    _, ledger, _ = open_all(folder)
    ledger.save_incident(incident())
    ledger.file(proposal(lease_seconds=2 * 3600), ruling("apply"))
    ledger.close()


def walk(folder: Path, story: Story, failpoint: str) -> None:
    """Tick until nothing is due any more, or until the failpoint kills this process."""
    clock, ledger, gateway = open_all(folder)
    if story == "loses_its_answer" and failpoint and not gateway.log:
        gateway.script("apply", "lost_answer")
    driver = Driver(
        ledger,
        gateway,
        clock,
        facts=lambda: HARMED if story == "harms" else WORKED,
        pace=PACE,
        failpoint=from_environment({"BURSAR_FAILPOINT": failpoint}),
    )
    for _ in range(2000):
        while driver.due():
            driver.step()
        if driver.remedy().due_at is None:
            break
        clock.move(30)
    ledger.close()


def _write(file: Path, text: str) -> None:
    """All or nothing, as a gateway's own database would."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)
