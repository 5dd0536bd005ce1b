"""Proposals as they were filed, the ones that lost, and what the policy said of them."""

from collections.abc import Sequence

from sqlalchemy import exists, insert, select, update

from store.errors import BadInput
from store.ledger import audit, tables
from store.ledger.database import Transaction
from store.ledger.decisions import repair, settle
from store.ledger.part import Part
from store.ledger.queues import tell_of_remedy
from store.ledger.rows import find_remedy, next_position, put, walk_values
from store.ledger.text import body_of
from store.model.remedy import Decision, Proposal, Remedy, Ruling
from store.model.usage import to_us

_REPLACEABLE = frozenset({"observed", "pending", "closed"})
"""States in which a newer revision may take the remedy's place: nothing of the older one is at a gateway."""


class Proposals(Part):
    """From a plan to a row that waits."""

    def file(self, proposal: Proposal, ruling: Ruling, *, alternatives: Sequence[Proposal] = ()) -> Remedy:
        """Put a proposal and its ruling on record, and the remedy where the verdict says.

        observe: "observed"; ask: "pending" until `expires_at`; apply: decided by ("policy:RULE",) and "approved",
        due now. An older pending revision is withdrawn. Idempotent per (remedy_id, revision). The row that stands
        comes back unchanged where that revision or a newer one is filed already, or an older one is under way
        (a change at a gateway is walked to its end before it is planned anew).

        Raises:
            BadInput: the ruling is of another proposal, or not of phase "proposal".
        """
        of_proposal = (proposal.remedy_id, proposal.revision, "proposal")
        if (ruling.remedy_id, ruling.revision, ruling.phase) != of_proposal:
            raise BadInput(
                f"file: the ruling is not of {proposal.remedy_id}@{proposal.revision}; rule the proposal first"
            )
        with self._db.write() as tx:
            repair(tx, proposal.remedy_id)
            standing = find_remedy(tx, proposal.remedy_id)
            if standing is not None and not _may_replace(standing, proposal):
                return standing
            if standing is not None and standing.state == "pending":
                settle(tx, _withdrawal(tx, standing, proposal.made_by))
            _insert_proposal(tx, proposal)
            _insert_alternatives(tx, alternatives)
            _insert_ruling(tx, ruling)
            return _place_remedy(tx, proposal, ruling, is_new=standing is None)

    def proposal(self, remedy_id: str, revision: int | None = None) -> Proposal | None:
        """The proposal of that revision; None asks for the newest."""
        table = tables.proposals
        wanted = select(table.c.body).where(table.c.remedy_id == remedy_id).order_by(table.c.revision.desc())
        if revision is not None:
            wanted = wanted.where(table.c.revision == revision)
        with self._db.read() as tx:
            body = tx.conn.scalars(wanted.limit(1)).first()
            return None if body is None else Proposal.model_validate_json(body)

    def proposals(self, incident_id: str) -> list[Proposal]:
        """Those that were filed, oldest first."""
        table = tables.proposals
        wanted = select(table.c.body).where(table.c.incident_id == incident_id).order_by(table.c.position)
        with self._db.read() as tx:
            return [Proposal.model_validate_json(body) for body in tx.conn.scalars(wanted)]

    def alternatives(self, incident_id: str) -> list[Proposal]:
        """The losing ones, oldest first; one that was filed itself later is no alternative any more."""
        table, filed = tables.alternatives, tables.proposals
        same = (filed.c.remedy_id == table.c.remedy_id, filed.c.revision == table.c.revision)
        wanted = select(table.c.body).where(table.c.incident_id == incident_id, ~exists().where(*same))
        with self._db.read() as tx:
            bodies = tx.conn.scalars(wanted.order_by(table.c.position))
            return [Proposal.model_validate_json(body) for body in bodies]

    def record_ruling(self, ruling: Ruling) -> None:
        """Keep a later ruling, e.g. of phase "apply".

        Raises:
            BadInput: the proposal is not filed.
        """
        with self._db.write() as tx:
            table = tables.proposals
            same = (table.c.remedy_id == ruling.remedy_id, table.c.revision == ruling.revision)
            if tx.conn.scalar(select(table.c.revision).where(*same)) is None:
                raise BadInput(f"ruling: {ruling.remedy_id}@{ruling.revision} is not filed; file the proposal first")
            _insert_ruling(tx, ruling)

    def rulings(self, remedy_id: str) -> list[Ruling]:
        """All rulings on all revisions, oldest first."""
        table = tables.rulings
        wanted = select(table.c.body).where(table.c.remedy_id == remedy_id).order_by(table.c.id)
        with self._db.read() as tx:
            return [Ruling.model_validate_json(body) for body in tx.conn.scalars(wanted)]


