"""Change nothing and tell the owner."""

from typing import get_args

from playbooks.playbook import HOUR, Draft, Params, Playbook, ProposalFacts
from store.model.incident import Cause, Finding
from store.model.money import usd_text
from store.model.remedy import Check, Notify, Saving

LEAVE_ALONE: frozenset[Cause] = frozenset({"organic_growth", "price_change", "telemetry_fault", "unknown"})
"""Causes that no change at a gateway mends."""

_ADVICE: dict[Cause, str] = {
    "organic_growth": "Users and spend rose together at the same unit cost: adjust the budget and the forecast.",
    "price_change": "The price of the model changed: forecast anew, and consider another model.",
    "telemetry_fault": "The numbers cannot be right: mend the price or the source before anything else.",
    "unknown": "No known cause fits well: a person should look.",
    "agent_loop": "A session calls itself again and again: give the agent a condition to stop.",
    "retry_storm": "Failed calls are tried again at once: back off, and pay for fewer attempts.",
    "leaked_key": "The key seems to be in other hands: rotate it.",
    "model_switch": "Another model answers than before: find out who changed the route.",
    "cache_below_minimum": "The prompt's prefix is too short for this model to cache: enlarge it or drop the flag.",
    "fast_mode": "Requests ask for the fast mode: take the flag out where latency does not matter.",
    "context_bloat": "Requests carry more context than before: trim tools and history in the application.",
    "cache_break": "The prompt's prefix changes between calls: move volatile text to its end.",
}


class NotifyPlaybook(Playbook):
    """Tells the owner what was found and changes nothing; always among the proposals.

    Fits: every cause; the first choice for organic growth, a price change, a telemetry fault and an unknown cause.
    Parameters: `lease_hours` (0.01 to 168), without effect.
    Risk: low. The spend goes on.
    Undo: there is nothing to undo.
    Verified: there is nothing to verify.
    """

    name = "notify"
    causes = get_args(Cause)
    kinds = ("notify",)
    risk = "low"
    reversible = True
    params = Params
    harm_if_wrong = 0.0

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft:  # noqa: ARG002 the interface
        """A note to the owner with the excess and what to do."""
        advice = _ADVICE.get(finding.cause, "No change at the gateway is proposed: mend it in the application.")
        message = f"{usd_text(finding.excess_nanos)} above the expected spend. {advice}"
        return Draft(
            playbook=self.name,
            cause=finding.cause,
            confidence=finding.confidence,
            actions=(Notify(target=finding.scope, message=message),),
            risk=self.risk,
            reversible=self.reversible,
            saving=Saving(low=0, mid=0, high=0, cash_mid=0, assumption="nothing changes"),
            quality_cost=0.0,
            harm_if_wrong=0.0,
            quality_note="Nothing changes.",
            undo_note="There is nothing to undo.",
            check=Check(window_seconds=HOUR, min_reduction=0.0),
            lease_seconds=params.lease_seconds,
        )
