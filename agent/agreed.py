"""What was agreed about money, from the configuration and from imports; a name in the configuration wins."""

from agent.settings import Settings
from store.ledger.ledger import Ledger
from store.model.budget import Budget
from store.model.charge import Charge


def agreed_budgets(settings: Settings, ledger: Ledger) -> list[Budget]:
    """All budgets, by name."""
    found = {one.name: one for one in (*ledger.budgets(), *settings.budgets)}
    return [found[name] for name in sorted(found)]


def agreed_charges(settings: Settings, ledger: Ledger) -> list[Charge]:
    """All charges, by name."""
    found = {one.name: one for one in (*ledger.charges(), *settings.charges)}
    return [found[name] for name in sorted(found)]