def _may_replace(standing: Remedy, proposal: Proposal) -> bool:
    return standing.revision < proposal.revision and standing.state in _REPLACEABLE


def _withdrawal(tx: Transaction, standing: Remedy, by: str) -> Decision:
    table = tables.proposals
    same = (table.c.remedy_id == standing.remedy_id, table.c.revision == standing.revision)
    return Decision(
        remedy_id=standing.remedy_id,
        revision=standing.revision,
        outcome="withdrawn",
        decided_by=(by,),
        decided_at=tx.now,
        plan_hash=tx.conn.scalars(select(table.c.plan_hash).where(*same)).one(),
        reason="a newer revision took its place",
    )


def _insert_proposal(tx: Transaction, proposal: Proposal) -> None:
    tx.conn.execute(
        insert(tables.proposals).values(
            remedy_id=proposal.remedy_id,
            revision=proposal.revision,
            position=next_position(tx, tables.proposals),
            incident_id=proposal.incident_id,
            plan_hash=proposal.plan_hash,
            made_us=to_us(proposal.made_at),
            expires_us=to_us(proposal.expires_at),
            body=body_of(proposal),
        )
    )
    payload = {"revision": proposal.revision, "plan_hash": proposal.plan_hash, **proposal.model_dump(
        mode="json", include={"incident_id", "incident_revision", "playbook", "gateway", "actions", "expires_at"}
    )}  # fmt: skip
    audit.append(tx, actor=proposal.made_by, action="proposal", subject=proposal.remedy_id, payload=payload)


def _insert_alternatives(tx: Transaction, alternatives: Sequence[Proposal]) -> None:
    for lost in alternatives:
        key = {"remedy_id": lost.remedy_id, "revision": lost.revision}
        position = next_position(tx, tables.alternatives)
        values = {"position": position, "incident_id": lost.incident_id, "body": body_of(lost)}
        put(tx, tables.alternatives, key, values)


def _insert_ruling(tx: Transaction, ruling: Ruling) -> None:
    tx.conn.execute(
        insert(tables.rulings).values(
            remedy_id=ruling.remedy_id, revision=ruling.revision, phase=ruling.phase, body=body_of(ruling)
        )
    )
    actor = f"policy:{ruling.rule}"
    audit.append(tx, actor=actor, action="ruling", subject=ruling.remedy_id, payload=ruling.model_dump(mode="json"))


def _place_remedy(tx: Transaction, proposal: Proposal, ruling: Ruling, *, is_new: bool) -> Remedy:
    asked = ruling.verdict != "observe"
    remedy = Remedy(
        remedy_id=proposal.remedy_id,
        revision=proposal.revision,
        incident_id=proposal.incident_id,
        state="pending" if asked else "observed",
        due_at=proposal.expires_at if asked else None,
    )
    _upsert_remedy(tx, remedy, is_new=is_new)
    if ruling.verdict == "observe":
        tell_of_remedy(tx, "observed", remedy)
    if ruling.verdict == "ask":
        tell_of_remedy(tx, "approval_requested", remedy)
    if ruling.verdict == "apply":
        decision = Decision(
            remedy_id=proposal.remedy_id,
            revision=proposal.revision,
            outcome="approved",
            decided_by=(f"policy:{ruling.rule}",),
            decided_at=tx.now,
            plan_hash=proposal.plan_hash,
        )
        settle(tx, decision, kind="applied_by_rule")
    placed = find_remedy(tx, proposal.remedy_id)
    assert placed is not None
    return placed


def _upsert_remedy(tx: Transaction, remedy: Remedy, *, is_new: bool) -> None:
    """The fence is never set back: a claim on an older revision must stay lost."""
    table = tables.remedies
    values = {
        **walk_values(remedy),
        "revision": remedy.revision,
        "incident_id": remedy.incident_id,
        "lease_owner": None,
        "lease_until_us": None,
        "escalations": 0,
    }
    if is_new:
        tx.conn.execute(insert(table).values(remedy_id=remedy.remedy_id, fence=0, **values))
    else:
        again = update(table).where(table.c.remedy_id == remedy.remedy_id)
        tx.conn.execute(again.values(fence=table.c.fence + 1, **values))
