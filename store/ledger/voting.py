"""Whether a vote counts, and what it leads to; checked in one fixed order inside one transaction."""

from datetime import datetime

from sqlalchemy import func, insert, select

from store.ledger import audit, tables
from store.ledger.database import Transaction
from store.ledger.rows import find_decision, find_remedy
from store.ledger.text import body_of
from store.ledger.values import Cast
from store.model.remedy import Decision, Proposal, Ruling, Vote
from store.model.usage import iso, to_us


def weigh(tx: Transaction, vote: Vote) -> Cast:
    """What becomes of a vote. It is written where it counts; a decision in the answer is still to be settled."""
    newest = _newest_proposal(tx, vote.remedy_id)
    if newest is None:
        return Cast(status="unknown", says=f"There is no remedy {vote.remedy_id}.")
    if vote.revision != newest.revision:
        return Cast(
            status="stale_revision",
            decision=find_decision(tx, vote.remedy_id, vote.revision),
            says=f"Revision {vote.revision} is no longer current: please look at revision {newest.revision}.",
        )
    standing = find_decision(tx, vote.remedy_id, vote.revision)
    if standing is not None:
        return Cast(status="already_decided", decision=standing, says=f"Already {told(standing)}.")
    refusal = _nobody_is_asked(tx, vote)
    if refusal is None and max(vote.at, tx.now) >= newest.expires_at:
        return _expired(tx, newest)
    ruling = asked_of(tx, newest.remedy_id, newest.revision)
    refusal = refusal or _not_allowed(vote, newest, ruling)
    if refusal is not None:
        payload = {"refused": refusal, **vote.model_dump(mode="json")}
        audit.append(tx, actor=vote.person, action="vote_refused", subject=vote.remedy_id, payload=payload)
        return Cast(status="not_allowed", says=refusal)
    return _count(tx, vote, newest, ruling)


def expiry(proposal: Proposal, *, at: datetime) -> Decision:
    """The clock's decision on a request that nobody answered in time."""
    return Decision(
        remedy_id=proposal.remedy_id,
        revision=proposal.revision,
        outcome="approval_expired",
        decided_by=("clock",),
        decided_at=at,
        plan_hash=proposal.plan_hash,
        reason="nobody decided in time",
    )


def told(decision: Decision) -> str:
    """A decision in words: "rejected by ann at 2026-11-23T09:00:00Z"."""
    outcome = "expired" if decision.outcome == "approval_expired" else decision.outcome
    return f"{outcome} by {', '.join(decision.decided_by)} at {iso(decision.decided_at)}"


def _nobody_is_asked(tx: Transaction, vote: Vote) -> str | None:
    remedy = find_remedy(tx, vote.remedy_id)
    if remedy is not None and remedy.state == "pending":
        return None
    return "This remedy is only recorded: the policy asks nobody about it."


def _expired(tx: Transaction, proposal: Proposal) -> Cast:
    says = f"Too late: the request for approval ended at {iso(proposal.expires_at)}. Nothing will be changed."
    return Cast(status="expired", decision=expiry(proposal, at=tx.now), says=says)


def _not_allowed(vote: Vote, proposal: Proposal, ruling: Ruling) -> str | None:
    if vote.person == proposal.made_by:
        return "Nobody decides on a proposal that they made or edited themselves."
    if vote.person not in ruling.approvers:
        named = ", ".join(ruling.approvers) or "nobody (the list of approvers is empty)"
        return f"You may not decide on this one; those who may: {named}."
    return None


def _count(tx: Transaction, vote: Vote, proposal: Proposal, ruling: Ruling) -> Cast:
    table = tables.votes
    same = (table.c.remedy_id == vote.remedy_id, table.c.revision == vote.revision)
    earlier = tx.conn.scalar(select(table.c.choice).where(*same, table.c.person == vote.person))
    if earlier is not None:
        return Cast(status="counted", says=f"Your vote ({earlier}) was counted before; the first one stands.")
    tx.conn.execute(
        insert(table).values(
            remedy_id=vote.remedy_id,
            revision=vote.revision,
            person=vote.person,
            choice=vote.choice,
            at_us=to_us(vote.at),
            body=body_of(vote),
        )
    )
    audit.append(tx, actor=vote.person, action="vote", subject=vote.remedy_id, payload=vote.model_dump(mode="json"))
    if vote.choice == "reject":
        return _decided(tx, vote, proposal, (vote.person,))
    approving = tuple(
        tx.conn.scalars(
            select(table.c.person).where(*same, table.c.choice == "approve").order_by(table.c.at_us, table.c.person)
        )
    )
    if len(approving) >= max(1, ruling.quorum):
        return _decided(tx, vote, proposal, approving)
    return Cast(status="counted", says=f"Counted: {len(approving)} of {ruling.quorum} approvals.")


def _decided(tx: Transaction, vote: Vote, proposal: Proposal, people: tuple[str, ...]) -> Cast:
    decision = Decision(
        remedy_id=vote.remedy_id,
        revision=vote.revision,
        outcome="approved" if vote.choice == "approve" else "rejected",
        decided_by=people,
        decided_at=tx.now,
        plan_hash=proposal.plan_hash,
        reason=vote.reason,
    )
    return Cast(status="decided", decision=decision, says=f"It is {told(decision)}.")


def _newest_proposal(tx: Transaction, remedy_id: str) -> Proposal | None:
    table = tables.proposals
    newest = select(func.max(table.c.revision)).where(table.c.remedy_id == remedy_id).scalar_subquery()
    body = tx.conn.scalar(select(table.c.body).where(table.c.remedy_id == remedy_id, table.c.revision == newest))
    return None if body is None else Proposal.model_validate_json(body)


def asked_of(tx: Transaction, remedy_id: str, revision: int) -> Ruling:
    """Who must agree, and how many: the newest ruling of phase "proposal"; `file` writes one with every proposal."""
    table = tables.rulings
    same = (table.c.remedy_id == remedy_id, table.c.revision == revision)
    wanted = select(table.c.body).where(*same, table.c.phase == "proposal").order_by(table.c.id.desc()).limit(1)
    return Ruling.model_validate_json(tx.conn.scalars(wanted).one())
