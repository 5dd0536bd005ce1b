"""Votes and decisions: one decision per (remedy, revision), the first valid one wins."""

from datetime import datetime, timedelta

from sqlalchemy import insert, select, update

from store.errors import BadInput
from store.ledger import audit, tables
from store.ledger.database import Transaction
from store.ledger.part import Part
from store.ledger.queues import tell_of_remedy
from store.ledger.rows import find_decision, find_remedy, walk_values
from store.ledger.text import body_of
from store.ledger.values import Cast
from store.ledger.voting import expiry, weigh
from store.model.remedy import Decision, Proposal, Remedy, Vote
from store.model.usage import to_us

ESCALATE_AT_PERCENT = (25, 50)
"""Shares of the waiting time (from the proposal's making to its expiry) at which a pending approval escalates."""


class Decisions(Part):
    """What people, rules and the clock decided."""

    def cast(self, vote: Vote) -> Cast:
        """Count one person's word, and decide where it is enough. Refusals are values, and audited."""
        with self._db.write() as tx:
            answer = weigh(tx, vote)
            if answer.decision is None or answer.status not in ("decided", "expired"):
                return answer
            return answer.model_copy(update={"decision": settle(tx, answer.decision)})

    def decide(self, decision: Decision) -> Decision:
        """Record a decision and move the remedy; the one that stands comes back, which may be an earlier one.

        Raises:
            BadInput: the proposal is not filed, or the decision is bound to another plan.
        """
        with self._db.write() as tx:
            return settle(tx, decision)

    def decision(self, remedy_id: str, revision: int) -> Decision | None:
        """The one decision on a revision."""
        with self._db.read() as tx:
            return find_decision(tx, remedy_id, revision)

    def votes(self, remedy_id: str, revision: int) -> list[Vote]:
        """The counted votes, oldest first."""
        table = tables.votes
        wanted = select(table.c.body).where(table.c.remedy_id == remedy_id, table.c.revision == revision)
        with self._db.read() as tx:
            bodies = tx.conn.scalars(wanted.order_by(table.c.at_us, table.c.person))
            return [Vote.model_validate_json(body) for body in bodies]

    def expire_due(self, now: datetime) -> list[Decision]:
        """End every request for approval that is past its time, and escalate those that have waited long.

        Returns:
            The decisions "approval_expired" that were made, oldest request first. Each escalation step
            (25 and 50 % of the waiting time) is told once.
        """
        with self._db.write() as tx:
            expired = []
            for remedy, proposal, escalations in _waiting(tx):
                if now >= proposal.expires_at:
                    expired.append(settle(tx, expiry(proposal, at=now)))
                else:
                    _escalate(tx, remedy, proposal, escalations, now)
            return [decision for decision in expired if decision.outcome == "approval_expired"]


def settle(tx: Transaction, decision: Decision, *, kind: str = "remedy_changed") -> Decision:
    """Insert the decision unless one stands, then derive the remedy's state from the one that stands."""
    standing = find_decision(tx, decision.remedy_id, decision.revision)
    if standing is None:
        _insert(tx, decision)
        standing = decision
    remedy = find_remedy(tx, decision.remedy_id)
    if remedy is not None and remedy.revision == standing.revision and remedy.state in ("pending", "observed"):
        moved = _derived(remedy, standing, due_at=tx.now)
        table = tables.remedies
        tx.conn.execute(update(table).where(table.c.remedy_id == remedy.remedy_id).values(**walk_values(moved)))
        tell_of_remedy(tx, kind, moved, decided_by=", ".join(standing.decided_by), reason=standing.reason)
    return standing


def repair(tx: Transaction, remedy_id: str) -> None:
    """Move a remedy that still waits although its decision exists: the decision is the truth."""
    remedy = find_remedy(tx, remedy_id)
    if remedy is not None and remedy.state == "pending":
        decision = find_decision(tx, remedy_id, remedy.revision)
        if decision is not None:
            settle(tx, decision)


def _derived(remedy: Remedy, decision: Decision, *, due_at: datetime) -> Remedy:
    approved = decision.outcome == "approved"
    return remedy.model_copy(
        update={
            "state": "approved" if approved else "closed",
            "outcome": decision.outcome,
            "due_at": due_at if approved else None,
        }
    )


def _insert(tx: Transaction, decision: Decision) -> None:
    table = tables.proposals
    same = (table.c.remedy_id == decision.remedy_id, table.c.revision == decision.revision)
    plan = tx.conn.scalar(select(table.c.plan_hash).where(*same))
    name = f"{decision.remedy_id}@{decision.revision}"
    if plan is None:
        raise BadInput(f"decision: {name} is not filed; file the proposal first")
    if plan != decision.plan_hash:
        raise BadInput(f"decision: {name} is bound to plan {decision.plan_hash}, filed was {plan}; look at it again")
    tx.conn.execute(
        insert(tables.decisions).values(
            remedy_id=decision.remedy_id,
            revision=decision.revision,
            outcome=decision.outcome,
            plan_hash=decision.plan_hash,
            body=body_of(decision),
        )
    )
    actor = ", ".join(decision.decided_by)
    payload = decision.model_dump(mode="json")
    audit.append(tx, actor=actor, action="decision", subject=decision.remedy_id, payload=payload)


def _waiting(tx: Transaction) -> list[tuple[Remedy, Proposal, int]]:
    table, filed = tables.remedies, tables.proposals
    same = (filed.c.remedy_id == table.c.remedy_id) & (filed.c.revision == table.c.revision)
    wanted = (
        select(table.c.remedy_id, table.c.escalations, filed.c.body)
        .join(filed, same)
        .where(table.c.state == "pending")
        .order_by(filed.c.expires_us, filed.c.position)
    )
    waiting = []
    for remedy_id, escalations, body in tx.conn.execute(wanted).all():
        remedy = find_remedy(tx, remedy_id)
        assert remedy is not None
        waiting.append((remedy, Proposal.model_validate_json(body), int(escalations)))
    return waiting


def _escalate(tx: Transaction, remedy: Remedy, proposal: Proposal, told: int, now: datetime) -> None:
    waiting_time: timedelta = proposal.expires_at - proposal.made_at
    due = [share for share in ESCALATE_AT_PERCENT if now >= proposal.made_at + waiting_time * share / 100]
    for share in due[told:]:
        payload = {"share_percent": share, "expires_us": to_us(proposal.expires_at)}
        tell_of_remedy(tx, "escalation", remedy, **payload)
        audit.append(tx, actor="clock", action="escalation", subject=remedy.remedy_id, payload=payload)
    if len(due) > told:
        table = tables.remedies
        noted = update(table).where(table.c.remedy_id == remedy.remedy_id)
        tx.conn.execute(noted.values(escalations=len(due)))
