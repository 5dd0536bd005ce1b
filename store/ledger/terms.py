"""What was agreed about money and imported by a person: budgets and charges; and whether the data may be believed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, delete, or_, select, update

from store.ledger import audit, tables
from store.ledger.database import Transaction
from store.ledger.part import Part
from store.ledger.rows import put
from store.ledger.text import body_of, maybe_moment, text_of, value_of
from store.model.budget import Budget
from store.model.charge import Charge
from store.model.incident import Doubt, TrustNote
from store.model.usage import Scope, Window, from_us, to_us

TermKind = Literal["budget", "charge"]


class Terms(Part):
    """Budgets and charges by name; a name that comes again replaces what it had."""

    def save_budgets(self, budgets: Sequence[Budget], *, by: str) -> None:
        """Keep all of them, or none."""
        self._save("budget", budgets, by)

    def budgets(self) -> list[Budget]:
        """Those that were imported, by name."""
        return [Budget.model_validate_json(body) for body in self._bodies("budget")]

    def save_charges(self, charges: Sequence[Charge], *, by: str) -> None:
        """Keep all of them, or none."""
        self._save("charge", charges, by)

    def charges(self) -> list[Charge]:
        """Those that were imported, by name."""
        return [Charge.model_validate_json(body) for body in self._bodies("charge")]

    def remove_term(self, kind: TermKind, name: str, *, by: str) -> bool:
        """Forget one; False where there is none of that name."""
        table = tables.terms
        with self._db.write() as tx:
            gone = tx.conn.execute(delete(table).where(table.c.kind == kind, table.c.name == name)).rowcount == 1
            if gone:
                audit.append(tx, actor=by, action=f"{kind}_removed", subject=name, payload={})
            return gone

    def _save(self, kind: TermKind, terms: Sequence[Budget] | Sequence[Charge], by: str) -> None:
        with self._db.write() as tx:
            for term in terms:
                body = body_of(term)
                put(tx, tables.terms, {"kind": kind, "name": term.name}, {"changed_us": tx.now_us, "body": body})
                audit.append(tx, actor=by, action=f"{kind}_set", subject=term.name, payload=value_of(body))

    def _bodies(self, kind: TermKind) -> list[str]:
        table = tables.terms
        with self._db.read() as tx:
            return list(tx.conn.scalars(select(table.c.body).where(table.c.kind == kind).order_by(table.c.name)))


class Doubts(Part):
    """The trust gate's verdict by scope: what may not be believed, since when, and until when it could not."""

    def save_trust(self, notes: Sequence[TrustNote], *, at: datetime) -> None:
        """The verdict as of `at`: what it no longer says has ended then; what it says anew has begun."""
        said: dict[tuple[str, str], TrustNote] = {(note.kind, text_of(note.scope.as_dict())): note for note in notes}
        at_us = to_us(at)
        table = tables.doubts
        with self._db.write() as tx:
            for kind, scope, since_us in _open(tx):
                note = said.pop((kind, scope), None)
                same = (table.c.kind == kind, table.c.scope == scope, table.c.since_us == since_us)
                values = {"ended_us": max(at_us, since_us)} if note is None else {"seen_us": at_us, "says": note.says}
                tx.conn.execute(update(table).where(*same).values(**values))
            for (kind, scope), note in said.items():
                begun = {"kind": kind, "scope": scope, "since_us": at_us}
                put(tx, table, begun, {"seen_us": at_us, "ended_us": None, "says": note.says})

    def trust(self) -> list[Doubt]:
        """What may not be believed now, oldest first."""
        return self._doubts(tables.doubts.c.ended_us.is_(None))

    def trust_in(self, window: Window) -> list[Doubt]:
        """What could not be believed at some time of the window, oldest first."""
        table = tables.doubts
        lasted = or_(table.c.ended_us.is_(None), table.c.ended_us > window.start_us)
        return self._doubts(lasted & (table.c.since_us < window.end_us))

    def _doubts(self, wanted: ColumnElement[bool]) -> list[Doubt]:
        table = tables.doubts
        with self._db.read() as tx:
            found = tx.conn.execute(select(table).where(wanted).order_by(table.c.since_us, table.c.kind, table.c.scope))
            return [_doubt(row) for row in found]


def _open(tx: Transaction) -> list[tuple[str, str, int]]:
    table = tables.doubts
    wanted = select(table.c.kind, table.c.scope, table.c.since_us).where(table.c.ended_us.is_(None))
    return [(row.kind, row.scope, row.since_us) for row in tx.conn.execute(wanted)]


def _doubt(row: Row[Any]) -> Doubt:
    return Doubt(
        scope=Scope.of(value_of(row.scope)),
        kind=row.kind,
        says=row.says,
        since=from_us(row.since_us),
        seen_at=from_us(row.seen_us),
        ended_at=maybe_moment(row.ended_us),
    )
