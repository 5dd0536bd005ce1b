"""expire: at the end of its lease, see whether the gateway has dropped the change; it observes and never sends."""

from agent.failpoints import Failpoint, nothing
from agent.handover import answer_of, answered
from agent.walk import PACE, Pace, effects, return_standing, to_closed
from store.errors import StorageFailed
from store.ledger.ledger import Ledger
from store.model.ports import Clock, GatewayReader, Unreadable
from store.model.remedy import Claim, Remedy

LEASE_OVER = "its lease is over"


def expire(
    *,
    claim: Claim,
    ledger: Ledger,
    reader: GatewayReader,
    clock: Clock,
    pace: Pace = PACE,
    failpoint: Failpoint = nothing,
) -> Remedy | None:
    """Close a claimed remedy whose change is gone, or ask for its revert; None when the claim was lost.

    Gone: `returned`. Somebody else's value in its place: `drifted`. Still ours, or no answer: the step revert, which
    counts its tries, does it next. Taken up by people: measured on, until its own time is over.
    """
    remedy = ledger.remedy(claim.remedy_id)
    proposal = None if remedy is None else ledger.proposal(remedy.remedy_id, remedy.revision)
    if remedy is None or proposal is None:
        raise StorageFailed(f"the lease of {claim.remedy_id} is over and its rows are gone; restore a backup")
    to_revert = remedy.model_copy(update={"revert_reason": LEASE_OVER, "due_at": clock(), "attempts": 0})
    try:
        seen = [reader.observe(action) for action in effects(proposal)]
    except Unreadable as error:
        ended, note = to_revert, f"{LEASE_OVER}; {error}"
    else:
        found = {
            return_standing(action, one, marker=remedy.remedy_id, over=True)
            for action, one in zip(effects(proposal), seen, strict=True)
        }
        failpoint("expire.observed")
        answer = answer_of(proposal, seen)
        if answer is not None:
            ended, note = answered(remedy, proposal, answer, now=clock(), pace=pace)
        elif "ours" in found:
            ended, note = to_revert, LEASE_OVER
        elif found & {"drift", "taken"}:
            ended, note = to_closed(remedy, "drifted"), f"{LEASE_OVER}; somebody else has changed the gateway since"
        else:
            ended, note = to_closed(remedy, "returned"), f"{LEASE_OVER}; the gateway has dropped it"
    written = ledger.conclude(claim, ended, note=note)
    failpoint("expire.concluded")
    return ended if written else None
