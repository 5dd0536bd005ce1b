"""The runbook for a key in other hands."""

from playbooks.estimate import advice, case_of
from playbooks.normal import normal_spend
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts, text
from playbooks.replay.limits import replay_block
from store.model.incident import Finding
from store.model.usage import NONE, Scope


class KeyRotation(Playbook):
    """Tells the owner, step by step, how to replace a key without stopping its application.

    Fits: a leaked or stolen key. It goes with `block_key`, which stops the thief at once and the application too.
    Parameters: `lease_hours` (0.01 to 168), without effect.
    Risk: low. Nothing changes until somebody follows the steps.
    Undo: there is nothing to undo: an old key is never given back.
    Verified: nothing is spent on the old key.
    """

    name = "key_rotation"
    causes = ("leaked_key",)
    kinds = ("notify",)
    risk = "low"
    reversible = True
    harm_if_wrong = 0.1
    uptake = 0.3

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """The steps; None where the finding names no key."""
        key = finding.focus.get("api_key_id") or finding.scope.get("api_key_id") or text(finding, "api_key_id")
        case = None if key is None or key == NONE else case_of(self, finding, facts, Scope.of(api_key_id=key))
        if case is None:
            return None
        message = (
            f"Key {key}: 1. make a new key with the same budget and models; 2. put it into the secret store, deploy; "
            "3. see that the new key has traffic and the old one only what is strange; 4. delete the old key at the "
            "gateway (POST /key/delete) and at the provider; 5. look for where it leaked (commits, images, logs, "
            "laptops) and tell security; 6. limit the new key to the models, regions and budget that it needs."
        )
        replayed = replay_block(case.records, normal_nanos=normal_spend(case.reference_records, case.seconds))
        return advice(self, case, finding, message, replayed, params)
