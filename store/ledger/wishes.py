"""What a person may ask of a change that is at work: undo it, keep it longer, keep it for good, or call it settled.

A wish takes the claim away from whoever walks the remedy (the fence rises), so that an outcome computed before the
wish cannot overwrite it; the remedy is due at once. Who may wish is the caller's check.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from store.ledger import audit, tables
from store.ledger.database import Transaction
from store.ledger.guard_rules import prolong
from store.ledger.part import Part
from store.ledger.queues import tell_of_remedy
from store.ledger.rows import find_decision, find_remedy, put
from store.ledger.text import maybe_us
from store.ledger.values import Cast
from store.ledger.voting import asked_of
from store.model.remedy import Outcome, Remedy
from store.model.usage import iso

_REVERTIBLE = frozenset({"verifying", "kept", "unknown"})
_EXTENDABLE = frozenset({"verifying", "kept"})


class Wishes(Part):
    """Undo, extend, hand over."""

    def request_revert(self, remedy_id: str, *, by: str, reason: str) -> Cast:
        """Undo by a person, in the states verifying, kept and unknown; the reconciler reverts at once."""
        with self._db.write() as tx:
            remedy = find_remedy(tx, remedy_id)
            if remedy is None:
                return _unknown(remedy_id)
            if remedy.state not in _REVERTIBLE:
                return _refused(tx, remedy, f"It cannot be undone now: it is {remedy.state}.", by)
            _grant(tx, remedy, revert_reason=reason or f"undone by {by}", due_us=tx.now_us)
            payload = {"revision": remedy.revision, "reason": reason}
            audit.append(tx, actor=by, action="revert_requested", subject=remedy_id, payload=payload)
            return _done(tx, remedy, f"It will be undone now, as {by} asked.")

    def extend(self, remedy_id: str, *, by: str, until: datetime | None, reason: str = "") -> Cast:
        """Keep a change longer, or for good (`until` None), in the states verifying and kept.

        It takes as many people as its approval was put to, all for the same end; until the last of them it is only
        counted, and a word is for the end that stood when it was given. Then due at once, so that whoever walks it
        sees the new end; its rules in the guard's book get the same end. A change made permanent has no end any more;
        it can still be undone by a person.
        """
        with self._db.write() as tx:
            remedy = find_remedy(tx, remedy_id)
            if remedy is None:
                return _unknown(remedy_id)
            if remedy.state not in _EXTENDABLE or remedy.revert_reason is not None:
                going = "being undone" if remedy.revert_reason is not None else remedy.state
                return _refused(tx, remedy, f"It cannot be extended now: it is {going}.", by)
            if until is not None and until <= max(remedy.lease_ends_at or tx.now, tx.now):
                return _refused(tx, remedy, f"{iso(until)} is not later than it lasts anyway.", by)
            people = _agreeing(tx, remedy, by, until, reason)
            quorum = asked_of(tx, remedy_id, remedy.revision).quorum
            if len(people) < quorum:
                end = "--for-good" if until is None else f"--until {iso(until)}"
                says = f"Counted: {len(people)} of {quorum}. The others agree by `bursar extend {remedy_id} {end}`."
                return _counted(tx, remedy, says)
            after = remedy.model_copy(update={"outcome": "made_permanent" if until is None else "extended"})
            _grant(tx, remedy, outcome=after.outcome, due_us=tx.now_us, lease_ends_us=maybe_us(until))
            prolong(tx, remedy_id, until)
            who = ", ".join(people) + (f" ({reason})" if reason else "")
            says = f"Made permanent by {who}." if until is None else f"Extended by {who} until {iso(until)}."
            payload = {"revision": remedy.revision, "until": None if until is None else iso(until), "reason": reason}
            audit.append(tx, actor=", ".join(people), action=str(after.outcome), subject=remedy_id, payload=payload)
            tell_of_remedy(tx, "remedy_changed", after, was_state=remedy.state, note=says)
            return _done(tx, remedy, says)

    def settle_by_hand(self, remedy_id: str, *, by: str, outcome: Outcome, saw: str, reason: str) -> Cast:
        """Close a remedy that is paging: a person has settled it at the gateway, and `saw` is what stands there now."""
        with self._db.write() as tx:
            remedy = find_remedy(tx, remedy_id)
            if remedy is None:
                return _unknown(remedy_id)
            if remedy.state != "paging":
                return _refused(tx, remedy, f"Nobody was called for it: it is {remedy.state}.", by)
            after = remedy.model_copy(update={"state": "closed", "outcome": outcome})
            _grant(tx, remedy, state="closed", outcome=outcome, due_us=None)
            says = f"Settled by {by}: {saw}"
            payload = {"revision": remedy.revision, "was": remedy.outcome, "saw": saw, "reason": reason}
            audit.append(tx, actor=by, action="settled_by_hand", subject=remedy_id, payload=payload)
            tell_of_remedy(tx, "remedy_changed", after, was_state=remedy.state, note=says)
            return _done(tx, remedy, says)


def _grant(tx: Transaction, remedy: Remedy, **values: Any) -> None:
    table = tables.remedies
    wish = update(table).where(table.c.remedy_id == remedy.remedy_id)
    tx.conn.execute(wish.values(fence=table.c.fence + 1, lease_owner=None, lease_until_us=None, **values))


def _agreeing(tx: Transaction, remedy: Remedy, by: str, until: datetime | None, reason: str) -> list[str]:
    """Everybody who wants the end that stands moved to that same one, the one who says so now among them."""
    table = tables.extensions
    key = {
        "remedy_id": remedy.remedy_id,
        "revision": remedy.revision,
        "ends_us": maybe_us(remedy.lease_ends_at) or 0,
        "until_us": maybe_us(until) or 0,
    }
    same = [table.c[name] == value for name, value in key.items()]
    if tx.conn.scalar(select(table.c.at_us).where(*same, table.c.person == by)) is None:
        put(tx, table, {**key, "person": by}, {"at_us": tx.now_us})
        payload = {"revision": remedy.revision, "until": None if until is None else iso(until), "reason": reason}
        audit.append(tx, actor=by, action="extension_vote", subject=remedy.remedy_id, payload=payload)
    return list(tx.conn.scalars(select(table.c.person).where(*same).order_by(table.c.at_us, table.c.person)))


def _counted(tx: Transaction, remedy: Remedy, says: str) -> Cast:
    return Cast(status="counted", decision=find_decision(tx, remedy.remedy_id, remedy.revision), says=says)


def _done(tx: Transaction, remedy: Remedy, says: str) -> Cast:
    return Cast(status="decided", decision=find_decision(tx, remedy.remedy_id, remedy.revision), says=says)


def _unknown(remedy_id: str) -> Cast:
    return Cast(status="unknown", says=f"There is no remedy {remedy_id}.")


def _refused(tx: Transaction, remedy: Remedy, says: str, by: str) -> Cast:
    payload = {"revision": remedy.revision, "refused": says}
    audit.append(tx, actor=by, action="wish_refused", subject=remedy.remedy_id, payload=payload)
    decision = find_decision(tx, remedy.remedy_id, remedy.revision)
    return Cast(status="not_allowed", decision=decision, says=says)
