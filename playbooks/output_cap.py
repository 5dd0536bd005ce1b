"""Cap the output tokens of one request."""

import math

from pydantic import Field

from playbooks.estimate import case_of, draft
from playbooks.normal import larger, output_tokens
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts, number
from playbooks.replay.limits import replay_output_cap
from playbooks.targets import limit_target
from store.model.incident import Finding
from store.model.remedy import SetOutputCap


class OutputCapParams(Params):
    """Bounds keep the cap above what answers normally need."""

    multiple: float = Field(default=1.5, ge=1.1, le=10)
    """Of the normal 95th percentile of output tokens."""
    floor_tokens: int = Field(default=256, ge=64, le=32_000)
    """Never a cap below this many tokens."""


class OutputCap(Playbook):
    """Lowers max_tokens to a multiple of what answers normally need.

    Fits: answers that run to the end of the limit.
    Parameters: `multiple` (1.1 to 10) of the normal p95 of output tokens, `floor_tokens` (64 to 32,000),
    `lease_hours` (0.01 to 168).
    Risk: medium. Long answers are cut, and users may ask again.
    Undo: the cap is removed; the next answer may be as long as before.
    Verified: half of the replayed share of the excess is gone within an hour and errors have not risen.
    """

    name = "output_cap"
    causes = ("runaway_output",)
    kinds = ("set_output_cap",)
    risk = "medium"
    reversible = True
    params = OutputCapParams
    quality_cost = 0.1
    harm_if_wrong = 0.75

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """A cap at a multiple of normal; None where normal is not known or no answer passes the cap."""
        assert isinstance(params, OutputCapParams)
        case = case_of(self, finding, facts, limit_target(finding))
        if case is None:
            return None
        normal = larger(number(finding, "output_tokens_p95_normal"), output_tokens(case.reference_records))
        if normal is None:
            return None
        cap = max(params.floor_tokens, math.ceil(normal * params.multiple))
        replayed = replay_output_cap(case.records, facts.prices, max_tokens=cap)
        return draft(
            self,
            case,
            SetOutputCap(target=case.target, max_tokens=cap),
            replayed,
            params,
            quality_note=f"Answers end after {cap} tokens; 95 of 100 normal answers need at most {normal:.0f}.",
            undo_note="The cap is removed; the next answer may be as long as before.",
        )
