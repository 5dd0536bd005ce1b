"""Let a smaller model of the same family answer."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import Field

from playbooks.estimate import Case, case_of, draft
from playbooks.model_pin import asked_for, key_of, misses
from playbooks.models import ModelChoice, undated
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts, text
from playbooks.quality import Loss, Quality, loss
from playbooks.replay.outcome import Replayed
from playbooks.replay.swap import swap_model
from playbooks.targets import alias_target
from store.model.incident import Finding
from store.model.prices import PriceKey
from store.model.remedy import SetModelAlias
from store.model.usage import RecordTable

UNSCORED = 0.3
"""The quality that a smaller model of the family is taken to lose where nobody has scored both."""
SYMPTOM = 0.7
"""Added where the cause is not the model: the smaller one is cheaper, and what went wrong goes on."""


class ModelDowngradeParams(Params):
    """How far down the family a proposal may go, for whom, and what is known of quality."""

    max_steps: int = Field(default=1, ge=1, le=2)
    """Steps down the family."""
    min_saving_share: float = Field(default=0.2, ge=0.05, le=0.95)
    """Of the target's spend: a smaller saving is not worth the loss of quality."""
    max_quality_loss: float = Field(default=0.5, ge=0.0, le=1.0)
    """Of the larger model's score: a greater loss is never proposed."""
    canary_percent: int = Field(default=25, ge=1, le=100)
    """So many of a hundred sessions go to the smaller model; 100 is everyone."""
    task: str | None = Field(default=None, max_length=100)
    """The kind of work of this traffic, as the quality table names it; None: the worst of all kinds counts."""
    quality: tuple[Quality, ...] = Field(default=(), max_length=1000)
    """Scores of the operator's own evaluations."""


class ModelDowngrade(Playbook):
    """Answers the requests for a dear model by a smaller one of its family, at first for a part of the sessions.

    Fits: spend that rose because each request became dearer (a switched model, more reasoning, a longer context, a
    dearer context tier) and the previous state cannot be restored.
    Parameters: `max_steps` (1 or 2) down the family, `min_saving_share` (0.05 to 0.95), `max_quality_loss` (0 to 1) by
    the quality table, `canary_percent` (1 to 100) of the sessions, `task` and `quality` for your own scores,
    `lease_hours` (0.01 to 168).
    Risk: medium. Answers get worse on hard tasks; the quality table says by how much, where anybody has measured it.
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
    quality_cost = UNSCORED
    harm_if_wrong = 0.75

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """An alias to the smaller model that is worth most for its price and quality; None where there is none."""
        assert isinstance(params, ModelDowngradeParams)
        case = case_of(self, finding, facts, alias_target(finding))
        if case is None:
            return None
        model = text(finding, "model") or dominating(case.records)
        if misses(case.target, asked_for(case.records, model)):
            return None
        found = max(_fitting(model, case, facts, params), key=lambda one: one.worth, default=None)
        if found is None:
            return None
        everyone = self._draft(case, model, found, 100, params)
        if everyone is None or params.canary_percent == 100:
            return everyone
        part = self._draft(case, model, found, params.canary_percent, params)
        return None if part is None else part.model_copy(update={"otherwise": everyone})

    def _draft(self, case: Case, model: str, found: "_Fitting", percent: int, params: Params) -> Draft | None:
        """The alias for so many of a hundred sessions."""
        alias = SetModelAlias(
            target=case.target,
            from_model=asked_for(case.records, model),
            to_model=found.choice.model,
            percent=None if percent == 100 else percent,
        )
        known = found.choice.quality_note if found.loss is None else found.loss.text
        canary = "" if percent == 100 else f" in {percent} % of the sessions; raise canary_percent when it holds"
        made = draft(
            self,
            case,
            alias,
            part_of(found.replayed, percent),
            params,
            quality_note=f"{found.choice.model} instead of {model}{canary}: {known}.",
            undo_note=f"The alias is removed; {model} answers again.",
        )
        symptom = 0.0 if case.cause in ("model_switch", "tokenizer_change") else SYMPTOM
        return None if made is None else made.model_copy(update={"quality_cost": min(1.0, found.cost + symptom)})


class _Fitting(NamedTuple):
    choice: ModelChoice
    replayed: Replayed
    loss: Loss | None

    @property
    def cost(self) -> float:
        """Of each dollar saved, what the loss of quality takes back."""
        return UNSCORED if self.loss is None else self.loss.share

    @property
    def worth(self) -> float:
        """Nano-USD saved, less the loss of quality."""
        return (self.replayed.spent_before_nanos - self.replayed.spent_after_nanos) * (1 - self.cost)


def dominating(records: RecordTable) -> str:
    """The model that answered most of the records; there is at least one record."""
    counts = Counter(records.column("model").tolist())
    return str(min(counts, key=lambda name: (-counts[name], name)))


def part_of(replayed: Replayed, percent: int) -> Replayed:
    """The replay where only so many of a hundred sessions are changed: each record moves by that share."""
    before = replayed.before
    cautious = None if replayed.cautious is None else before + (replayed.cautious - before) * percent // 100
    note = replayed.note if percent == 100 else f"{percent} % of: {replayed.note}"
    after = before + (replayed.after - before) * percent // 100
    return replayed._replace(after=after, cautious=cautious, note=note, share=percent / 100)


def _fitting(model: str, case: Case, facts: ProposalFacts, params: ModelDowngradeParams) -> Iterator[_Fitting]:
    provider = key_of(model, case).provider
    for choice in facts.alternatives.get(undated(model), ())[: params.max_steps]:
        lost = loss(model, choice.model, now=facts.now, task=params.task, more=params.quality)
        replayed = swap_model(case.records, facts.prices, from_model=model, to=PriceKey(provider, choice.model))
        if replayed is None or (lost is not None and lost.share > params.max_quality_loss):
            continue
        saved = replayed.spent_before_nanos - replayed.spent_after_nanos
        if saved > 0 and saved >= params.min_saving_share * replayed.spent_before_nanos:
            yield _Fitting(choice, replayed, lost)
