"""How the money stands: this month's spend by team and kind, what belongs to nobody, budgets, and what is in doubt."""

from datetime import datetime, timedelta
from typing import Any

from agent.agreed import agreed_budgets, agreed_charges
from agent.reconciling.teams import Money
from agent.reconciling.value import spending
from agent.settings import Settings
from store.ledger.ledger import Ledger
from store.model.budget import budgets_in_force, period_window
from store.model.charge import amounts_in
from store.model.money import usd_number
from store.model.ports import Warehouse
from store.model.usage import NONE, Window, floor_to, iso
from store.prices import PriceBook

Document = dict[str, Any]

_HOURS = 24


def standing(settings: Settings, *, ledger: Ledger, warehouse: Warehouse, now: datetime) -> Document:
    """The part of `bursar status` that is about money: amounts in USD, of this calendar month (UTC) until now.

    Kinds are not added to each other: list value, as contracted, and the marginal cash among it. Usage on seats has
    list value and no marginal cash; what the seats cost stands under `charges`.
    """
    month = period_window("month", now)
    tomorrow = floor_to(now, 86_400) + timedelta(days=1)
    spent = spending(
        warehouse,
        Window(start=month.start, end=tomorrow),
        shared=settings.allocation.shared,
        table_for=PriceBook().table_for,
        overridden=lambda key: any(one.covers(key) for one in settings.prices),
    )
    allocated = spent.allocated
    return {
        "usd_per_hour": usd_number(_last_day(warehouse, now) // _HOURS),
        "spend_this_month": {
            **_money(spent.whole),
            "teams": [{"team": team, **_money(allocated[team])} for team in sorted(allocated)],
            "unallocated": _money(allocated.get(NONE, Money())),
        },
        "charges_this_month": [
            {
                "name": one.charge.name,
                "kind": one.charge.kind,
                "scope": one.charge.scope.as_dict(),
                "billed_usd": None if one.billed_nanos is None else usd_number(one.billed_nanos),
            }
            for charge in agreed_charges(settings, ledger)
            if (one := amounts_in(charge, month, settings.currencies))
        ],
        "budgets": [
            {
                "name": one.name,
                "scope": one.scope.as_dict(),
                "period": one.period,
                "budget_usd": usd_number(one.usd_nanos),
                "spent_usd": usd_number(
                    warehouse.cube(
                        Window(start=one.window(now).start, end=now), bucket_seconds=3600, dims=(), scope=one.scope
                    ).total("cost_nanos")
                ),
            }
            for one in budgets_in_force(agreed_budgets(settings, ledger), now)
        ],
        "trust": [
            {"scope": doubt.scope.as_dict(), "kind": doubt.kind, "since": iso(doubt.since), "says": doubt.says}
            for doubt in ledger.trust()
        ],
    }


def standing_lines(document: Document) -> dict[str, list[str]]:
    """The same for people, under the same keys."""
    spend = document["spend_this_month"]
    return {
        "usd_per_hour": [f"${document['usd_per_hour']:,.2f} over the last {_HOURS} hours"],
        "spend_this_month": [
            _line("all", spend),
            *(_line(team["team"], team) for team in spend["teams"] if team["team"] != NONE),
            _line("unallocated", spend["unallocated"]),
        ],
        "charges_this_month": [
            f"{one['name']} ({one['kind']}) billed "
            + ("without a dated rate" if one["billed_usd"] is None else f"${one['billed_usd']:,.2f}")
            for one in document["charges_this_month"]
        ],
        "budgets": [
            f"{one['name']}: ${one['spent_usd']:,.2f} of ${one['budget_usd']:,.2f} a {one['period']}"
            for one in document["budgets"]
        ],
        "trust": [f"{one['kind']}: {one['says']} (since {one['since']})" for one in document["trust"]],
    }


def _line(name: str, money: Document) -> str:
    return (
        f"{name}: list value ${money['list_usd']:,.2f}, contracted ${money['contracted_usd']:,.2f}, "
        f"marginal cash ${money['marginal_cash_usd']:,.2f}"
    )


def _last_day(warehouse: Warehouse, now: datetime) -> int:
    until = floor_to(now, 3600)
    day = Window(start=until - timedelta(hours=_HOURS), end=until)
    return warehouse.cube(day, bucket_seconds=3600, dims=()).total("cost_nanos")


def _money(money: Money) -> Document:
    return {
        "list_usd": usd_number(money.list_nanos),
        "contracted_usd": usd_number(money.cost_nanos),
        "marginal_cash_usd": usd_number(money.cash_nanos),
    }
