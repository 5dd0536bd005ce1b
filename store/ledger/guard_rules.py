"""The guard's rule book: what Bursar asks of the proxies, and what they say they do.

It lives in the ledger's database, so replicas share it and a restart keeps it. One row per slot (action kind, target,
from_model); a row's version is the book's sequence at its last change, so no version ever comes back. Nothing sweeps:
a row that has expired reads as what it had replaced.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, between, delete, insert, or_, select

from store.ledger import tables
from store.ledger.database import Transaction
from store.ledger.guard_values import Changed, Held, Issue, ProxyReport, SeenProxy, Slot
from store.ledger.part import Part
from store.ledger.rows import put
from store.ledger.text import body_of, maybe_us, text_of, value_of
from store.model.remedy import ActionKind, Settings
from store.model.usage import Scope, from_us, to_us

_FORGET = timedelta(days=30)
"""Answered keys and empty slots are forgotten after this; no plan is as old."""
_FORGET_PROXIES = timedelta(days=1)


class GuardRules(Part):
    """The book's methods; expected outcomes are values."""

    def guard_slot(self, slot: Slot) -> tuple[Held, str | None]:
        """What a slot holds now, and its version; None where it was never set."""
        with self._db.read() as tx:
            return _held(_row(tx, slot), tx.now)

    def guard_set(self, slot: Slot, held: Held, *, key: str, expected_version: str | None) -> Changed:
        """Let a slot hold this. A key that was answered, and the same again, change nothing.

        conflict: the slot's version is not `expected_version`.
        """
        with self._db.write() as tx:
            row = _row(tx, slot)
            now_held, version = _held(row, tx.now)
            if _was_answered(tx, key):
                return Changed(status="done", version=version, detail="answered before")
            if version != expected_version:
                return Changed(status="conflict", version=version, detail=f"its version is {version} now")
            ours = row is not None and (now_held.value, now_held.marker) == (held.value, held.marker)
            if ours and now_held.expires_at == held.expires_at:
                return Changed(status="done", version=version, detail="already so")
            beneath = Held.model_validate_json(row.beneath) if row is not None and ours else now_held
            return _change(tx, slot, held, beneath=beneath, key=key)

    def guard_restore(
        self, slot: Slot, *, value: Settings, marker: str, key: str, expected_version: str | None
    ) -> Changed:
        """Bring back what our value replaced, with its own marker and end, unless that is over.

        conflict: the version moved, or value and marker are not ours any more.
        """
        with self._db.write() as tx:
            row = _row(tx, slot)
            now_held, version = _held(row, tx.now)
            if _was_answered(tx, key):
                return Changed(status="done", version=version, detail="answered before")
            if row is None or version != expected_version or (now_held.value, now_held.marker) != (value, marker):
                return Changed(status="conflict", version=version, detail="not ours any more")
            back = _unless_over(Held.model_validate_json(row.beneath), tx.now)
            return _change(tx, slot, back, beneath=Held(), key=key)

    def guard_issue(self, *, reissue_after: timedelta) -> Issue:
        """The rules to serve: issued anew where something changed or expired, or after `reissue_after`."""
        with self._db.read() as tx:
            if not _due(tx, reissue_after):
                return _issue(tx)
        with self._db.write() as tx:
            if _due(tx, reissue_after):
                _advance(tx, by=1 if _expired_since_issue(tx) else 0)
            return _issue(tx)

    def guard_report(self, report: ProxyReport) -> None:
        """Keep a proxy's newest report.

        A proxy that holds a later sequence than ours shows that this database is an old copy: the book jumps ahead,
        or the proxy would refuse every set until its own expires.
        """
        with self._db.write() as tx:
            put(
                tx, tables.guard_proxies, {"proxy_id": report.proxy_id}, {"body": body_of(report), "seen_us": tx.now_us}
            )
            old = tables.guard_proxies.c.seen_us < to_us(tx.now - _FORGET_PROXIES)
            tx.conn.execute(delete(tables.guard_proxies).where(old))
            if report.sequence is not None and report.sequence > _sequence(tx):
                _advance(tx, by=report.sequence - _sequence(tx) + 1)

    def guard_proxies(self, *, since: datetime) -> list[SeenProxy]:
        """The newest reports that came since then, by proxy id."""
        table = tables.guard_proxies
        with self._db.read() as tx:
            rows = tx.conn.execute(select(table).where(table.c.seen_us >= to_us(since)).order_by(table.c.proxy_id))
            return [
                SeenProxy(report=ProxyReport.model_validate_json(row.body), seen_at=from_us(row.seen_us))
                for row in rows
            ]


# --- rows ------------------------------------------------------------------------------------------------------


