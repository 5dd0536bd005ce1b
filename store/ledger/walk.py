"""The remedy's walk: claims with a fence, intents before a call, outcomes after it."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, and_, insert, or_, select, update

from store.ledger import audit, tables
from store.ledger.database import Transaction
from store.ledger.decisions import repair
from store.ledger.part import Part
from store.ledger.queues import tell_of_remedy
from store.ledger.rows import find_decision, find_remedy, next_position, put, remedy_of, walk_values
from store.ledger.text import body_of, maybe_us
from store.model.remedy import Application, Claim, Proposal, Remedy, RemedyState, Verification
from store.model.usage import Scope, from_us, to_us

_RESTING = ("observed", "pending", "closed")
"""States in which there is nothing to walk."""


class Walk(Part):
    """What the reconciler needs; a stale holder's writes are refused by fence number."""

    def remedy(self, remedy_id: str) -> Remedy | None:
        """Where it stands."""
        with self._db.read() as tx:
            return find_remedy(tx, remedy_id)

    def remedies(
        self, *, states: Collection[RemedyState] | None = None, incident_id: str | None = None
    ) -> list[Remedy]:
        """Remedies in the order of their first filing."""
        table, filed = tables.remedies, tables.proposals
        same = and_(filed.c.remedy_id == table.c.remedy_id, filed.c.revision == table.c.revision)
        wanted = select(table).join(filed, same).order_by(filed.c.position)
        if states is not None:
            wanted = wanted.where(table.c.state.in_(sorted(states)))
        if incident_id is not None:
            wanted = wanted.where(table.c.incident_id == incident_id)
        with self._db.read() as tx:
            return [remedy_of(row) for row in tx.conn.execute(wanted)]

    def due(self, now: datetime) -> list[str]:
        """Ids of remedies to walk now, the longest due first: due, at work, and under no live lease."""
        table = tables.remedies
        with self._db.read() as tx:
            wanted = (
                select(table.c.remedy_id)
                .where(table.c.due_us <= to_us(now), table.c.state.not_in(_RESTING))
                .where(or_(table.c.lease_until_us.is_(None), table.c.lease_until_us <= tx.lease_now_us()))
                .order_by(table.c.due_us, table.c.remedy_id)
            )
            return list(tx.conn.scalars(wanted))

    def claim(self, remedy_id: str, *, owner: str, lease_seconds: int) -> tuple[Claim, Remedy] | None:
        """Take the right to move a remedy: the fence rises by one and a lease begins, in database time.

        A remedy that still waits although its decision exists is first moved to where the decision puts it.
        None: somebody else holds it, or there is nothing to walk (unknown, waiting, observed, closed).
        """
        table = tables.remedies
        with self._db.write() as tx:
            repair(tx, remedy_id)
            now_us = tx.lease_now_us()
            free = (
                update(table)
                .where(table.c.remedy_id == remedy_id, table.c.state.not_in(_RESTING))
                .where(or_(table.c.lease_until_us.is_(None), table.c.lease_until_us <= now_us))
            )
            lease = {"lease_owner": owner, "lease_until_us": now_us + lease_seconds * 1_000_000}
            if tx.conn.execute(free.values(fence=table.c.fence + 1, **lease)).rowcount == 0:
                return None
            remedy = find_remedy(tx, remedy_id)
            assert remedy is not None
            return Claim(remedy_id=remedy_id, owner=owner, fence=remedy.fence), remedy

    def holds(self, claim: Claim) -> bool:
        """Whether the claim is still ours and its lease has not run out; ask just before the call."""
        with self._db.read() as tx:
            return _is_live(tx, claim)

    def intend(self, claim: Claim, application: Application, remedy: Remedy) -> bool:
        """Commit an INTENT before the call: the application's row and the remedy's new state.

        False: the claim is lost, and nothing is written; or the intent has no right to be (no approved decision on
        the revision that stands, with this plan hash; a revert where nothing was applied): only the audit hears of it.
        """
        with self._db.write() as tx:
            if not _is_live(tx, claim):
                return False
            wrong = _wrong_with(tx, claim, application)
            if wrong is not None:
                payload = {"refused": wrong, **application.model_dump(mode="json")}
                audit.append(tx, actor=claim.owner, action="intent_refused", subject=claim.remedy_id, payload=payload)
                return False
            _save_application(tx, application)
            _audit_application(tx, claim, application, "intent")
            tx.conn.execute(update(tables.remedies).where(_is_ours(claim)).values(**walk_values(remedy)))
            return True

    def conclude(
        self,
        claim: Claim,
        remedy: Remedy,
        *,
        application: Application | None = None,
        verification: Verification | None = None,
        note: str = "",
    ) -> bool:
        """Commit an OUTCOME after the call, and let go of the lease.

        False: the fence is no longer ours, and nothing is written. A lease that ran out while nobody else took the
        remedy does not lose the outcome of a call that was made.
        """
        with self._db.write() as tx:
            if not tx.conn.scalar(select(tables.remedies.c.fence).where(_is_ours(claim))):
                return False
            if application is not None:
                _save_application(tx, application)
                _audit_application(tx, claim, application, "outcome")
            if verification is not None:
                _save_verification(tx, claim, verification)
            _move(tx, claim, remedy, note=note)
            table = tables.remedies
            tx.conn.execute(update(table).where(_is_ours(claim)).values(lease_owner=None, lease_until_us=None))
            return True

    def applications(self, remedy_id: str) -> list[Application]:
        """Every attempt to change a gateway for it, oldest first."""
        table = tables.applications
        wanted = select(table.c.body).where(table.c.remedy_id == remedy_id).order_by(table.c.position)
        with self._db.read() as tx:
            return [Application.model_validate_json(body) for body in tx.conn.scalars(wanted)]

    def verifications(self, remedy_id: str) -> list[Verification]:
        """Every verification of it, oldest first."""
        table = tables.verifications
        wanted = select(table.c.body).where(table.c.remedy_id == remedy_id).order_by(table.c.id)
        with self._db.read() as tx:
            return [Verification.model_validate_json(body) for body in tx.conn.scalars(wanted)]

    def effects_since(self, moment: datetime) -> list[tuple[datetime, str, Scope]]:
        """(intended_at, remedy_id, scope) of every intent to apply since then, oldest first; for the policy's caps."""
        table, filed = tables.applications, tables.proposals
        same = and_(filed.c.remedy_id == table.c.remedy_id, filed.c.revision == table.c.revision)
        wanted = (
            select(table.c.intended_us, table.c.remedy_id, filed.c.body)
            .join(filed, same)
            .where(table.c.verb == "apply", table.c.intended_us >= to_us(moment))
            .order_by(table.c.position)
        )
        with self._db.read() as tx:
            rows = tx.conn.execute(wanted).all()
            return [(from_us(at), rid, Proposal.model_validate_json(body).scope) for at, rid, body in rows]


