"""Work that one process does at a time, and references that are kept once.

Both are rows of the windows table: a turn is a window that never ends, a reference a window whose result is read.
"""

from sqlalchemy import insert, or_, select, update

from store.ledger import tables
from store.ledger.part import Part
from store.ledger.text import text_of, value_of
from store.ledger.values import Payload

_TURN = "turn"


class Turns(Part):
    """Turns keep an order among replicas; a lost turn costs time only."""

    def take_turn(self, name: str, *, owner: str, lease_seconds: int) -> bool:
        """Become, or stay, the one who does this work; False while another's lease or a pause runs (database time)."""
        table = tables.windows
        same = (table.c.kind == _TURN, table.c.scope == name, table.c.start_us == 0)
        with self._db.write() as tx:
            now_us = tx.lease_now_us()
            lease = {"owner": owner, "lease_until_us": now_us + lease_seconds * 1_000_000}
            if tx.conn.scalar(select(table.c.owner).where(*same)) is None:
                tx.conn.execute(insert(table).values(kind=_TURN, scope=name, start_us=0, **lease))
                return True
            free = update(table).where(*same, or_(table.c.owner == owner, table.c.lease_until_us <= now_us))
            return tx.conn.execute(free.values(**lease)).rowcount == 1

    def end_turn(self, name: str, *, owner: str, pause_seconds: float = 0) -> None:
        """Let go. Nobody takes the next turn before the pause is over; nothing happens where it is not ours."""
        table = tables.windows
        ours = (table.c.kind == _TURN, table.c.scope == name, table.c.start_us == 0, table.c.owner == owner)
        with self._db.write() as tx:
            until_us = tx.lease_now_us() + round(pause_seconds * 1_000_000)
            tx.conn.execute(update(table).where(*ours).values(owner="", lease_until_us=until_us))

    def keep_reference(self, kind: str, name: str, reference: Payload) -> Payload:
        """Keep where something of ours is in another system; the one that stands comes back: the first wins."""
        table = tables.windows
        same = (table.c.kind == kind, table.c.scope == name, table.c.start_us == 0)
        body = text_of(reference)
        with self._db.write() as tx:
            standing = tx.conn.scalar(select(table.c.result).where(*same))
            if standing is not None:
                return value_of(standing)
            done = {"owner": "", "lease_until_us": 0, "finished_us": tx.now_us, "result": body}
            tx.conn.execute(insert(table).values(kind=kind, scope=name, start_us=0, **done))
            return reference

    def reference(self, kind: str, name: str) -> Payload | None:
        """What was kept, or None."""
        table = tables.windows
        wanted = select(table.c.result).where(table.c.kind == kind, table.c.scope == name, table.c.start_us == 0)
        with self._db.read() as tx:
            body = tx.conn.scalar(wanted)
            return None if body is None else value_of(body)
