"""Block one API key."""

from pydantic import Field

from playbooks.estimate import case_of, draft
from playbooks.normal import normal_spend
from playbooks.own_hours import own_hours_day
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts, text
from playbooks.replay.limits import replay_block
from store.model.incident import Finding
from store.model.remedy import BlockKey
from store.model.usage import NONE, Scope


class BlockKeyParams(Params):
    """The lease is a week by default: time to rotate the key before it answers again."""

    lease_hours: float = Field(default=168, ge=0.01, le=168)


class BlockKeyPlaybook(Playbook):
    """Blocks a key that behaves as if it were in other hands.

    Fits: a leaked or stolen key. A person always decides; Bursar never blocks a key by itself.
    Parameters: `lease_hours` (0.01 to 168).
    Risk: high. Everything that uses the key stops.
    Undo: the key is unblocked. Rotate it first: when the lease ends, the old key would answer again.
    Verified: half of the replayed share of the excess is gone within an hour; refusals on the key are expected.
    """

    name = "block_key"
    causes = ("leaked_key",)
    kinds = ("block_key",)
    risk = "high"
    reversible = True
    params = BlockKeyParams
    harm_if_wrong = 1.0

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """A block of the key that the finding names; None where it names none that spent anything."""
        key = finding.focus.get("api_key_id") or finding.scope.get("api_key_id") or text(finding, "api_key_id")
        if key is None or key == NONE:
            return None
        case = case_of(self, finding, facts, Scope.of(api_key_id=key))
        if case is None:
            return None
        replayed = replay_block(case.records, normal_nanos=normal_spend(case.reference_records, case.seconds))
        return draft(
            self,
            case,
            BlockKey(target=case.target),
            replayed,
            params,
            quality_note="Everything that uses this key stops, the owner's own calls among it.",
            undo_note="The key is unblocked; rotate it first, or the old key answers again.",
            day=own_hours_day(case.records, case.reference_records, replayed, case.window),
        )
