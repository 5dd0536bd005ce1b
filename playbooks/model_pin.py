"""Send requests back to the model that answered them before."""

from collections import Counter

import numpy as np
from pydantic import Field

from playbooks.estimate import Case, case_of, draft
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts, text
from playbooks.replay.outcome import Nanos
from playbooks.replay.price import at_one_model, tokens_of
from playbooks.replay.swap import SAME, measured_drift, swap_model
from playbooks.targets import alias_target
from store.model.incident import Finding
from store.model.prices import PriceKey
from store.model.remedy import SetModelAlias
from store.model.usage import NONE, RecordTable, Scope


class ModelPinParams(Params):
    """The lease is a week by default: somebody must decide which model it shall be."""

    lease_hours: float = Field(default=168, ge=0.01, le=168)


class ModelPin(Playbook):
    """Answers the requests for the new model by the one that it displaced.

    Fits: a silent model switch, a dearer fallback, a new model whose tokenizer counts more.
    Parameters: `lease_hours` (0.01 to 168).
    Risk: medium. Whoever wanted the new model loses it for a while.
    Undo: the alias is removed; the new model answers again.
    Verified: half of the replayed share of the excess is gone within an hour and errors have not risen.
    """

    name = "model_pin"
    causes = ("model_switch", "tokenizer_change")
    kinds = ("set_model_alias",)
    risk = "medium"
    reversible = True
    params = ModelPinParams
    quality_cost = 0.05
    harm_if_wrong = 0.5

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """An alias back to the previous model; None where there was none, it is not cheaper, or no request meets it."""
        now, before = text(finding, "model"), text(finding, "previous_model")
        case = case_of(self, finding, facts, alias_target(finding))
        if case is None or now is None or before is None or now == before:
            return None
        key = key_of(before, case)
        drift = SAME
        if case.cause == "tokenizer_change":
            drift = measured_drift(case.records, now, case.reference_records, before) or SAME
        replayed = swap_model(case.records, facts.prices, from_model=now, to=key, drift=drift)
        if replayed is None:
            return None
        asked_now, asked_before = asked_for(case.records, now), asked_for(case.reference_records, before)
        if misses(case.target, asked_now):
            return None
        to_model = before if asked_before == asked_now else asked_before

        def usual_cost(records: RecordTable) -> Nanos:
            counted, by_now = tokens_of(records), records.column("model") == now
            as_before = {name: np.where(by_now, drift.of(counted)[name], tokens) for name, tokens in counted.items()}
            return at_one_model(records, facts.prices, key, tokens=as_before)

        return draft(
            self,
            case,
            SetModelAlias(target=case.target, from_model=asked_now, to_model=to_model),
            replayed,
            params,
            quality_note=f"{before} answered this traffic before {now} did; quality returns to what it was.",
            undo_note=f"The alias is removed; {now} answers again.",
            measure=usual_cost,
        )


def asked_for(records: RecordTable, model: str) -> str:
    """The name under which most records asked for the model that answered: what an alias must catch."""
    names = records.column("requested_model")[records.column("model") == model].tolist()
    counts = Counter(name for name in names if name != NONE)
    return min(counts, key=lambda name: (-counts[name], name)) if counts else model


def misses(target: Scope, asked: str) -> bool:
    """Whether a target names another model than the one asked for: a gateway then meets no request of it."""
    return any(target.get(name) not in (None, asked) for name in ("model", "requested_model"))


def key_of(model: str, case: Case) -> PriceKey:
    """A model's price key: the provider that most records name with it, else the one that most records name."""
    for records, everything in ((case.reference_records, False), (case.records, False), (case.records, True)):
        of_model = records.column("model") == model
        providers = records.column("provider")[of_model | everything].tolist()
        if providers:
            return PriceKey(Counter(providers).most_common(1)[0][0], model)
    raise AssertionError("a case has at least one record")
