"""What the admin APIs of providers have in common: no place for a marker, so Bursar's ledger tells what is ours."""

from abc import abstractmethod
from typing import ClassVar

from store.model.ports import Clock
from store.model.remedy import Action, Settings
from tools.actuators.admin_api import AdminApi, Json
from tools.actuators.slots import MarkOf, Slot, SlotGateway


class UnmarkedGateway(SlotGateway):
    """A gateway over `_held` and `_write`; a value that is not what the ledger says we set is somebody else's."""

    marks: ClassVar[bool] = False

    def __init__(self, api: AdminApi, *, clock: Clock, spread_seconds: int, mark_of: MarkOf) -> None:
        super().__init__(clock=clock, spread_seconds=spread_seconds, mark_of=mark_of)
        self._api = api

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _read(self, action: Action) -> Slot:
        value, raw = self._held(action)
        mark = self._mark_of(action)
        return Slot(value, mark if mark and mark.value == value else None, raw)

    @abstractmethod
    def _held(self, action: Action) -> tuple[Settings, Json]:
        """The value that stands there, and what `_write` needs of it; Refused or NoAnswer where it cannot be read."""