def _row(tx: Transaction, slot: Slot) -> Row[Any] | None:
    return tx.conn.execute(select(tables.guard_rules).where(tables.guard_rules.c.slot == slot.key)).one_or_none()


def _held(row: Row[Any] | None, now: datetime) -> tuple[Held, str | None]:
    if row is None:
        return Held(), None
    held = Held.model_validate_json(row.held)
    if not _over(held, now):
        return held, str(row.version)
    # Another version than before an end: who looked before it must not change what came back after it.
    beneath = Held.model_validate_json(row.beneath)
    return (Held(), f"{row.version}++") if _over(beneath, now) else (beneath, f"{row.version}+")


def _over(held: Held, now: datetime) -> bool:
    return held.expires_at is not None and now >= held.expires_at


def _unless_over(held: Held, now: datetime) -> Held:
    return Held() if _over(held, now) else held


def _was_answered(tx: Transaction, key: str) -> bool:
    table = tables.guard_answers
    return tx.conn.scalar(select(table.c.key).where(table.c.key == key)) is not None


def _change(tx: Transaction, slot: Slot, held: Held, *, beneath: Held, key: str) -> Changed:
    version = _advance(tx, by=1)
    _forget(tx)
    tx.conn.execute(insert(tables.guard_answers).values(key=key, at_us=tx.now_us))
    values = {
        "kind": slot.kind,
        "target": text_of(slot.target.as_dict()),
        "from_model": slot.from_model,
        "version": version,
        "changed_us": tx.now_us,
        "expires_us": maybe_us(held.expires_at),
        "beneath_us": maybe_us(beneath.expires_at),
        "held": body_of(held),
        "beneath": body_of(beneath),
    }
    put(tx, tables.guard_rules, {"slot": slot.key}, values)
    return Changed(status="done", version=str(version))


def _forget(tx: Transaction) -> None:
    rules, answers, before = tables.guard_rules.c, tables.guard_answers.c, to_us(tx.now - _FORGET)
    nothing = body_of(Held())
    nothing_beneath = or_(rules.beneath == nothing, rules.beneath_us <= tx.now_us)
    is_empty = or_(rules.held == nothing, and_(rules.expires_us <= tx.now_us, nothing_beneath))
    tx.conn.execute(delete(tables.guard_rules).where(rules.changed_us < before, is_empty))
    tx.conn.execute(delete(tables.guard_answers).where(answers.at_us < before))


def prolong(tx: Transaction, marker: str, until: datetime | None) -> None:
    """Let every rule that a remedy has in force end then, or never; what it had replaced stays beneath."""
    for row in tx.conn.execute(select(tables.guard_rules).order_by(tables.guard_rules.c.slot)).all():
        held = Held.model_validate_json(row.held)
        if held.marker != marker or _over(held, tx.now):
            continue
        longer = held.model_copy(update={"expires_at": until})
        values = {"version": _advance(tx, by=1), "changed_us": tx.now_us, "expires_us": maybe_us(until)}
        put(tx, tables.guard_rules, {"slot": row.slot}, {**values, "held": body_of(longer)})


# --- issues ----------------------------------------------------------------------------------------------------


def _sequence(tx: Transaction) -> int:
    return int(tx.conn.scalar(select(tables.guard_book.c.sequence)) or 0)


def _advance(tx: Transaction, *, by: int) -> int:
    """A new issue as of now; the sequence rises with every change of the rules."""
    sequence = _sequence(tx) + by
    put(tx, tables.guard_book, {"id": 1}, {"sequence": sequence, "issued_us": tx.now_us})
    return sequence


def _due(tx: Transaction, reissue_after: timedelta) -> bool:
    issued_us = tx.conn.scalar(select(tables.guard_book.c.issued_us))
    return issued_us is None or tx.now - from_us(issued_us) >= reissue_after or _expired_since_issue(tx)


def _expired_since_issue(tx: Transaction) -> bool:
    rules, issued_us = tables.guard_rules, tx.conn.scalar(select(tables.guard_book.c.issued_us))
    if issued_us is None:
        return False
    ends = [between(end, issued_us + 1, tx.now_us) for end in (rules.c.expires_us, rules.c.beneath_us)]
    return tx.conn.scalar(select(rules.c.slot).where(or_(*ends)).limit(1)) is not None


def _issue(tx: Transaction) -> Issue:
    book = tx.conn.execute(select(tables.guard_book)).one()
    issued_at = from_us(book.issued_us)
    rules: list[tuple[ActionKind, Scope, Held]] = []
    for row in tx.conn.execute(select(tables.guard_rules).order_by(tables.guard_rules.c.slot)):
        held, _ = _held(row, issued_at)
        if held.value:
            rules.append((row.kind, Scope.of(value_of(row.target)), held))
    return Issue(sequence=book.sequence, issued_at=issued_at, rules=tuple(rules))
