"""What the demo needs of the assembled service; `agent.bursar.Bursar` has this shape."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from evals.world.gateway import SimulatedGateway
from store.ledger.ledger import Ledger
from store.model.ports import Warehouse


class SimulatedClock:
    """A clock that stands until it is moved forward."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def __call__(self) -> datetime:
        """Now, in UTC."""
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Let time pass up to the moment."""
        self._now = max(self._now, moment)


class Service(Protocol):
    """The service under the demo's clock."""

    @property
    def ledger(self) -> Ledger:
        """Its state."""
        ...

    @property
    def warehouse(self) -> Warehouse:
        """Its usage; the demo appends what the company's gateway would report."""
        ...

    def tick(self) -> Any:
        """Look at the spend, investigate, and move every remedy that is due."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...


OpenService = Callable[[Path, SimulatedClock, SimulatedGateway], Service]
"""Assembles the service in a data folder, on a clock, over a gateway."""
