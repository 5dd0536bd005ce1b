"""Our own books in place of a marker, for gateways that have no place for one."""

from datetime import timedelta

from store.ledger.guard_values import Slot, slot_of
from store.model.remedy import Action
from tests.simulation.hand_clock import HandClock
from tools.actuators.slots import Mark


class Books:
    """Who intended what last, by slot; as agent.gateways reads it from the ledger."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self._marks: dict[Slot, Mark] = {}

    def intend(self, action: Action, marker: str) -> None:
        """Note it before the call."""
        now = self._clock()
        self._marks[slot_of(action)] = Mark(marker, action.to, now, now + timedelta(hours=1))

    def mark_of(self, action: Action) -> Mark | None:
        """Who it was."""
        return self._marks.get(slot_of(action))
