"""Cap how much models think before they answer."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from playbooks.estimate import case_of, draft
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts
from playbooks.replay.thinking import replay_thinking, seen_output, thinking_per_mille
from playbooks.targets import limit_target
from store.model.incident import Finding
from store.model.remedy import SetReasoningEffort

Effort = Literal["minimal", "low", "medium", "high"]

THINKING: Mapping[Effort, int] = MappingProxyType({"minimal": 100, "low": 800, "medium": 2400, "high": 5000})
"""Tokens of thinking for a thousand of the visible answer. Source: completion tokens per exercise of gpt-5 at low,
medium and high effort on Aider's polyglot leaderboard (3,465, 6,528, 11,660), with 1,900 for the answer itself as
models without thinking need there. Pass rates: 81.3, 86.7 and 88.0 %. `minimal` is an estimate."""


class ReasoningEffortParams(Params):
    """Bounds keep the effort at or above what was normal."""

    slack_percent: int = Field(default=100, ge=100, le=500)
    """The effort must allow so much of the thinking that was normal."""


class ReasoningEffort(Playbook):
    """Caps the reasoning effort at the lowest level that allows the thinking that was normal before.

    Fits: a default that was raised, or a release that asks for more effort than its answers need.
    Parameters: `slack_percent` (100 to 500) of the normal thinking that the level must allow, `lease_hours` (0.01 to
    168).
    Risk: medium. Hard tasks may be answered worse; requests that ask for less effort are left alone.
    Undo: the cap is removed; the next request thinks as long as it asks for.
    Verified: half of the replayed share of the excess is gone within an hour and errors have not risen.
    """

    name = "reasoning_effort"
    causes = ("reasoning_effort",)
    kinds = ("set_reasoning_effort",)
    risk = "medium"
    reversible = True
    params = ReasoningEffortParams
    quality_cost = 0.05
    harm_if_wrong = 0.5

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """A cap; None where normal is not known or beyond the highest level that would change anything."""
        assert isinstance(params, ReasoningEffortParams)
        case = case_of(self, finding, facts, limit_target(finding))
        normal = None if case is None else thinking_per_mille(case.reference_records)
        if case is None or normal is None:
            return None
        wanted = normal * params.slack_percent // 100
        effort = next((level for level, most in THINKING.items() if most >= wanted), None)
        if effort is None:
            return None
        replayed = replay_thinking(case.records, facts.prices, per_mille=wanted, at_most_per_mille=THINKING[effort])
        return draft(
            self,
            case,
            SetReasoningEffort(target=case.target, effort=effort),
            replayed,
            params,
            quality_note=f"Thinking goes back to about {wanted / 1000:.1f} tokens for each of the answer, as before; "
            "on a public coding set gpt-5 solved 81 % at low, 87 % at medium and 88 % at high effort.",
            undo_note="The cap is removed; the next request thinks as long as it asks for.",
            measure=seen_output,
        )
