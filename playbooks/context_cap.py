"""Refuse requests whose prompt is far longer than normal."""

import math

from pydantic import Field

from playbooks.estimate import case_of, draft
from playbooks.normal import input_tokens
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts
from playbooks.replay.limits import replay_context_cap
from playbooks.targets import limit_target
from store.model.incident import Finding
from store.model.remedy import SetContextCap


class ContextCapParams(Params):
    """Bounds keep the cap above what prompts normally need."""

    multiple: float = Field(default=2.0, ge=1.2, le=20)
    """Of the normal 95th percentile of input tokens."""
    floor_tokens: int = Field(default=16_000, ge=1_000, le=1_000_000)
    """Never a cap below this many tokens."""


class ContextCap(Playbook):
    """Refuses requests whose prompt is longer than a multiple of what is normal.

    Fits: prompts that keep growing, or that cross into a model's dearer context tier, where refusing is better than
    paying. Never put forward by itself (quality_cost 1): whoever is refused gets no answer; people may choose it.
    Parameters: `multiple` (1.2 to 20) of the normal p95 of input tokens, `floor_tokens` (1,000 to 1,000,000),
    `lease_hours` (0.01 to 168).
    Risk: medium. Long tasks fail until the application trims its prompts.
    Undo: the cap is removed; the next long request passes.
    Verified: half of the replayed share of the excess is gone within an hour, errors flat, refusals as replayed.
    """

    name = "context_cap"
    causes = ("context_bloat", "long_context_tier")
    kinds = ("set_context_cap",)
    risk = "medium"
    reversible = True
    params = ContextCapParams
    quality_cost = 1.0
    harm_if_wrong = 1.0

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """A cap at a multiple of normal; None where normal is not known or no prompt passes it."""
        assert isinstance(params, ContextCapParams)
        case = case_of(self, finding, facts, limit_target(finding))
        normal = None if case is None else input_tokens(case.reference_records)
        if case is None or normal is None:
            return None
        cap = max(params.floor_tokens, math.ceil(normal * params.multiple))
        replayed = replay_context_cap(case.records, max_input_tokens=cap)
        return draft(
            self,
            case,
            SetContextCap(target=case.target, max_input_tokens=cap),
            replayed,
            params,
            quality_note=f"Requests of more than {cap:,} input tokens are refused "
            f"({replayed.refused_share:.0%} of those recorded); 95 of 100 normal ones need at most {normal:,.0f}.",
            undo_note="The cap is removed; the next long request passes.",
        )
