"""What all gateways behind an admin API have in common: read a slot, look whose it is, write an absolute value.

None of these APIs has compare-and-set or idempotency keys. So a change is sent only where the slot reads as the
caller saw it; between that read and the write lie milliseconds in which a person's change would be lost
(docs/actuators.md has what was measured). Reading back finds it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from store.model.canonical import digest
from store.model.ports import Applied, Capabilities, Clock, Observed, Preview, Probed, Taken, Unreadable
from store.model.remedy import Action, ActionKind, Settings
from tools.actuators.admin_api import Json, Refused
from tools.http import NoAnswer


@dataclass(frozen=True)
class Mark:
    """Whose value a slot holds: the remedy, what it set, when, and until when; `before` is what the API held then."""

    remedy: str
    value: Settings
    at: datetime
    ends: datetime
    before: Json = field(default_factory=dict)


def when(text: object) -> datetime:
    """A time in a mark.

    Raises:
        ValueError: it is none, or it has no zone: no mark of ours.
    """
    found = datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        raise ValueError(f"a time without a zone: {text}")
    return found


MarkOf = Callable[[Action], Mark | None]
"""Who is at work on an action's slot, by our own books."""

GONE: Settings = {"gone": True}
"""What a key, team or project holds that somebody deleted while a change of ours stood there: nothing to take back."""


@dataclass(frozen=True)
class Slot:
    """What the gateway holds for one action; `raw` is what the API answered, for the write that follows."""

    value: Settings
    mark: Mark | None
    raw: Json = field(default_factory=dict)
    taken: Taken | None = None

    @property
    def version(self) -> str | None:
        """The digest of value and marker; None where there is neither, as the parts of one plan must agree on one."""
        if not self.value and self.mark is None:
            return None
        return digest([self.value, self.mark.remedy if self.mark else None])


