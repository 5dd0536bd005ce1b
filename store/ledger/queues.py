"""The outbox (what people must hear, in order, surely) and the inbox (what they said, once)."""

from datetime import datetime

from sqlalchemy import insert, select, update

from store.ledger import tables
from store.ledger.database import Transaction
from store.ledger.part import Part
from store.ledger.text import text_of, value_of
from store.ledger.values import OutboxRow, Payload
from store.model.remedy import Remedy
from store.model.usage import from_us, to_us


def tell(tx: Transaction, kind: str, key: str, payload: Payload) -> None:
    """Put a message into the outbox, in the transaction of the change that it tells of."""
    tx.conn.execute(
        insert(tables.outbox).values(
            kind=kind, key=key, payload=text_of(payload), created_us=tx.now_us, next_us=tx.now_us, attempts=0
        )
    )


def tell_of_remedy(tx: Transaction, kind: str, remedy: Remedy, **more: str | int | None) -> None:
    """A message about a remedy, with key "REMEDY@REVISION" and its state and outcome in the payload."""
    payload = {
        "remedy_id": remedy.remedy_id,
        "revision": remedy.revision,
        "incident_id": remedy.incident_id,
        "state": remedy.state,
        "outcome": remedy.outcome,
        **more,
    }
    tell(tx, kind, f"{remedy.remedy_id}@{remedy.revision}", payload)


class Queues(Part):
    """Outbox and inbox; sending and handling happen outside of any transaction."""

    def outbox_pending(self, *, limit: int = 100) -> list[OutboxRow]:
        """Messages that may be sent now, oldest first; none overtakes an earlier one of its key."""
        box, earlier = tables.outbox, tables.outbox.alias("earlier")
        with self._db.read() as tx:
            held_up = (
                select(earlier.c.id)
                .where(earlier.c.key == box.c.key, earlier.c.id < box.c.id)
                .where(earlier.c.sent_us.is_(None), earlier.c.next_us > tx.now_us)
            )
            wanted = (
                select(box)
                .where(box.c.sent_us.is_(None), box.c.next_us <= tx.now_us, ~held_up.exists())
                .order_by(box.c.id)
                .limit(limit)
            )
            return [
                OutboxRow(
                    id=row.id,
                    kind=row.kind,
                    key=row.key,
                    payload=value_of(row.payload),
                    attempts=row.attempts,
                    created_at=from_us(row.created_us),
                )
                for row in tx.conn.execute(wanted)
            ]

    def outbox_sent(self, row_id: int, *, ref: str = "") -> None:
        """Note that a message got through; `ref` is the receiver's name for it. A second note changes nothing."""
        box = tables.outbox
        done = update(box).where(box.c.id == row_id, box.c.sent_us.is_(None))
        with self._db.write() as tx:
            tx.conn.execute(done.values(sent_us=tx.now_us, ref=ref, error=None))

    def outbox_failed(self, row_id: int, *, retry_at: datetime, error: str) -> None:
        """Note a failed send and when to try again."""
        box = tables.outbox
        failed = update(box).where(box.c.id == row_id, box.c.sent_us.is_(None))
        with self._db.write() as tx:
            tx.conn.execute(failed.values(next_us=to_us(retry_at), attempts=box.c.attempts + 1, error=error))

    def inbox_put(self, dedupe_key: str, kind: str, payload: Payload) -> bool:
        """Keep an incoming event; False where its key was seen before."""
        box = tables.inbox
        body = text_of(payload)
        with self._db.write() as tx:
            if tx.conn.scalar(select(box.c.id).where(box.c.dedupe_key == dedupe_key)) is not None:
                return False
            event = insert(box).values(dedupe_key=dedupe_key, kind=kind, payload=body, received_us=tx.now_us)
            tx.conn.execute(event)
            return True

    def inbox_pending(self, *, limit: int = 100) -> list[tuple[int, str, Payload]]:
        """(id, kind, payload) of events that nobody has handled, oldest first."""
        box = tables.inbox
        wanted = select(box).where(box.c.done_us.is_(None)).order_by(box.c.id).limit(limit)
        with self._db.read() as tx:
            return [(row.id, row.kind, value_of(row.payload)) for row in tx.conn.execute(wanted)]

    def inbox_done(self, row_id: int) -> None:
        """Note that an event was handled."""
        box = tables.inbox
        with self._db.write() as tx:
            tx.conn.execute(update(box).where(box.c.id == row_id).values(done_us=tx.now_us))
