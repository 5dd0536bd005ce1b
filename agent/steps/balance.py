"""balance: read a month's books from the warehouse and set them against each other; writes nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from agent.reconciling.amounts import NOTHING, Amounts, Tokens
from agent.reconciling.books import (
    DAY,
    HOUR,
    METERED_DIMS,
    REFERENCE_DIMS,
    Place,
    gateway_rows,
    invoices,
    provider_usage,
)
from agent.reconciling.cells import RatesOf, bill_cells, usage_cells
from agent.reconciling.reconciliation import BudgetLine, Reconciliation, Unconverted
from agent.reconciling.teams import team_lines
from agent.reconciling.value import Covers, TableFor, models_of, spending
from store.model.allocation import SharedCost
from store.model.budget import Budget
from store.model.charge import Charge, amounts_in
from store.model.currency import CurrencyRate
from store.model.model_name import plain_model
from store.model.ports import Warehouse
from store.model.prices import PriceKey, PriceTable
from store.model.usage import NONE, Scope, Window

_EDGE = timedelta(days=1)
"""How far beyond the month the hours are read: a provider's days may begin half a day earlier or later."""


def balance(
    *,
    warehouse: Warehouse,
    month: Window,
    now: datetime,
    table_for: TableFor,
    list_table_for: TableFor,
    overridden: Covers,
    shared: Sequence[SharedCost] = (),
    charges: Sequence[Charge] = (),
    budgets: Sequence[Budget] = (),
    currencies: Sequence[CurrencyRate] = (),
) -> Reconciliation:
    """Reconcile one month of whole UTC days.

    Args:
        warehouse: metered and reference usage.
        month: the window; it starts and ends at midnight UTC.
        now: decides whether the month may still be restated.
        table_for: the price book with the operator's own prices.
        list_table_for: the price book alone.
        overridden: whether the operator has a price of his own for a model.
        shared: costs that several teams share.
        charges: money that no token brings about.
        budgets: what was planned.
        currencies: what other currencies were worth.
    """
    around = Window(start=month.start - _EDGE, end=month.end + _EDGE)
    metered = warehouse.cube(around, bucket_seconds=HOUR, dims=METERED_DIMS)
    reference = warehouse.cube(around, bucket_seconds=HOUR, dims=REFERENCE_DIMS, role="reference")
    gateway = gateway_rows(metered)
    counted, counted_twice = provider_usage(reference)
    billed, billed_twice = invoices(reference)
    inside = {place: amounts for place, amounts in gateway.items() if _within(place, month)}
    models = models_of(metered) | models_of(reference)
    usage = usage_cells(gateway, counted, month=month, rates_of=_rates_of(table_for(models)))
    bills = bill_cells(gateway, counted, billed, month=month)
    spent = spending(warehouse, month, shared=shared, table_for=list_table_for, overridden=overridden)
    charged = [found for one in charges if (found := amounts_in(one, month, currencies))]
    return Reconciliation(
        window=month,
        made_at=now,
        by_provider=_by_provider(inside),
        money=spent.whole,
        usage=usage,
        bills=bills,
        teams=team_lines(
            gateway=inside, money=spent.own, usage=usage, bills=bills, shares=spent.shares, charges=charged
        ),
        charges=charged,
        budgets=_budget_lines(warehouse, month, budgets),
        compared=[
            *((provider, "usage", one.source) for provider, one in sorted(counted.items())),
            *((provider, "invoice", one.source) for provider, one in sorted(billed.items())),
        ],
        passed_over=[
            *((provider, "usage", source) for provider, source in counted_twice),
            *((provider, "invoice", source) for provider, source in billed_twice),
        ],
        unreferenced=sorted({place.provider for place in inside} - counted.keys() - billed.keys()),
        unconverted=_unconverted(warehouse, month),
    )


def _within(place: Place, month: Window) -> bool:
    return month.start.timestamp() <= place.hour < month.end.timestamp()


def _by_provider(rows: dict[Place, Amounts]) -> dict[str, Amounts]:
    found: dict[str, Amounts] = {}
    for place, amounts in rows.items():
        found[place.provider] = found.get(place.provider, NOTHING).plus(amounts)
    return found


def _rates_of(table: PriceTable) -> RatesOf:
    known: dict[tuple[str, str], PriceKey] = {}
    for key in sorted(table.prices):
        known.setdefault((key.provider, plain_model(key.model)), key)

    def rates(provider: str, model: str, day: int) -> Tokens | None:
        key = known.get((provider, model))
        price = table.price_at(key, day * DAY * 10**6) if key else None
        return price.rates.by_class() if price else None

    return rates


def _budget_lines(warehouse: Warehouse, month: Window, budgets: Sequence[Budget]) -> list[BudgetLine]:
    lines = []
    for budget in sorted(budgets, key=lambda one: one.name):
        planned = budget.share_nanos(month)
        if planned:
            spent = warehouse.cube(month, bucket_seconds=DAY, dims=(), scope=budget.scope).total("cost_nanos")
            lines.append(BudgetLine(budget, planned, spent))
    return lines


def _unconverted(warehouse: Warehouse, month: Window) -> list[Unconverted]:
    dims = ("provider", "tags.billing_currency")
    found = []
    cube = warehouse.cube(month, bucket_seconds=DAY, dims=dims, role="reference")
    pairs = {
        (cube.values[dims[0]][p], cube.values[dims[1]][c])
        for p, c in zip(cube.codes[dims[0]].tolist(), cube.codes[dims[1]].tolist(), strict=True)
    }
    for provider, currency in sorted(pairs):
        if currency == NONE:
            continue
        scope = Scope.of({"provider": provider, "tags.billing_currency": currency})
        records = warehouse.records(month, scope=scope, columns=("tags", "billed_nanos"), role="reference")
        open_rows = [
            Decimal(dict(tags)["billed_cost"])
            for tags, nanos in zip(records.column("tags"), records.column("billed_nanos").tolist(), strict=True)
            if not nanos and "billed_cost" in dict(tags)
        ]
        open_rows = [amount for amount in open_rows if amount]
        if open_rows:
            found.append(Unconverted(provider, currency, format(sum(open_rows), "f"), len(open_rows)))
    return found
