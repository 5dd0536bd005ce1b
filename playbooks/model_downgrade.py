"""Let a smaller model of the same family answer."""

from collections import Counter

from pydantic import Field

from playbooks.estimate import Case, case_of, draft
from playbooks.model_pin import asked_for, key_of
from playbooks.models import ModelChoice, undated
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts, text
from playbooks.replay.outcome import Replayed
from playbooks.replay.price import swap_model
from playbooks.targets import alias_target
from store.model.incident import Finding
from store.model.prices import PriceKey
from store.model.remedy import SetModelAlias
from store.model.usage import RecordTable


class ModelDowngradeParams(Params):
    """How far down the family a proposal may go."""

    max_steps: int = Field(default=1, ge=1, le=2)
    """Steps down the family."""
    min_saving_share: float = Field(default=0.2, ge=0.05, le=0.95)
    """Of the target's spend: a smaller saving is not worth the loss of quality."""


class ModelDowngrade(Playbook):
    """Answers the requests for a dear model by a smaller one of its family.

    Fits: spend that rose because each request became dearer (a switched model, more reasoning, a longer context, a
    dearer context tier) and the previous state cannot be restored.
    Parameters: `max_steps` (1 or 2) down the family, `min_saving_share` (0.05 to 0.95), `lease_hours` (0.01 to 168).
    Risk: medium. Answers get worse on hard tasks.
    Undo: the alias is removed; the larger model answers again.
    Verified: half of the replayed share of the excess is gone within an hour and errors have not risen.
    """

    name = "model_downgrade"
    causes = (
        "model_switch",
        "tokenizer_change",
        "reasoning_effort",
        "context_bloat",
        "long_context_tier",
    )
    kinds = ("set_model_alias",)
    risk = "medium"
    reversible = True
    params = ModelDowngradeParams
    quality_cost = 0.3
    harm_if_wrong = 0.75

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """An alias to the first smaller model that saves enough; None where the family has none with a price."""
        assert isinstance(params, ModelDowngradeParams)
        case = case_of(self, finding, facts, alias_target(finding))
        if case is None:
            return None
        model = text(finding, "model") or dominating(case.records)
        found = _cheaper(model, case, facts, params)
        if found is None:
            return None
        choice, replayed = found
        return draft(
            self,
            case,
            SetModelAlias(target=case.target, from_model=asked_for(case.records, model), to_model=choice.model),
            replayed,
            params,
            quality_note=f"{choice.model} instead of {model}: {choice.quality_note}.",
            undo_note=f"The alias is removed; {model} answers again.",
        )


def dominating(records: RecordTable) -> str:
    """The model that answered most of the records; there is at least one record."""
    counts = Counter(records.column("model").tolist())
    return str(min(counts, key=lambda name: (-counts[name], name)))


def _cheaper(
    model: str, case: Case, facts: ProposalFacts, params: ModelDowngradeParams
) -> tuple[ModelChoice, Replayed] | None:
    provider = key_of(model, case).provider
    for choice in facts.alternatives.get(undated(model), ())[: params.max_steps]:
        replayed = swap_model(case.records, facts.prices, from_model=model, to=PriceKey(provider, choice.model))
        if replayed is None:
            continue
        saved = replayed.spent_before_nanos - replayed.spent_after_nanos
        if saved > 0 and saved >= params.min_saving_share * replayed.spent_before_nanos:
            return choice, replayed
    return None
