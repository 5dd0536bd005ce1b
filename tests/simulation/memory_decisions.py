"""Proposals, votes and decisions of a ledger in memory."""

from collections.abc import Sequence
from datetime import datetime

from store.errors import BadInput
from store.ledger.decisions import ESCALATE_AT_PERCENT
from store.ledger.values import Cast
from store.ledger.voting import expiry, told
from store.model.remedy import Decision, Proposal, Remedy, Ruling, Vote
from store.model.usage import iso, to_us
from tests.simulation.memory_book import MemoryBook
from tests.simulation.memory_rows import Life


class MemoryDecisions(MemoryBook):
    """From filing to the one decision; every public method holds the lock, as a transaction would."""

    # --- filing

    def file(self, proposal: Proposal, ruling: Ruling, *, alternatives: Sequence[Proposal] = ()) -> Remedy:
        if (ruling.remedy_id, ruling.revision, ruling.phase) != (proposal.remedy_id, proposal.revision, "proposal"):
            raise BadInput(f"file: the ruling is not of {proposal.remedy_id}; rule the proposal first")
        with self._lock:
            life = self._lives.get(proposal.remedy_id)
            if life is not None:
                self._repair(life)
                replaceable = life.row.state in ("observed", "pending", "closed")
                if proposal.revision <= life.row.revision or not replaceable:
                    return life.row
                if life.row.state == "pending":
                    self._settle(life, _withdrawal(life, proposal.made_by, self._clock()))
            return self._place(life, proposal, ruling, alternatives)

    def _place(self, life: Life | None, proposal: Proposal, ruling: Ruling, alternatives: Sequence[Proposal]) -> Remedy:
        asked = ruling.verdict != "observe"
        row = Remedy(
            remedy_id=proposal.remedy_id,
            revision=proposal.revision,
            incident_id=proposal.incident_id,
            state="pending" if asked else "observed",
            fence=0 if life is None else life.row.fence + 1,
            due_at=proposal.expires_at if asked else None,
        )
        if life is None:
            life = self._lives[proposal.remedy_id] = Life(row, position=len(self._lives))
        life.row, life.lease_until, life.escalations = row, None, 0
        life.proposals[proposal.revision] = proposal
        self._lost.update({(lost.remedy_id, lost.revision): lost for lost in alternatives})
        payload = {"revision": proposal.revision, "plan_hash": proposal.plan_hash}
        self._note(proposal.made_by, "proposal", proposal.remedy_id, payload)
        self._rule(life, ruling)
        if ruling.verdict == "observe":
            self._tell("observed", row)
        if ruling.verdict == "ask":
            self._tell("approval_requested", row)
        if ruling.verdict == "apply":
            self._settle(life, _by_rule(proposal, ruling, self._clock()), kind="applied_by_rule")
        return life.row

    def proposal(self, remedy_id: str, revision: int | None = None) -> Proposal | None:
        life = self._lives.get(remedy_id)
        if life is None:
            return None
        return life.newest() if revision is None else life.proposals.get(revision)

    def proposals(self, incident_id: str) -> list[Proposal]:
        found = [plan for life in self._lives.values() for plan in life.proposals.values()]
        return [plan for plan in found if plan.incident_id == incident_id]

    def alternatives(self, incident_id: str) -> list[Proposal]:
        filed = {(name, revision) for name, life in self._lives.items() for revision in life.proposals}
        return [lost for key, lost in self._lost.items() if lost.incident_id == incident_id and key not in filed]

    def record_ruling(self, ruling: Ruling) -> None:
        with self._lock:
            life = self._lives.get(ruling.remedy_id)
            if life is None or ruling.revision not in life.proposals:
                raise BadInput(f"ruling: {ruling.remedy_id} is not filed; file the proposal first")
            self._rule(life, ruling)

    def rulings(self, remedy_id: str) -> list[Ruling]:
        life = self._lives.get(remedy_id)
        return [] if life is None else list(life.rulings)

    # --- votes and decisions

    def cast(self, vote: Vote) -> Cast:
        with self._lock:
            life = self._lives.get(vote.remedy_id)
            if life is None:
                return Cast(status="unknown", says=f"There is no remedy {vote.remedy_id}.")
            newest, now = life.newest(), self._clock()
            standing = life.decisions.get(vote.revision)
            if vote.revision != newest.revision:
                says = f"Revision {vote.revision} is no longer current: please look at revision {newest.revision}."
                return Cast(status="stale_revision", decision=standing, says=says)
            if standing is not None:
                return Cast(status="already_decided", decision=standing, says=f"Already {told(standing)}.")
            if life.row.state == "pending" and max(vote.at, now) >= newest.expires_at:
                ended = self._settle(life, expiry(newest, at=now))
                return Cast(status="expired", decision=ended, says=f"Too late: it ended at {iso(newest.expires_at)}.")
            ruling = next(one for one in reversed(life.rulings) if one.phase == "proposal")
            refusal = _refusal(life, vote, newest, ruling)
            if refusal is not None:
                self._note(vote.person, "vote_refused", vote.remedy_id, {"refused": refusal}, vote)
                return Cast(status="not_allowed", says=refusal)
            return self._count(life, vote, newest, max(1, ruling.quorum))

    def _count(self, life: Life, vote: Vote, proposal: Proposal, quorum: int) -> Cast:
        votes = life.votes.setdefault(vote.revision, {})
        if vote.person in votes:
            return Cast(status="counted", says=f"Your vote ({votes[vote.person].choice}) was counted before.")
        votes[vote.person] = vote
        self._note(vote.person, "vote", vote.remedy_id, {}, vote)
        people = [one.person for one in _in_order(votes) if one.choice == "approve"]
        if vote.choice == "reject":
            people = [vote.person]
        elif len(people) < quorum:
            return Cast(status="counted", says=f"Counted: {len(people)} of {quorum} approvals.")
        decision = Decision(
            remedy_id=vote.remedy_id,
            revision=vote.revision,
            outcome="approved" if vote.choice == "approve" else "rejected",
            decided_by=tuple(people),
            decided_at=self._clock(),
            plan_hash=proposal.plan_hash,
            reason=vote.reason,
        )
        return Cast(status="decided", decision=self._settle(life, decision), says=f"It is {told(decision)}.")

    def decide(self, decision: Decision) -> Decision:
        with self._lock:
            life = self._lives.get(decision.remedy_id)
            plan = None if life is None else life.proposals.get(decision.revision)
            if life is None or plan is None:
                raise BadInput(f"decision: {decision.remedy_id} is not filed; file the proposal first")
            if decision.revision not in life.decisions and plan.plan_hash != decision.plan_hash:
                raise BadInput(f"decision: {decision.remedy_id} is bound to plan {decision.plan_hash}; look again")
            return self._settle(life, decision)

    def decision(self, remedy_id: str, revision: int) -> Decision | None:
        life = self._lives.get(remedy_id)
        return None if life is None else life.decisions.get(revision)

    def votes(self, remedy_id: str, revision: int) -> list[Vote]:
        life = self._lives.get(remedy_id)
        return [] if life is None else _in_order(life.votes.get(revision, {}))

    def expire_due(self, now: datetime) -> list[Decision]:
        with self._lock:
            waiting = [life for life in self._lives.values() if life.row.state == "pending"]
            expired = []
            for life in sorted(waiting, key=lambda one: (one.newest().expires_at, one.position)):
                plan = life.newest()
                if now >= plan.expires_at:
                    expired.append(self._settle(life, expiry(plan, at=now)))
                    continue
                whole = plan.expires_at - plan.made_at
                due = [share for share in ESCALATE_AT_PERCENT if now >= plan.made_at + whole * share / 100]
                for share in due[life.escalations :]:
                    payload = {"share_percent": share, "expires_us": to_us(plan.expires_at)}
                    self._tell("escalation", life.row, **payload)
                    self._note("clock", "escalation", life.row.remedy_id, payload)
                life.escalations = max(life.escalations, len(due))
            return [one for one in expired if one.outcome == "approval_expired"]

    def _settle(self, life: Life, decision: Decision, *, kind: str = "remedy_changed") -> Decision:
        if decision.revision not in life.decisions:
            life.decisions[decision.revision] = decision
            self._note(", ".join(decision.decided_by), "decision", decision.remedy_id, {}, decision)
        standing = life.decisions[decision.revision]
        if life.row.revision == standing.revision and life.row.state in ("pending", "observed"):
            approved = standing.outcome == "approved"
            state, due_at = ("approved", self._clock()) if approved else ("closed", None)
            life.row = life.row.model_copy(update={"state": state, "outcome": standing.outcome, "due_at": due_at})
            self._tell(kind, life.row, decided_by=", ".join(standing.decided_by), reason=standing.reason)
        return standing

    def _repair(self, life: Life) -> None:
        standing = life.decisions.get(life.row.revision)
        if life.row.state == "pending" and standing is not None:
            self._settle(life, standing)

    def _rule(self, life: Life, ruling: Ruling) -> None:
        life.rulings.append(ruling)
        self._note(f"policy:{ruling.rule}", "ruling", ruling.remedy_id, {}, ruling)


def _in_order(votes: dict[str, Vote]) -> list[Vote]:
    return sorted(votes.values(), key=lambda one: (one.at, one.person))


def _refusal(life: Life, vote: Vote, proposal: Proposal, ruling: Ruling) -> str | None:
    if life.row.state != "pending":
        return "This remedy is only recorded: the policy asks nobody about it."
    if vote.person == proposal.made_by:
        return "Nobody decides on a proposal that they made or edited themselves."
    return None if vote.person in ruling.approvers else "You may not decide on this one."


def _by_rule(proposal: Proposal, ruling: Ruling, now: datetime) -> Decision:
    return Decision(
        remedy_id=proposal.remedy_id,
        revision=proposal.revision,
        outcome="approved",
        decided_by=(f"policy:{ruling.rule}",),
        decided_at=now,
        plan_hash=proposal.plan_hash,
    )


def _withdrawal(life: Life, by: str, now: datetime) -> Decision:
    return Decision(
        remedy_id=life.row.remedy_id,
        revision=life.row.revision,
        outcome="withdrawn",
        decided_by=(by,),
        decided_at=now,
        plan_hash=life.proposals[life.row.revision].plan_hash,
        reason="a newer revision took its place",
    )
