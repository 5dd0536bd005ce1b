"""look: claim one due remedy and say which step it needs."""

from typing import NamedTuple

from agent.failpoints import Failpoint, nothing
from agent.walk import PACE, Pace, Step, next_step
from store.ledger.ledger import Ledger
from store.model.ports import Clock
from store.model.remedy import Claim


class Looked(NamedTuple):
    """A claimed remedy and its next step, never "done"."""

    claim: Claim
    step: Step


def look(
    *, remedy_id: str, ledger: Ledger, owner: str, clock: Clock, pace: Pace = PACE, failpoint: Failpoint = nothing
) -> Looked | None:
    """Claim the remedy; None when somebody else holds it or there is nothing to do."""
    claimed = ledger.claim(remedy_id, owner=owner, lease_seconds=pace.lease_seconds)
    if claimed is None:
        return None
    failpoint("look.claimed")
    claim, remedy = claimed
    step = next_step(remedy, clock())
    if step == "done":
        ledger.conclude(claim, remedy)
        return None
    return Looked(claim, step)
