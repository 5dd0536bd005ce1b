"""Schedule windows and the kill switch: what is done once, and what may not be done at all."""

from datetime import datetime

from sqlalchemy import func, insert, select, update

from store.ledger import audit, tables
from store.ledger.part import Part
from store.ledger.queues import tell
from store.ledger.rows import put
from store.ledger.text import maybe_moment, text_of
from store.ledger.values import Payload
from store.model.usage import to_us

_KILL_SWITCH = "kill-switch"


class Windows(Part):
    """UNIQUE(kind, scope, window_start): restarts and replicas neither skip nor double a window."""

    def claim_window(self, kind: str, scope: str, start: datetime, *, owner: str, lease_seconds: int) -> bool:
        """Take a window; False where it is finished, or leased by somebody who is still alive."""
        table = tables.windows
        same = (table.c.kind == kind, table.c.scope == scope, table.c.start_us == to_us(start))
        with self._db.write() as tx:
            now_us = tx.lease_now_us()
            lease = {"owner": owner, "lease_until_us": now_us + lease_seconds * 1_000_000}
            if tx.conn.scalar(select(table.c.owner).where(*same)) is None:
                tx.conn.execute(insert(table).values(kind=kind, scope=scope, start_us=to_us(start), **lease))
                return True
            free = update(table).where(*same, table.c.finished_us.is_(None), table.c.lease_until_us <= now_us)
            return tx.conn.execute(free.values(**lease)).rowcount == 1

    def finish_window(
        self,
        kind: str,
        scope: str,
        start: datetime,
        *,
        owner: str,
        result: Payload | None = None,
        outbox: tuple[str, str, Payload] | None = None,
    ) -> bool:
        """Close a window and send its one message (kind, key, payload); False where it is not (or no longer) ours."""
        table = tables.windows
        ours = (table.c.kind == kind, table.c.scope == scope, table.c.start_us == to_us(start), table.c.owner == owner)
        kept = None if result is None else text_of(result)
        with self._db.write() as tx:
            close = update(table).where(*ours, table.c.finished_us.is_(None))
            if tx.conn.execute(close.values(finished_us=tx.now_us, result=kept)).rowcount == 0:
                return False
            if outbox is not None:
                tell(tx, *outbox)
            return True

    def last_window(self, kind: str, scope: str) -> datetime | None:
        """The newest finished window's start."""
        table = tables.windows
        newest = select(func.max(table.c.start_us)).where(
            table.c.kind == kind, table.c.scope == scope, table.c.finished_us.is_not(None)
        )
        with self._db.read() as tx:
            return maybe_moment(tx.conn.scalar(newest))


class KillSwitch(Part):
    """One row that stops every new effect and survives a restart."""

    def kill_switch(self) -> bool:
        """Whether it is on."""
        table = tables.switches
        with self._db.read() as tx:
            return bool(tx.conn.scalar(select(table.c.is_on).where(table.c.name == _KILL_SWITCH)))

    def set_kill_switch(self, on: bool, *, by: str, reason: str) -> None:
        """Set it; everybody hears of a change, the audit of every word."""
        table = tables.switches
        with self._db.write() as tx:
            was = bool(tx.conn.scalar(select(table.c.is_on).where(table.c.name == _KILL_SWITCH)))
            values = {"is_on": on, "set_by": by, "reason": reason, "at_us": tx.now_us}
            put(tx, table, {"name": _KILL_SWITCH}, values)
            payload = {"on": on, "by": by, "reason": reason}
            audit.append(tx, actor=by, action="kill_switch", subject=_KILL_SWITCH, payload=payload)
            if was != on:
                tell(tx, _KILL_SWITCH.replace("-", "_"), _KILL_SWITCH, payload)
