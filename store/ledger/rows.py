"""Small moves over rows that several parts of the ledger need."""

from typing import Any

from sqlalchemy import Row, Table, func, insert, select, update

from store.ledger import tables
from store.ledger.database import Transaction
from store.ledger.text import maybe_moment, maybe_us
from store.model.remedy import Decision, Remedy


def put(tx: Transaction, table: Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Replace the row of that key, or insert it; safe because writers go one at a time."""
    same = [table.c[name] == value for name, value in key.items()]
    if tx.conn.execute(update(table).where(*same).values(**values)).rowcount == 0:
        tx.conn.execute(insert(table).values(**key, **values))


def next_position(tx: Transaction, table: Table) -> int:
    """The order of filing, for tables whose key does not tell it."""
    return int(tx.conn.scalar(select(func.coalesce(func.max(table.c.position), 0) + 1)) or 1)


def find_remedy(tx: Transaction, remedy_id: str) -> Remedy | None:
    """The remedy's row."""
    row = tx.conn.execute(select(tables.remedies).where(tables.remedies.c.remedy_id == remedy_id)).one_or_none()
    return None if row is None else remedy_of(row)


def remedy_of(row: Row[Any]) -> Remedy:
    """The noun of a row."""
    return Remedy(
        remedy_id=row.remedy_id,
        revision=row.revision,
        incident_id=row.incident_id,
        state=row.state,
        outcome=row.outcome,
        fence=row.fence,
        lease_owner=row.lease_owner,
        due_at=maybe_moment(row.due_us),
        applied_at=maybe_moment(row.applied_us),
        lease_ends_at=maybe_moment(row.lease_ends_us),
        revert_reason=row.revert_reason,
        attempts=row.attempts,
        reverts=row.reverts,
    )


def walk_values(remedy: Remedy) -> dict[str, Any]:
    """The columns that a walk may change: never the revision, the fence or the lease of the row."""
    return {
        "state": remedy.state,
        "outcome": remedy.outcome,
        "due_us": maybe_us(remedy.due_at),
        "applied_us": maybe_us(remedy.applied_at),
        "lease_ends_us": maybe_us(remedy.lease_ends_at),
        "revert_reason": remedy.revert_reason,
        "attempts": remedy.attempts,
        "reverts": remedy.reverts,
    }


def find_decision(tx: Transaction, remedy_id: str, revision: int) -> Decision | None:
    """The one decision on a revision."""
    table = tables.decisions
    body = tx.conn.scalar(select(table.c.body).where(table.c.remedy_id == remedy_id, table.c.revision == revision))
    return None if body is None else Decision.model_validate_json(body)
