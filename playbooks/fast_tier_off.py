"""Answer requests for a dearer tier or speed at the standard one."""

from playbooks.estimate import case_of, draft
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts
from playbooks.replay.thinking import replay_columns
from playbooks.targets import limit_target
from store.model.incident import Finding
from store.model.remedy import SetServiceTier


class FastTierOff(Playbook):
    """Takes priority and fast mode out of requests, so that they run at the standard tier and price.

    Fits: a fast mode or priority tier that somebody switched on where nobody waits for the answer.
    Parameters: `lease_hours` (0.01 to 168).
    Risk: medium. Answers come later, and may be queued at peak hours; what they say does not change.
    Undo: the rule is removed; the next request is as fast as it asks to be.
    Verified: half of the replayed share of the excess is gone within an hour and errors have not risen.
    """

    name = "fast_tier_off"
    causes = ("fast_mode",)
    kinds = ("set_service_tier",)
    risk = "medium"
    reversible = True
    quality_cost = 0.1
    harm_if_wrong = 0.5

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """The standard tier; None where the price book knows no dearer price for what was asked."""
        case = case_of(self, finding, facts, limit_target(finding))
        if case is None:
            return None
        note = "the recorded tokens at the standard tier and speed; latency is not replayed"
        standard = {"service_tier": "standard", "speed": "standard"}
        return draft(
            self,
            case,
            SetServiceTier(target=case.target),
            replay_columns(case.records, facts.prices, standard, note),
            params,
            quality_note="Answers do not change and come later.",
            undo_note="The rule is removed; the next request is as fast as it asks to be.",
        )
