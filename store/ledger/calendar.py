"""The calendar: what spend people expect, by name. It lies among the terms: a person set it and may take it back."""

from sqlalchemy import delete, select

from store.ledger import audit, tables
from store.ledger.part import Part
from store.ledger.rows import put
from store.ledger.text import body_of, value_of
from store.model.expected import Expected

_KIND = "expected"


class Calendar(Part):
    """Planned events and explanations; a name that comes again replaces what it had."""

    def expect(self, entry: Expected, *, by: str) -> None:
        """Keep an entry."""
        body = body_of(entry)
        with self._db.write() as tx:
            put(tx, tables.terms, {"kind": _KIND, "name": entry.name}, {"changed_us": tx.now_us, "body": body})
            audit.append(tx, actor=by, action=f"{entry.kind}_set", subject=entry.name, payload=value_of(body))

    def expected(self) -> list[Expected]:
        """All entries, expired ones too, by their start."""
        table = tables.terms
        with self._db.read() as tx:
            bodies = tx.conn.scalars(select(table.c.body).where(table.c.kind == _KIND).order_by(table.c.name))
            found = [Expected.model_validate_json(body) for body in bodies]
        return sorted(found, key=lambda entry: (entry.window.start, entry.name))

    def unexpect(self, name: str, *, by: str) -> bool:
        """Forget an entry; False where there is none of that name."""
        table = tables.terms
        with self._db.write() as tx:
            gone = tx.conn.execute(delete(table).where(table.c.kind == _KIND, table.c.name == name)).rowcount == 1
            if gone:
                audit.append(tx, actor=by, action="expected_removed", subject=name, payload={})
            return gone