class SlotGateway(ABC):
    """A gateway (GatewayReader and Actuator) over `_read` and `_write` of one slot."""

    name: ClassVar[str]
    handles: ClassVar[frozenset[ActionKind]]
    marks: ClassVar[bool]
    """Whether our marker stands at the gateway; else whoever is asked for marks knows."""
    permissions: ClassVar[tuple[str, ...]]

    def __init__(self, *, clock: Clock, spread_seconds: int, mark_of: MarkOf = lambda _: None) -> None:
        self._clock = clock
        self._spread = spread_seconds
        self._mark_of = mark_of

    # --- the reader ------------------------------------------------------------------------------------------

    def capabilities(self) -> Capabilities:
        """No compare-and-set, no end by itself, no probe: a person decides, and Bursar must live to take it back."""
        return Capabilities(
            handles=self.handles,
            readback=True,
            marker=self.marks,
            cas=False,
            idempotency=False,
            probe=False,
            expiry=False,
            propagation_seconds=self._spread,
            permissions=self.permissions,
        )

    def takes(self, action: Action) -> bool:
        """Whether this is the gateway for it; no I/O."""
        return self.objection(action) is None

    @abstractmethod
    def objection(self, action: Action) -> str | None:
        """Why it cannot be done here, by kind and target alone; no I/O."""

    @abstractmethod
    def ping(self) -> str:
        """One line for `bursar check --online`: "ok, ..." with what the key may do, or what it lacks."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def observe(self, action: Action) -> Observed:
        """What the gateway holds.

        Raises:
            Unreadable: no trustworthy answer, or no permission to look.
        """
        try:
            slot = self._look(action)
        except (Refused, NoAnswer) as error:
            raise Unreadable(f"reading {action.kind} of {action.target.text} at {self.name}: {error}") from error
        marker = slot.mark.remedy if slot.mark else None
        return Observed(value=slot.value, marker=marker, version=slot.version, taken=slot.taken)

    def preview(self, action: Action) -> Preview:
        """Before and after in words."""
        return Preview(before=_words(action, action.was), after=_words(action, action.to))

    # --- the actuator ----------------------------------------------------------------------------------------

    def apply(
        self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None, expires_at: datetime
    ) -> Applied:
        """Set the value, where the slot is as it was seen; nothing ends it but a revert."""
        del idempotency_key  # these APIs take none: our mark tells a repeat
        against = self.objection(action)
        if against is not None:
            return Applied(status="refused", detail=against)
        try:
            slot = self._read(action)
        except Refused as error:
            return Applied(status="refused", detail=str(error))
        except NoAnswer as error:
            return Applied(status="unsure", detail=f"nothing was sent: {error}")
        if slot.mark is not None and slot.mark.remedy == marker:
            if slot.value == action.to:
                return Applied(status="done", version=slot.version, detail="already so")
            if slot.value != slot.mark.value or slot.value != action.was:
                return Applied(status="conflict", version=slot.version, detail="changed by somebody since we set it")
        elif slot.mark is not None and (slot.value == slot.mark.value or self._clock() < slot.mark.ends):
            return Applied(status="conflict", version=slot.version, detail=f"{slot.mark.remedy} is in force there")
        if slot.version != expected_version:
            return Applied(status="conflict", version=slot.version, detail="changed since it was looked at")
        mine = slot.mark is not None and slot.mark.remedy == marker
        # A remedy's later revision keeps what its first one found.
        before = slot.mark.before if slot.mark is not None and mine else self._before(action, slot)
        mark = Mark(marker, action.to, self._clock(), expires_at, before)
        return self._send(action, action.to, mark, slot)

    def revert(self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None) -> Applied:
        """Restore `action.was`, where value and marker are still ours; otherwise conflict."""
        del idempotency_key
        try:
            slot = self._look(action)
        except Refused as error:
            return Applied(status="refused", detail=str(error))
        except NoAnswer as error:
            return Applied(status="unsure", detail=f"nothing was sent: {error}")
        if not _ours(slot, action, marker):
            return Applied(status="conflict", version=slot.version, detail="not ours any more")
        if slot.version != expected_version:
            return Applied(status="conflict", version=slot.version, detail="changed since it was looked at")
        return self._send(action, action.was, None, slot)

    def probe(self, action: Action, *, marker: str) -> Probed:
        """By read-back and time: no call of the target can be pretended through an admin API."""
        try:
            slot = self._look(action)
        except (Refused, NoAnswer) as error:
            return Probed(status="unsure", detail=str(error))
        if not _ours(slot, action, marker) or slot.mark is None:
            return Probed(status="no", detail=f"{self.name} holds no such change")
        held = self._clock() - slot.mark.at
        if held < timedelta(seconds=self._spread):
            return Probed(status="no", detail=f"stored; it may take {self._spread} s until calls meet it")
        return Probed(status="yes", detail=f"held for {self._spread} s, as long as it takes; no call was watched")

    # --- inside ----------------------------------------------------------------------------------------------

    def _look(self, action: Action) -> Slot:
        """The slot; what is gone since a remedy of ours began there holds GONE, other absence is an error."""
        against = self.objection(action)
        if against is not None:
            raise Refused(0, against)
        try:
            return self._read(action)
        except Refused as error:
            if error.status in (404, 410) and self._mark_of(action) is not None:
                return Slot(GONE, None)
            raise

    @abstractmethod
    def _read(self, action: Action) -> Slot:
        """The slot now, for an action to which there is no objection; Refused or NoAnswer where it cannot be read."""

    @abstractmethod
    def _write(self, action: Action, value: Settings, mark: Mark | None, slot: Slot) -> None:
        """Set the value and mark, in one call; Refused where it said no, NoAnswer where nobody knows."""

    def _before(self, action: Action, slot: Slot) -> Json:
        """What else must come back with `was`; kept in the mark."""
        del action, slot
        return {}

    def _send(self, action: Action, value: Settings, mark: Mark | None, slot: Slot) -> Applied:
        try:
            self._write(action, value, mark, slot)
        except Refused as error:
            return Applied(status="refused", detail=str(error))
        except NoAnswer as error:
            return Applied(status="unsure", detail=str(error))
        return Applied(status="done")


def _ours(slot: Slot, action: Action, marker: str) -> bool:
    return slot.mark is not None and slot.mark.remedy == marker and slot.value == action.to


def _words(action: Action, value: Settings) -> str:
    settings = ", ".join(f"{name} {setting}" for name, setting in value.items() if setting is not None)
    return f"{action.kind} of {action.target.text}: {settings or 'not set'}"
