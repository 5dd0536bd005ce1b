"""Let a part of the traffic spend so much a day and no more."""

from pydantic import Field

from playbooks.estimate import case_of, draft
from playbooks.normal import normal_spend
from playbooks.playbook import DAY, Draft, Params, Playbook, ProposalFacts
from playbooks.replay.limits import replay_budget
from playbooks.targets import limit_target
from store.model.incident import Finding
from store.model.money import NANOS_PER_CENT, usd_text
from store.model.remedy import SetBudget


class BudgetCapParams(Params):
    """Bounds keep the budget above what is normally spent."""

    multiple_percent: int = Field(default=200, ge=110, le=1000)
    """Of a normal day's spend."""
    floor_cents: int = Field(default=500, ge=100, le=10_000_000)
    """Never a budget below this many US cents a day."""


class BudgetCap(Playbook):
    """Gives the target a daily budget of a multiple of a normal day, beyond which its gateway refuses everything.

    Fits: one user, key or job that burns money in a way that no rate limit catches. The last resort: once the budget
    is spent, good requests are refused with bad ones until the next day. Never put forward by itself (quality_cost 1).
    Parameters: `multiple_percent` (110 to 1,000) of a normal day, `floor_cents` (100 to 10,000,000), `lease_hours`
    (0.01 to 168).
    Risk: medium. Everything of the target stops when the budget is spent.
    Undo: the budget is removed; the next request passes.
    Verified: half of the replayed share of the excess is gone within an hour, errors flat, refusals as replayed.
    """

    name = "budget_cap"
    causes = ("denial_of_wallet", "batch_backfill", "agent_loop")
    kinds = ("set_budget",)
    risk = "medium"
    reversible = True
    params = BudgetCapParams
    quality_cost = 1.0
    harm_if_wrong = 1.0

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """A daily budget; None where normal is not known, nothing would be refused, or no gateway keeps budgets."""
        assert isinstance(params, BudgetCapParams)
        case = case_of(self, finding, facts, limit_target(finding))
        if case is None or case.reference_records.rows == 0:
            return None
        day = normal_spend(case.reference_records, DAY)
        wanted = max(params.floor_cents * NANOS_PER_CENT, day * params.multiple_percent // 100)
        budget = -(-wanted // NANOS_PER_CENT) * NANOS_PER_CENT
        return draft(
            self,
            case,
            SetBudget(target=case.target, max_nanos=budget, period="day"),
            replay_budget(case.records, max_nanos=budget),
            params,
            quality_note=f"After {usd_text(budget)} in a day everything is refused; a normal day is {usd_text(day)}.",
            undo_note="The budget is removed; the next request passes.",
        )
