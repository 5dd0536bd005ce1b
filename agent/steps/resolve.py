"""resolve: find out what became of a change whose outcome is not known; it observes and never sends."""

from datetime import datetime
from typing import Literal, Protocol

from agent.failpoints import Failpoint, nothing
from agent.walk import (
    PACE,
    Pace,
    effects,
    lease_over,
    looked_in_vain,
    plight,
    standings,
    to_approved,
    to_closed,
    to_paging,
    to_rollback,
    to_verifying,
)
from store.errors import StorageFailed
from store.ledger.ledger import Ledger
from store.model.ports import Clock, GatewayReader, Probed, Unreadable
from store.model.remedy import Action, Application, Claim, Remedy


class Probe(Protocol):
    """An actuator's `probe` alone: this step may look at the live path, and has no hands."""

    def __call__(self, action: Action, *, marker: str) -> Probed:
        """Whether live traffic meets the change."""
        ...


def resolve(
    *,
    claim: Claim,
    ledger: Ledger,
    reader: GatewayReader,
    probe: Probe,
    clock: Clock,
    pace: Pace = PACE,
    failpoint: Failpoint = nothing,
) -> Remedy | None:
    """Observe a claimed remedy that is `applying` or `unknown`; what it became, or None when the claim was lost.

    Ends within `pace.observations` looks: in force, not made (approved again, to be sent again), stale, a part made
    (to be taken back), or undecidable, which calls a person. What is found in force took effect at its intent: a
    gateway's client gives up long before a lease ends.
    """
    remedy = ledger.remedy(claim.remedy_id)
    proposal = None if remedy is None else ledger.proposal(remedy.remedy_id, remedy.revision)
    intents = _intents(ledger, remedy)
    if remedy is None or proposal is None or not intents:
        raise StorageFailed(f"{claim.remedy_id} was being applied and its rows are gone; restore a backup")
    try:
        stands = standings(
            proposal,
            [reader.observe(action) for action in effects(proposal)],
            cas=reader.capabilities().cas,
        )
        probes = [probe(action, marker=proposal.remedy_id).status for action in effects(proposal)]
    except Unreadable as error:
        ended, application, note = _in_the_dark(remedy, intents[-1], str(error), clock, pace)
    else:
        failpoint("resolve.observed")
        found = plight(stands, in_force=all(status == "yes" for status in probes))
        match found:
            case "in_force":
                propagation, at = reader.capabilities().propagation_seconds, intents[-1].intended_at
                ended = to_verifying(remedy, proposal, applied_at=at, propagation=propagation, pace=pace)
                note = "found in force"
                application = _outcome(intents[-1], "applied", note, clock)
            case "spreading":
                ended, application, note = _spreading(remedy, intents[-1], clock, pace)
            case "partial":
                note = "only a part of the plan was made"
                ended = to_rollback(remedy, clock(), outcome="failed", reason=note)
                application = _outcome(intents[-1], "unsure", note, clock)
            case "drift":
                ended, note = _drift(remedy, clock())
                application = _outcome(intents[-1], "drifted", note, clock)
            case "absent":
                ended, application, note = _absent(remedy, intents[-1], clock, pace)
    written = ledger.conclude(claim, ended, application=application, note=note)
    failpoint("resolve.concluded")
    return ended if written else None


def _intents(ledger: Ledger, remedy: Remedy | None) -> list[Application]:
    """The intents to apply this revision, oldest first."""
    if remedy is None:
        return []
    every = ledger.applications(remedy.remedy_id)
    return [one for one in every if one.verb == "apply" and one.revision == remedy.revision]


_Ended = tuple[Remedy, Application | None, str]


def _in_the_dark(remedy: Remedy, intent: Application, why: str, clock: Clock, pace: Pace) -> _Ended:
    again = looked_in_vain(remedy, clock(), pace)
    if again is None:
        note = f"undecidable: looked {pace.observations} times in vain; {why}"
        return to_paging(remedy, "undecidable"), _outcome(intent, "unsure", note, clock), note
    return again.model_copy(update={"state": "unknown", "outcome": "unknown"}), None, why


def _spreading(remedy: Remedy, intent: Application, clock: Clock, pace: Pace) -> _Ended:
    again = looked_in_vain(remedy, clock(), pace)
    if again is None:
        note = f"stored, and traffic never met it in {pace.observations} looks"
        back = to_rollback(remedy, clock(), outcome="failed", reason=note)
        return back, _outcome(intent, "unsure", note, clock), note
    return again, None, "stored, not in force yet"


def _drift(remedy: Remedy, now: datetime) -> tuple[Remedy, str]:
    if lease_over(remedy, now):
        return to_closed(remedy, "failed"), "its lease is over; whether it was in force before cannot be told"
    return to_closed(remedy, "stale"), "the gateway is not as it was when the plan was made; propose anew"


def _absent(remedy: Remedy, intent: Application, clock: Clock, pace: Pace) -> _Ended:
    now = clock()
    application = _outcome(intent, "unsure", "not there when observed", clock)
    if remedy.revert_reason is not None:
        again = looked_in_vain(remedy, now, pace)
        if again is not None:
            return again, None, "nothing is there yet; what was sent may still arrive"
        return to_closed(remedy, "returned"), application, "nothing is there that could be taken back"
    if lease_over(remedy, now):
        return to_closed(remedy, "failed"), application, "its lease would be over by now"
    return to_approved(remedy, due_at=now), application, "nothing was changed; to be sent again"


def _outcome(
    intent: Application, outcome: Literal["applied", "drifted", "unsure"], detail: str, clock: Clock
) -> Application:
    return intent.model_copy(update={"outcome": outcome, "outcome_at": clock(), "detail": detail})
