"""A review of one case: what the reasoner is told, and what becomes of its opinion."""

from agent.analyst.analyse import focus
from agent.analyst.case import CaseData
from agent.analyst.notebook import Datum
from agent.reasoning.brief import brief
from agent.reasoning.masks import Masks
from agent.reasoning.questions import Questions
from agent.reasoning.weigh import weigh
from store.model.incident import Finding
from store.model.ports import Warehouse
from tools.queries.prices import PriceTableFor
from tools.reasoner.inquiry import Diagnosis, Inquiry, Opinion


class Review:
    """Binds a case to its ids and questions; `conclude` puts real names back."""

    def __init__(
        self, case: CaseData, finding: Finding, *, warehouse: Warehouse, price_table_for: PriceTableFor
    ) -> None:
        self._case, self._finding, self._masks = case, finding, Masks()
        self._questions = Questions(case, finding, self._masks, warehouse, price_table_for)

    def inquiry(self) -> Inquiry:
        """What the reasoner is given."""
        return Inquiry(
            incident_id=self._finding.incident_id,
            revision=self._finding.revision,
            brief=brief(self._case, self._finding, self._masks),
            evidence=frozenset(one.id for one in self._finding.evidence),
            questions=self._questions.all(),
            names=self._masks.names,
        )

    def conclude(self, opinion: Opinion) -> Finding:
        """The finding after the review; without a diagnosis the analyst's stands, and says why."""
        paid = {"review": opinion.says, "cost_nanos": self._finding.cost_nanos + opinion.cost_nanos}
        if opinion.diagnosis is None:
            return self._finding.model_copy(update=paid)
        causes = weigh(self._finding.causes, opinion.diagnosis)
        known: dict[str, Datum] = {name: value for name, value in self._finding.facts.items() if value is not None}
        return self._finding.model_copy(
            update={
                **paid,
                "made_by": "reasoner",
                "causes": causes,
                "focus": focus(causes[0].cause, self._case.core, known),
                "evidence": (*self._finding.evidence, *self._cited(opinion.diagnosis)),
            }
        )

    def _cited(self, diagnosis: Diagnosis) -> tuple[object, ...]:
        named = [*diagnosis.evidence, *(one for ruled in diagnosis.ruled_out for one in ruled.evidence)]
        return tuple(self._questions.asked[key] for key in dict.fromkeys(named) if key in self._questions.asked)
