"""What a ledger in memory keeps: the rows of one remedy, messages, and a hash chain that is made when it is read."""

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from pydantic import BaseModel

from store.ledger.audit import GENESIS
from store.ledger.text import text_of
from store.ledger.values import Anchor, AuditReport, AuditRow, OutboxRow, Payload
from store.model.remedy import Application, Decision, Proposal, Remedy, Ruling, Verification, Vote
from store.model.usage import to_us


@dataclass(slots=True)
class Life:
    """All rows of one remedy; dictionaries by revision, applications by id."""

    row: Remedy
    position: int
    lease_until: datetime | None = None
    escalations: int = 0
    proposals: dict[int, Proposal] = field(default_factory=dict)
    rulings: list[Ruling] = field(default_factory=list)
    votes: dict[int, dict[str, Vote]] = field(default_factory=dict)
    decisions: dict[int, Decision] = field(default_factory=dict)
    applications: dict[str, Application] = field(default_factory=dict)
    verifications: list[Verification] = field(default_factory=list)
    extending: dict[tuple[int, datetime | None, datetime | None], dict[str, str]] = field(default_factory=dict)
    """(revision, the end that stands, the end that is wanted): who wants it, and why."""

    def newest(self) -> Proposal:
        """The proposal of the greatest revision."""
        return self.proposals[max(self.proposals)]


@dataclass(slots=True)
class Message:
    """One row of the outbox."""

    id: int
    kind: str
    key: str
    payload: Payload
    created_at: datetime
    next_at: datetime
    attempts: int = 0
    sent: bool = False

    def row(self) -> OutboxRow:
        """As the ledger answers."""
        return OutboxRow(
            id=self.id,
            kind=self.kind,
            key=self.key,
            payload=self.payload,
            attempts=self.attempts,
            created_at=self.created_at,
        )


_Note = tuple[datetime, str, str, str, Payload, BaseModel | None]


class Chain:
    """The audit. A note costs next to nothing; the chain over the notes is made by whoever reads it."""

    def __init__(self) -> None:
        self._notes: list[_Note] = []
        self._rows: list[AuditRow] = []

    def note(
        self, at: datetime, *, actor: str, action: str, subject: str, payload: Payload, noun: BaseModel | None = None
    ) -> None:
        """Add a row; its payload is `payload` and the fields of the noun."""
        self._notes.append((at, actor, action, subject, payload, noun))

    def rows(self) -> list[AuditRow]:
        """Every row, oldest first."""
        for at, actor, action, subject, payload, noun in self._notes[len(self._rows) :]:
            full = payload if noun is None else {**payload, **noun.model_dump(mode="json")}
            seq, prev = len(self._rows) + 1, self._rows[-1].hash if self._rows else GENESIS
            payload_hash = _sha(full)
            link = _sha([seq, to_us(at), actor, action, subject, payload_hash, prev])
            self._rows.append(
                AuditRow(
                    seq=seq,
                    at=at,
                    actor=actor,
                    action=action,
                    subject=subject,
                    payload=full,
                    payload_hash=payload_hash,
                    prev_hash=prev,
                    hash=link,
                )
            )
        return self._rows

    def anchor(self, now: datetime) -> Anchor:
        """The head."""
        rows = self.rows()
        return Anchor(seq=len(rows), head=rows[-1].hash if rows else GENESIS, count=len(rows), at=now)

    def verify(self, anchor: Anchor | None) -> AuditReport:
        """Whether the rows still give the chain that was made of them."""
        head = GENESIS
        for row in self.rows():
            fields = [row.seq, to_us(row.at), row.actor, row.action, row.subject, row.payload_hash, head]
            if _sha(row.payload) != row.payload_hash or _sha(fields) != row.hash:
                return AuditReport(ok=False, rows=row.seq - 1, head=head, problem=f"row {row.seq} was changed")
            head = row.hash
        known = anchor is None or anchor.seq == 0 or self._rows[anchor.seq - 1].hash == anchor.head
        problem = None if known else "the chain is not the one that was anchored"
        return AuditReport(ok=known, rows=len(self._rows), head=head, problem=problem)


def _sha(value: object) -> str:
    return sha256(text_of(value).encode()).hexdigest()
