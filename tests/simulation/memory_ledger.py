"""A ledger in dictionaries behind the real one's methods, some fifty times faster, for histories in bulk.

It passes the ledger's shared suite (test_memory_ledger.py), and every history that is also played over SQLite or
PostgreSQL must end the same way (test_histories.py). It has the topics of the suite and no others.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from store.ledger.ledger import Ledger
from store.ledger.values import Cast
from store.model.remedy import Application, Claim, Outcome, Remedy, RemedyState, Verification
from store.model.usage import Scope, iso
from tests.simulation.memory_decisions import MemoryDecisions
from tests.simulation.memory_records import MemoryRecords
from tests.simulation.memory_rows import Life

_RESTING = ("observed", "pending", "closed")


class MemoryLedger(MemoryDecisions, MemoryRecords, Ledger):
    """The reconciler's ledger without a database; `lease_clock` judges leases."""

    # --- the walk

    def remedy(self, remedy_id: str) -> Remedy | None:
        life = self._lives.get(remedy_id)
        return None if life is None else life.row

    def remedies(
        self, *, states: Collection[RemedyState] | None = None, incident_id: str | None = None
    ) -> list[Remedy]:
        rows = [life.row for life in self._lives.values() if states is None or life.row.state in states]
        return [row for row in rows if incident_id in (None, row.incident_id)]

    def due(self, now: datetime) -> list[str]:
        waiting = [life for life in self._lives.values() if life.row.state not in _RESTING and not self._leased(life)]
        found = [(life.row.due_at, name) for life in waiting for name in (life.row.remedy_id,) if life.row.due_at]
        return [name for due_at, name in sorted(found) if due_at <= now]

    def claim(self, remedy_id: str, *, owner: str, lease_seconds: int) -> tuple[Claim, Remedy] | None:
        with self._lock:
            life = self._lives.get(remedy_id)
            if life is None:
                return None
            self._repair(life)
            if life.row.state in _RESTING or self._leased(life):
                return None
            life.row = life.row.model_copy(update={"fence": life.row.fence + 1, "lease_owner": owner})
            life.lease_until = self._lease_clock() + timedelta(seconds=lease_seconds)
            return Claim(remedy_id=remedy_id, owner=owner, fence=life.row.fence), life.row

    def holds(self, claim: Claim) -> bool:
        life = self._lives.get(claim.remedy_id)
        return life is not None and self._is_live(life, claim)

    def intend(self, claim: Claim, application: Application, remedy: Remedy) -> bool:
        with self._lock:
            life = self._lives.get(claim.remedy_id)
            if life is None or not self._is_live(life, claim):
                return False
            wrong = _wrong_with(life, application)
            if wrong is not None:
                self._note(claim.owner, "intent_refused", claim.remedy_id, {"refused": wrong}, application)
                return False
            life.applications[application.id] = application
            self._note(claim.owner, f"{application.verb}_intent", application.remedy_id, {}, application)
            self._write(life, remedy)
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
        with self._lock:
            life = self._lives.get(claim.remedy_id)
            if life is None or not self._is_ours(life, claim):
                return False
            if application is not None:
                life.applications[application.id] = application
                self._note(claim.owner, f"{application.verb}_outcome", application.remedy_id, {}, application)
            if verification is not None:
                life.verifications.append(verification)
                self._note(claim.owner, "verification", verification.remedy_id, {}, verification)
            before = life.row
            self._write(life, remedy)
            if (before.state, before.outcome) != (life.row.state, life.row.outcome):
                self._tell("remedy_changed", life.row, was_state=before.state, note=note)
                payload = {"from": before.state, "to": life.row.state, "outcome": life.row.outcome, "note": note}
                self._note(claim.owner, "remedy_changed", claim.remedy_id, payload)
            self._free(life)
            return True

    def applications(self, remedy_id: str) -> list[Application]:
        life = self._lives.get(remedy_id)
        return [] if life is None else list(life.applications.values())

    def verifications(self, remedy_id: str) -> list[Verification]:
        life = self._lives.get(remedy_id)
        return [] if life is None else list(life.verifications)

    def effects_since(self, moment: datetime) -> list[tuple[datetime, str, Scope]]:
        intents = [
            (one.intended_at, one.remedy_id, life.proposals[one.revision].scope)
            for life in self._lives.values()
            for one in life.applications.values()
            if one.verb == "apply" and one.intended_at >= moment
        ]
        return sorted(intents, key=lambda one: one[0])

    def _leased(self, life: Life) -> bool:
        return life.lease_until is not None and life.lease_until > self._lease_clock()

    def _is_ours(self, life: Life, claim: Claim) -> bool:
        return (life.row.fence, life.row.lease_owner) == (claim.fence, claim.owner)

    def _is_live(self, life: Life, claim: Claim) -> bool:
        return self._is_ours(life, claim) and self._leased(life)

    def _write(self, life: Life, remedy: Remedy) -> None:
        """Never the revision, the fence or the lease of the row."""
        kept = ("remedy_id", "revision", "incident_id", "fence", "lease_owner")
        life.row = remedy.model_copy(update={name: getattr(life.row, name) for name in kept})

    def _free(self, life: Life, *, fence: int = 0) -> None:
        life.row = life.row.model_copy(update={"lease_owner": None, "fence": life.row.fence + fence})
        life.lease_until = None

    # --- wishes

    def request_revert(self, remedy_id: str, *, by: str, reason: str) -> Cast:
        with self._lock:
            life = self._lives.get(remedy_id)
            if life is None:
                return Cast(status="unknown", says=f"There is no remedy {remedy_id}.")
            if life.row.state not in ("verifying", "kept", "unknown"):
                return self._refused(life, f"It cannot be undone now: it is {life.row.state}.", by)
            undone = {"revert_reason": reason or f"undone by {by}", "due_at": self._clock()}
            return self._granted(life, undone, "revert_requested", f"It will be undone now, as {by} asked.", by)

    def extend(self, remedy_id: str, *, by: str, until: datetime | None, reason: str = "") -> Cast:
        with self._lock:
            life, now = self._lives.get(remedy_id), self._clock()
            if life is None:
                return Cast(status="unknown", says=f"There is no remedy {remedy_id}.")
            if life.row.state not in ("verifying", "kept") or life.row.revert_reason is not None:
                return self._refused(life, f"It cannot be extended now: it is {life.row.state}.", by)
            if until is not None and until <= max(life.row.lease_ends_at or now, now):
                return self._refused(life, f"{iso(until)} is not later than it lasts anyway.", by)
            asked = [one for one in life.rulings if (one.revision, one.phase) == (life.row.revision, "proposal")]
            people = life.extending.setdefault((life.row.revision, life.row.lease_ends_at, until), {})
            people.setdefault(by, reason)
            if len(people) < asked[-1].quorum:
                self._note(by, "extension_vote", remedy_id, {"reason": reason})
                return Cast(status="counted", decision=life.decisions.get(life.row.revision), says="Counted.")
            outcome = "made_permanent" if until is None else "extended"
            longer = {"outcome": outcome, "due_at": now, "lease_ends_at": until}
            return self._granted(life, longer, outcome, f"{outcome} by {by}.", by)

    def settle_by_hand(self, remedy_id: str, *, by: str, outcome: Outcome, saw: str, reason: str) -> Cast:
        with self._lock:
            life = self._lives.get(remedy_id)
            if life is None:
                return Cast(status="unknown", says=f"There is no remedy {remedy_id}.")
            if life.row.state != "paging":
                return self._refused(life, f"Nobody was called for it: it is {life.row.state}.", by)
            settled = {"state": "closed", "outcome": outcome, "due_at": None}
            return self._granted(life, settled, "settled_by_hand", f"Settled by {by}: {saw} ({reason})", by)

    def _granted(self, life: Life, update: Mapping[str, object], action: str, says: str, by: str) -> Cast:
        was_state = life.row.state
        life.row = life.row.model_copy(update=update)
        self._free(life, fence=1)
        self._note(by, action, life.row.remedy_id, {"says": says})
        if action != "revert_requested":
            self._tell("remedy_changed", life.row, was_state=was_state, note=says)
        return Cast(status="decided", decision=life.decisions.get(life.row.revision), says=says)

    def _refused(self, life: Life, says: str, by: str) -> Cast:
        self._note(by, "wish_refused", life.row.remedy_id, {"refused": says})
        return Cast(status="not_allowed", decision=life.decisions.get(life.row.revision), says=says)


def _wrong_with(life: Life, application: Application) -> str | None:
    revision = life.row.revision
    if (application.remedy_id, application.revision) != (life.row.remedy_id, revision):
        return "it is not of the revision that stands"
    decision = life.decisions.get(revision)
    if decision is None or decision.outcome != "approved":
        return "no approved decision on this revision"
    if decision.plan_hash != application.plan_hash:
        return f"the decision is bound to plan {decision.plan_hash}"
    applied = any(one.verb == "apply" and one.revision == revision for one in life.applications.values())
    if application.verb == "revert" and not applied:
        return "nothing was applied, so there is nothing to revert"
    return None
