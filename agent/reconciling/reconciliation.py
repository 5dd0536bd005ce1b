"""The result of reconciling a month: gateway, provider and invoice, their differences, and what each team spent."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from agent.reconciling.amounts import NOTHING, Amounts, total
from agent.reconciling.cells import Cell
from agent.reconciling.differences import Difference, merged
from agent.reconciling.teams import Money, TeamLine
from store.model.budget import Budget
from store.model.charge import ChargeAmounts
from store.model.usage import Window

RESTATED = timedelta(days=35)
"""So long after its end a provider may still restate a month (DESIGN 4: the lateness window of FOCUS rows)."""


class BudgetLine(NamedTuple):
    """A budget's part of the month, and what was spent of it at our prices."""

    budget: Budget
    budget_nanos: int
    spent_nanos: int


class Unconverted(NamedTuple):
    """Billed rows in a currency that has no dated rate: kept, named, and in no sum."""

    provider: str
    currency: str
    amount: str
    rows: int


class Reconciliation(NamedTuple):
    """Everything that `bursar reconcile` says. Amounts of different kinds are never added to each other."""

    window: Window
    made_at: datetime
    by_provider: Mapping[str, Amounts]
    """What the gateway saw of each provider."""
    money: Money
    usage: Sequence[Cell]
    bills: Sequence[Cell]
    teams: Sequence[TeamLine]
    charges: Sequence[ChargeAmounts]
    budgets: Sequence[BudgetLine]
    compared: Sequence[tuple[str, str, str]]
    """(provider, "usage" or "invoice", source)."""
    passed_over: Sequence[tuple[str, str, str]]
    """The same of sources that report the same once more."""
    unreferenced: Sequence[str]
    """Providers that the gateway used and no reference source says anything of."""
    unconverted: Sequence[Unconverted]

    @property
    def gateway(self) -> Amounts:
        """What the gateway saw."""
        return total(self.by_provider.values())

    @property
    def provisional(self) -> bool:
        """Whether the month may still change."""
        return self.made_at < self.window.end + RESTATED

    @property
    def usage_differences(self) -> list[Difference]:
        """Gateway minus provider, over the providers that count."""
        return merged(one for cell in self.usage for one in cell.differences)

    @property
    def invoice_differences(self) -> list[Difference]:
        """Invoice minus usage, over the providers that bill."""
        return merged(one for cell in self.bills for one in cell.differences)

    @property
    def unallocated(self) -> TeamLine | None:
        """What belongs to no team."""
        return next((line for line in self.teams if line.team == "(none)"), None)


class Compared(NamedTuple):
    """One provider's three books; None where no source keeps that book."""

    provider: str
    gateway: Amounts
    counted: Amounts | None
    billed: Amounts | None
    usage_differences: Sequence[Difference]
    invoice_differences: Sequence[Difference]


def by_provider(found: Reconciliation) -> list[Compared]:
    """One line for each provider, sorted."""
    names = sorted({*found.by_provider, *(cell.provider for cell in (*found.usage, *found.bills))})
    return [
        Compared(
            provider=name,
            gateway=found.by_provider.get(name, NOTHING),
            counted=_right(found.usage, name),
            billed=_right(found.bills, name),
            usage_differences=_apart(found.usage, name),
            invoice_differences=_apart(found.bills, name),
        )
        for name in names
    ]


def _right(cells: Iterable[Cell], provider: str) -> Amounts | None:
    mine = [cell.right for cell in cells if cell.provider == provider]
    return total(mine) if mine else None


def _apart(cells: Iterable[Cell], provider: str) -> list[Difference]:
    return merged(one for cell in cells if cell.provider == provider for one in cell.differences)
