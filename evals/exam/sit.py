"""Has the shipped service sit a case: its records in a warehouse in memory, a backtest over the hours of the onset."""

from collections.abc import Callable, Sequence

from agent.backtest import Backtest, backtest
from agent.policy import SHIPPED_RULES, Policy, Rule, When
from agent.reviewer import Reviewer
from agent.settings import Settings
from agent.stores import open_warehouse_at
from evals.exam.stage import Staged
from store.ledger.ledger import Ledger
from store.model.ports import Clock
from store.model.usage import UsageRecord

STEP_SECONDS = 3600
POLICY = Policy(
    mode="auto",
    approvers=("dana",),
    rules=(
        *SHIPPED_RULES,
        Rule(name="known-cause", when=When(risk=("low", "medium"), min_confidence=0.7), verdict="apply"),
    ),
)
"""Bolder than the shipped rules: whatever low or medium risk allows is applied, so that a wrong remedy would show."""


def sit(
    staged: Staged,
    history: Sequence[UsageRecord],
    after: Sequence[UsageRecord],
    *,
    reviewer_for: Callable[[Ledger, Clock], Reviewer] | None = None,
) -> Backtest:
    """What the service would have opened, found, proposed and ruled with these records."""
    warehouse = open_warehouse_at(None, clock=lambda: staged.look.end)
    try:
        warehouse.append(history)
        warehouse.append(after)
        return backtest(
            warehouse=warehouse,
            settings=Settings(policy=POLICY, prices=staged.prices),
            window=staged.look,
            step_seconds=STEP_SECONDS,
            progress=lambda _now, _incidents: None,
            reviewer_for=reviewer_for,
        )
    finally:
        warehouse.close()
