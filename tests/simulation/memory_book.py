"""The lock, the clocks, the messages and the audit of a ledger in memory."""

from datetime import datetime
from threading import RLock

from pydantic import BaseModel

from store.ledger.values import Anchor, AuditReport, AuditRow, OutboxRow, Payload
from store.model.ports import Clock
from store.model.remedy import Proposal, Remedy
from tests.simulation.memory_rows import Chain, Life, Message


class MemoryBook:
    """Every public method that writes holds the lock, as a transaction would."""

    def __init__(self, *, clock: Clock, lease_clock: Clock) -> None:
        self._clock, self._lease_clock = clock, lease_clock
        self._lock = RLock()
        self._lives: dict[str, Life] = {}
        self._lost: dict[tuple[str, int], Proposal] = {}
        self._box: list[Message] = []
        self._chain = Chain()

    def outbox_pending(self, *, limit: int = 100) -> list[OutboxRow]:
        now = self._clock()
        held_up: set[str] = set()
        found: list[OutboxRow] = []
        for one in self._box:
            if one.sent:
                continue
            if one.next_at > now:
                held_up.add(one.key)
            elif one.key not in held_up:
                found.append(one.row())
        return found[:limit]

    def outbox_sent(self, row_id: int, *, ref: str = "") -> None:  # noqa: ARG002 - nobody reads it back
        self._box[row_id - 1].sent = True

    def outbox_failed(self, row_id: int, *, retry_at: datetime, error: str) -> None:  # noqa: ARG002 - nobody reads it back
        message = self._box[row_id - 1]
        if not message.sent:
            message.next_at, message.attempts = retry_at, message.attempts + 1

    def _send(self, kind: str, key: str, payload: Payload) -> None:
        now = self._clock()
        self._box.append(Message(len(self._box) + 1, kind, key, payload, created_at=now, next_at=now))

    def _tell(self, kind: str, remedy: Remedy, **more: str | int | None) -> None:
        payload = {"remedy_id": remedy.remedy_id, "state": remedy.state, "outcome": remedy.outcome, **more}
        self._send(kind, f"{remedy.remedy_id}@{remedy.revision}", payload)

    def _note(self, actor: str, action: str, subject: str, payload: Payload, noun: BaseModel | None = None) -> None:
        self._chain.note(self._clock(), actor=actor, action=action, subject=subject, payload=payload, noun=noun)

    def audit(self, *, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        return self._chain.rows()[after : after + limit]

    def anchor(self) -> Anchor:
        return self._chain.anchor(self._clock())

    def verify_audit(self, anchor: Anchor | None = None) -> AuditReport:
        return self._chain.verify(anchor)

    def ping(self) -> None:
        """It lives."""

    def close(self) -> None:
        """Nothing is open."""
