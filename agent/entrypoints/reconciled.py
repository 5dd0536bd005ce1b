"""A reconciliation as the document and the rows that the command line prints."""

from collections.abc import Iterable

from agent.reconciling.amounts import Amounts, by_class
from agent.reconciling.cells import Cell
from agent.reconciling.differences import Difference
from agent.reconciling.reconciliation import Compared, Reconciliation, by_provider
from agent.reconciling.teams import Money, TeamLine
from store.model.charge import ChargeAmounts
from store.model.money import usd_number, usd_text
from store.model.usage import iso

Document = dict[str, object]


def reconciliation_document(found: Reconciliation, month: str) -> Document:
    """What `bursar reconcile --json` prints: amounts in USD, by kind; differences add up to what they explain."""
    unallocated = found.unallocated
    return {
        "month": month,
        "window": {"start": iso(found.window.start), "end": iso(found.window.end)},
        "provisional": found.provisional,
        "usage": {**_usage(found.gateway), **_money(found.money)},
        "gateway_less_provider": [_difference(one) for one in found.usage_differences],
        "invoice_less_usage": [_difference(one) for one in found.invoice_differences],
        "providers": [_provider(one) for one in by_provider(found)],
        "days": {
            "gateway_provider": [_cell(cell, "gateway", "provider") for cell in found.usage],
            "usage_invoice": [_cell(cell, "usage", "invoice") for cell in found.bills],
        },
        "teams": [_team(line) for line in found.teams],
        "unallocated": _money(unallocated.allocated) if unallocated else _money(Money()),
        "charges": [_charge(one) for one in found.charges],
        "budgets": [
            {
                "name": line.budget.name,
                "scope": line.budget.scope.as_dict(),
                "period": line.budget.period,
                "budget_usd": usd_number(line.budget_nanos),
                "spent_usd": usd_number(line.spent_nanos),
                "left_usd": usd_number(line.budget_nanos - line.spent_nanos),
            }
            for line in found.budgets
        ],
        "compared": [dict(zip(_SOURCE, one, strict=True)) for one in found.compared],
        "passed_over": [dict(zip(_SOURCE, one, strict=True)) for one in found.passed_over],
        "not_compared": list(found.unreferenced),
        "unconverted": [one._asdict() for one in found.unconverted],
    }


def provider_lines(found: Reconciliation) -> list[list[str]]:
    """One row for each provider; empty where no source keeps that book."""
    return [
        [
            one.provider,
            usd_text(one.gateway.cost_nanos),
            usd_text(one.counted.cost_nanos) if one.counted else "",
            usd_text(one.billed.billed_nanos) if one.billed else "",
        ]
        for one in by_provider(found)
    ]


def team_rows(found: Reconciliation) -> list[list[str]]:
    """One row for each team."""
    return [
        [
            line.team,
            usd_text(line.allocated.list_nanos),
            usd_text(line.allocated.cost_nanos),
            usd_text(line.allocated.cash_nanos),
            usd_text(sum(share.money.cost_nanos for share in line.shares)) if line.shares else "",
            "; ".join(_charged(one) for one in line.charges),
            "" if line.billed_nanos is None else usd_text(line.billed_nanos),
            "; ".join(f"{one.name} {usd_text(one.nanos)}" for one in line.usage_differences),
        ]
        for line in found.teams
    ]


_SOURCE = ("provider", "book", "source")


def _charged(one: ChargeAmounts) -> str:
    billed = f"{one.unconverted:f} {one.charge.currency}" if one.billed_nanos is None else usd_text(one.billed_nanos)
    return f"{one.charge.kind} {billed}"


def _usage(amounts: Amounts) -> Document:
    return {"requests": amounts.requests, "tokens": by_class(amounts.tokens), "unpriced_requests": amounts.unpriced}


def _money(money: Money) -> Document:
    return {
        "list_usd": usd_number(money.list_nanos),
        "contracted_usd": usd_number(money.cost_nanos),
        "marginal_cash_usd": usd_number(money.cash_nanos),
    }


def _difference(one: Difference) -> Document:
    return {"name": one.name, "tokens": by_class(one.tokens), "usd": usd_number(one.nanos)}


def _differences(found: Iterable[Difference]) -> list[Document]:
    return [_difference(one) for one in found]


def _provider(one: Compared) -> Document:
    return {
        "provider": one.provider,
        "gateway": _side(one.gateway),
        "counted": _side(one.counted),
        "billed_usd": usd_number(one.billed.billed_nanos) if one.billed else None,
        "gateway_less_provider": _differences(one.usage_differences),
        "invoice_less_usage": _differences(one.invoice_differences),
    }


def _side(amounts: Amounts | None) -> Document | None:
    if amounts is None:
        return None
    return {
        **_usage(amounts),
        "contracted_usd": usd_number(amounts.cost_nanos),
        "says_billed_usd": usd_number(amounts.billed_nanos),
    }


def _cell(cell: Cell, left: str, right: str) -> Document:
    money = cell.right.billed_nanos if right == "invoice" else cell.right.cost_nanos
    return {
        "provider": cell.provider,
        "model": cell.model,
        "day": cell.day.isoformat(),
        "team": cell.team,
        left: {"tokens": by_class(cell.left.tokens), "usd": usd_number(cell.left.cost_nanos)},
        right: {"tokens": by_class(cell.right.tokens), "usd": usd_number(money)},
        "differences": _differences(cell.differences),
    }


def _team(line: TeamLine) -> Document:
    return {
        "team": line.team,
        **_usage(line.usage),
        "own": _money(line.money),
        "shared": [{"name": share.shared, "method": share.method, **_money(share.money)} for share in line.shares],
        "allocated": _money(line.allocated),
        "charges": [_charge(one) for one in line.charges],
        "counted_usd": None if line.counted is None else usd_number(line.counted.cost_nanos),
        "billed_usd": None if line.billed_nanos is None else usd_number(line.billed_nanos),
        "gateway_less_provider": _differences(line.usage_differences),
        "invoice_less_usage": _differences(line.invoice_differences),
    }


def _charge(one: ChargeAmounts) -> Document:
    amounts = {
        "list_usd": one.list_nanos,
        "contracted_usd": one.contracted_nanos,
        "billed_usd": one.billed_nanos,
        "effective_usd": one.effective_nanos,
    }
    return {
        "name": one.charge.name,
        "kind": one.charge.kind,
        "provider": one.charge.provider,
        "scope": one.charge.scope.as_dict(),
        **{name: None if nanos is None else usd_number(nanos) for name, nanos in amounts.items()},
        "unconverted": f"{one.unconverted:f} {one.charge.currency}" if one.unconverted else None,
    }
