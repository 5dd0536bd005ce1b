"""The audit: an append-only hash chain, written in the transaction of the change that it records.

The chain holds the hash of the payload and the payload lies beside it. A bare chain does not find truncation or a
full re-stamp; an anchor noted elsewhere does. Triggers refuse UPDATE and DELETE; an operator on PostgreSQL also
REVOKEs both from the service's role.
"""

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import Row, insert, select, update

from store.ledger import tables
from store.ledger.database import Transaction
from store.ledger.part import Part
from store.ledger.text import text_of, value_of
from store.ledger.values import Anchor, AuditReport, AuditRow, Payload
from store.model.usage import from_us

GENESIS = "0" * 64
"""The previous hash of the first row."""

_CHUNK = 5_000
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=repr).encode
"""`default`: an intruder may have put bytes where text belongs; that must give another hash, not a crash."""


def append(tx: Transaction, *, actor: str, action: str, subject: str, payload: Payload) -> None:
    """Add the next row. The head row is ours: every write transaction locks it first."""
    head = tx.conn.execute(select(tables.audit_head)).one()
    actor, subject = (part.replace("\0", "\N{REPLACEMENT CHARACTER}") for part in (actor, subject))
    body = text_of(payload)
    seq, payload_hash = head.seq + 1, _sha(body)
    link = _link(seq, tx.now_us, actor, action, subject, payload_hash, head.hash)
    tx.conn.execute(
        insert(tables.audit).values(
            seq=seq,
            at_us=tx.now_us,
            actor=actor,
            action=action,
            subject=subject,
            payload=body,
            payload_hash=payload_hash,
            prev_hash=head.hash,
            hash=link,
        )
    )
    tx.conn.execute(update(tables.audit_head).values(seq=seq, hash=link))


class Audit(Part):
    """Reading and checking the chain."""

    def audit(self, *, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        """Rows with seq > after, in order."""
        wanted = select(tables.audit).where(tables.audit.c.seq > after).order_by(tables.audit.c.seq).limit(limit)
        with self._db.read() as tx:
            return [_row(row) for row in tx.conn.execute(wanted)]

    def anchor(self) -> Anchor:
        """The head as it is now; keep it in a second place (a log line, a file, the weekly summary)."""
        with self._db.read() as tx:
            head = tx.conn.execute(select(tables.audit_head)).one()
            return Anchor(seq=head.seq, head=head.hash, count=head.seq, at=tx.now)

    def verify_audit(self, anchor: Anchor | None = None) -> AuditReport:
        """Walk the whole chain in one pass of constant memory.

        Finds any edit, deletion, insertion and reordering; with an anchor also truncation and re-stamping of the
        rows up to it. The report names the first fault; `rows` counts the good rows before it.
        """
        ordered = select(*_CHECKED).order_by(tables.audit.c.seq)
        with self._db.read() as tx:
            head = tx.conn.execute(select(tables.audit_head)).one_or_none()
            with tx.conn.execution_options(yield_per=_CHUNK).execute(ordered) as rows:
                report = _walk(rows, anchor)
        if report.ok and (head is None or (head.seq, head.hash) != (report.rows, report.head)):
            return report.model_copy(
                update={"ok": False, "problem": "the last rows are missing: the head names others"}
            )
        return report


_CHECKED = tuple(tables.audit.c[name] for name in (
    "seq", "at_us", "actor", "action", "subject", "payload", "payload_hash", "prev_hash", "hash"
))  # fmt: skip


def _walk(rows: Iterable[Sequence[Any]], anchor: Anchor | None) -> AuditReport:
    count, head = 0, GENESIS
    for seq, at_us, actor, action, subject, payload, payload_hash, prev_hash, link in rows:
        problem = None
        if seq != count + 1:
            problem = f"row {count + 1} is missing: row {seq} follows row {count}"
        elif prev_hash != head:
            problem = f"row {seq} does not continue row {count}"
        elif _sha(str(payload)) != payload_hash:
            problem = f"the payload of row {seq} was changed"
        elif _link(seq, at_us, actor, action, subject, payload_hash, prev_hash) != link:
            problem = f"row {seq} was changed"
        elif anchor is not None and seq == anchor.seq and link != anchor.head:
            problem = f"row {seq} is not the one that was anchored at {anchor.at}: the chain was written anew"
        if problem is not None:
            return AuditReport(ok=False, rows=count, head=head, problem=problem)
        count, head = seq, link
    if anchor is not None and count < anchor.seq:
        problem = f"the chain ends at row {count}, but row {anchor.seq} was anchored at {anchor.at}: rows were cut off"
        return AuditReport(ok=False, rows=count, head=head, problem=problem)
    return AuditReport(ok=True, rows=count, head=head)


def _sha(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _link(*fields: int | str) -> str:
    """SHA-256 of a flat JSON list, which is the canonical JSON of that list: it has no keys to sort."""
    return _sha(_encode(fields))


def _row(row: Row[Any]) -> AuditRow:
    values = dict(row._mapping)
    return AuditRow(at=from_us(values.pop("at_us")), payload=value_of(values.pop("payload")), **values)
