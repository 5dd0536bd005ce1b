"""The ledger: the one place where things wait, and where what was decided and done is kept.

Every method is one transaction, and none makes a network call. What people must hear goes to the outbox, what must
be provable to the audit, in the transaction of the change.
"""

from sqlalchemy import select

from store.ledger import tables
from store.ledger.audit import Audit
from store.ledger.calendar import Calendar
from store.ledger.database import Database
from store.ledger.decisions import Decisions
from store.ledger.guard_rules import GuardRules
from store.ledger.incidents import Incidents
from store.ledger.migrate import upgrade
from store.ledger.model_calls import ModelCalls
from store.ledger.proposals import Proposals
from store.ledger.queues import Queues
from store.ledger.terms import Doubts, Terms
from store.ledger.turns import Turns
from store.ledger.values import Anchor, AuditReport, AuditRow, Cast, OutboxRow
from store.ledger.walk import Walk
from store.ledger.windows import KillSwitch, Windows
from store.ledger.wishes import Wishes
from store.model.ports import Clock

__all__ = ["Anchor", "AuditReport", "AuditRow", "Cast", "Ledger", "OutboxRow", "open_ledger"]


class Ledger(
    Incidents,
    Proposals,
    Decisions,
    Walk,
    Wishes,
    Windows,
    KillSwitch,
    Turns,
    Queues,
    Audit,
    GuardRules,
    ModelCalls,
    Terms,
    Doubts,
    Calendar,
):
    """The state database; each base class holds the methods of one topic.

    Every method raises Busy where another writer held the database beyond the busy timeout, StorageFailed where the
    database failed (nothing was half-written), BadInput where a value cannot be stored. Safe to share by threads.
    """

    def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            StorageFailed: there is none.
        """
        with self._db.read() as tx:
            tx.conn.execute(select(tables.audit_head.c.seq)).one()

    def close(self) -> None:
        """Close the connections; a memory database is gone then."""
        self._db.close()


def open_ledger(
    url: str, *, clock: Clock, lease_clock: Clock | None = None, busy_timeout_seconds: float = 10.0
) -> Ledger:
    """Open the ledger, creating or upgrading its tables.

    Args:
        url: sqlite:///PATH, sqlite:// (in memory, gone at close) or postgresql+psycopg://...
        clock: the business time (expiries, due times).
        lease_clock: what leases are judged by. Default: PostgreSQL's own clock; for a SQLite file a clock of this
            process that never jumps; for a memory database `clock`, which a simulation drives.
        busy_timeout_seconds: how long a transaction waits for another writer.

    Raises:
        BadInput: the url is unusable, or a newer Bursar wrote the database.
        Busy, StorageFailed: the database could not be opened.
    """
    database = Database(url, clock=clock, lease_clock=lease_clock, busy_timeout_seconds=busy_timeout_seconds)
    try:
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return Ledger(database)
