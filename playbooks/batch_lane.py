"""Work that nobody waits for belongs into the batch lane, at half the price."""

from playbooks.estimate import Case, advice, case_of
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts
from playbooks.replay.outcome import Replayed
from playbooks.replay.thinking import replay_columns, replay_half_price
from playbooks.targets import limit_target
from store.model.incident import Finding


class BatchLane(Playbook):
    """Tells the owner to send a backfill through the provider's batch interface.

    Fits: uniform calls by one key or job that nobody waits for and that pay the full price.
    Parameters: `lease_hours` (0.01 to 168), without effect.
    Risk: low. Nothing changes until somebody follows the instructions; batches may take up to 24 hours.
    Undo: the job calls the interactive interface again.
    Verified: the batch tier's share of the job's requests rises.
    """

    name = "batch_lane"
    causes = ("batch_backfill",)
    kinds = ("notify",)
    risk = "low"
    reversible = True
    harm_if_wrong = 0.1
    uptake = 0.3

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """The instructions, at the batch price where it is known, else at half price as all large providers have it."""
        case = case_of(self, finding, facts, limit_target(finding))
        if case is None:
            return None
        message = (
            f"{case.target.text}: send this work through the batch interface (POST /v1/messages/batches, or POST "
            "/v1/batches with a JSON lines file); it costs half and is done within 24 hours. Where it cannot wait, run "
            "it at night under a rate limit and say so: bursar planned add NAME --scope ... --from ... --hours ..."
        )
        return advice(self, case, finding, message, _replayed(case, facts), params)


def _replayed(case: Case, facts: ProposalFacts) -> Replayed:
    note = "the recorded tokens at the batch price"
    at_list = replay_columns(case.records, facts.prices, {"service_tier": "batch"}, note)
    if at_list.spent_after_nanos < at_list.spent_before_nanos:
        return at_list
    return replay_half_price(case.records, f"{note}, taken as half of what was paid: the price book has none")
