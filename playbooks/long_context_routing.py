"""Requests just above a context tier pay the dearer rates for all their tokens: route or trim them."""

from playbooks.estimate import advice, case_of
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts
from playbooks.replay.price import first_tier, replay_without_tiers
from playbooks.targets import limit_target
from store.model.incident import Finding


class LongContextRouting(Playbook):
    """Tells the owner to trim prompts below the model's dearer context tier, or to route those above it elsewhere.

    Fits: a share of requests that crossed a model's context limit, beyond which every token of a request is dearer.
    Parameters: `lease_hours` (0.01 to 168), without effect.
    Risk: low. Nothing changes until somebody follows the instructions.
    Undo: the route is removed.
    Verified: the share of requests above the tier falls to none.
    """

    name = "long_context_routing"
    causes = ("long_context_tier",)
    kinds = ("notify",)
    risk = "low"
    reversible = True
    harm_if_wrong = 0.1
    uptake = 0.3

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """The instructions, worth the difference to the lower tier's rates; None where no price has tiers."""
        case = case_of(self, finding, facts, limit_target(finding))
        tier = None if case is None else first_tier(case.records, facts.prices)
        if case is None or tier is None:
            return None
        message = (
            f"{case.target.text}: above {tier:,} input tokens every token of a request is dearer. Cut history and tool "
            f"definitions to stay below it, or add a route for larger prompts to a model with one price for all "
            "lengths (in LiteLLM: a second deployment, model_info.max_input_tokens and enable_pre_call_checks)."
        )
        return advice(self, case, finding, message, replay_without_tiers(case.records, facts.prices), params)