def _is_ours(claim: Claim) -> ColumnElement[bool]:
    table = tables.remedies
    return and_(table.c.remedy_id == claim.remedy_id, table.c.fence == claim.fence, table.c.lease_owner == claim.owner)


def _is_live(tx: Transaction, claim: Claim) -> bool:
    until_us = tx.conn.scalar(select(tables.remedies.c.lease_until_us).where(_is_ours(claim)))
    return until_us is not None and until_us > tx.lease_now_us()


def _wrong_with(tx: Transaction, claim: Claim, application: Application) -> str | None:
    standing = find_remedy(tx, claim.remedy_id)
    if standing is None or (application.remedy_id, application.revision) != (standing.remedy_id, standing.revision):
        return "it is not of the revision that stands"
    decision = find_decision(tx, application.remedy_id, application.revision)
    if decision is None or decision.outcome != "approved":
        return "no approved decision on this revision"
    if decision.plan_hash != application.plan_hash:
        return f"the decision is bound to plan {decision.plan_hash}"
    table = tables.applications
    applied = select(table.c.id).where(
        table.c.remedy_id == application.remedy_id, table.c.revision == application.revision, table.c.verb == "apply"
    )
    if application.verb == "revert" and tx.conn.scalars(applied.limit(1)).first() is None:
        return "nothing was applied, so there is nothing to revert"
    return None


def _save_application(tx: Transaction, application: Application) -> None:
    table = tables.applications
    known = tx.conn.scalar(select(table.c.position).where(table.c.id == application.id))
    values = {
        "position": known or next_position(tx, table),
        "remedy_id": application.remedy_id,
        "revision": application.revision,
        "verb": application.verb,
        "intended_us": to_us(application.intended_at),
        "body": body_of(application),
    }
    put(tx, table, {"id": application.id}, values)


def _audit_application(tx: Transaction, claim: Claim, application: Application, what: str) -> None:
    payload = application.model_dump(mode="json")
    action = f"{application.verb}_{what}"
    audit.append(tx, actor=claim.owner, action=action, subject=application.remedy_id, payload=payload)


def _save_verification(tx: Transaction, claim: Claim, verification: Verification) -> None:
    tx.conn.execute(
        insert(tables.verifications).values(
            remedy_id=verification.remedy_id, revision=verification.revision, body=body_of(verification)
        )
    )
    payload = verification.model_dump(mode="json")
    audit.append(tx, actor=claim.owner, action="verification", subject=verification.remedy_id, payload=payload)


def _move(tx: Transaction, claim: Claim, remedy: Remedy, *, note: str) -> None:
    """Write where the remedy stands now; people and the audit hear of a changed state or outcome."""
    before = find_remedy(tx, claim.remedy_id)
    assert before is not None
    after = remedy.model_copy(update={"remedy_id": claim.remedy_id, "revision": before.revision})
    tx.conn.execute(update(tables.remedies).where(_is_ours(claim)).values(**walk_values(after)))
    if (before.state, before.outcome) != (after.state, after.outcome):
        tell_of_remedy(tx, "remedy_changed", after, was_state=before.state, note=note)
        payload = {
            "from": before.state,
            "to": after.state,
            "outcome": after.outcome,
            "due_us": maybe_us(after.due_at),
            "note": note,
        }
        audit.append(tx, actor=claim.owner, action="remedy_changed", subject=claim.remedy_id, payload=payload)
