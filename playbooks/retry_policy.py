"""Fewer attempts, with pauses, and a fallback: instructions for the router."""

from pydantic import Field

from playbooks.estimate import advice, case_of
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts
from playbooks.replay.limits import replay_attempts
from playbooks.targets import limit_target
from store.model.incident import Finding


class RetryPolicyParams(Params):
    """What the router should be set to."""

    attempts: int = Field(default=2, ge=1, le=5)
    """Calls for one request, the first among them."""
    backoff_seconds: int = Field(default=5, ge=1, le=300)
    """The first pause; each further one doubles."""


class RetryPolicy(Playbook):
    """Tells the owner how to set retries, backoff, cool-down and a fallback in the router.

    Fits: failed calls that are tried again at once, each attempt paid for. A rate limit ends the bill; this ends the
    storm.
    Parameters: `attempts` (1 to 5), `backoff_seconds` (1 to 300), `lease_hours` (0.01 to 168).
    Risk: low. Nothing changes until somebody follows the instructions.
    Undo: there is nothing to undo at a gateway.
    Verified: attempts for each success fall to about one.
    """

    name = "retry_policy"
    causes = ("retry_storm",)
    kinds = ("notify",)
    risk = "low"
    reversible = True
    params = RetryPolicyParams
    harm_if_wrong = 0.1
    uptake = 0.3

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """The settings and what they would have saved; None where no call was a late attempt."""
        assert isinstance(params, RetryPolicyParams)
        case = case_of(self, finding, facts, limit_target(finding))
        if case is None:
            return None
        message = (
            f"In the router of {case.target.text}: router_settings: {{num_retries: {params.attempts - 1}, "
            f"retry_after: {params.backoff_seconds}, allowed_fails: 3, cooldown_time: 60}}, and name a fallback model "
            f"in fallbacks. In the client: {params.attempts} attempts at most, pauses of {params.backoff_seconds} s, "
            "doubling, with jitter, and none for answers that cannot be parsed: mend the prompt or the parser."
        )
        return advice(self, case, finding, message, replay_attempts(case.records, most=params.attempts), params)
