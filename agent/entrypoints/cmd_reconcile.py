"""`bursar reconcile`: a month's gateway usage against what the providers counted and billed."""

import re
from datetime import UTC, datetime
from typing import Annotated

import typer

from agent.agreed import agreed_budgets, agreed_charges
from agent.entrypoints.console import print_json, print_table, say
from agent.entrypoints.options import options, utc_now
from agent.entrypoints.reconciled import provider_lines, reconciliation_document, team_rows
from agent.reconciling.differences import MEANING
from agent.reconciling.reconciliation import Reconciliation
from agent.steps.balance import balance
from store.errors import BadInput
from store.model.budget import period_window
from store.model.money import usd_text
from store.model.usage import Window
from store.prices import PriceBook

_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(reconcile)


def reconcile(
    context: typer.Context,
    month: Annotated[str, typer.Option(help="A calendar month in UTC, such as 2026-10.")],
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Set the gateway's usage of a month against what the providers counted and billed, and name every difference."""
    window, opts = month_window(month), options(context)
    settings = opts.settings
    with opts.ledger() as ledger, opts.reading() as warehouse:
        found = balance(
            warehouse=warehouse,
            month=window,
            now=utc_now(),
            table_for=PriceBook(settings.prices).table_for,
            list_table_for=PriceBook().table_for,
            overridden=lambda key: any(one.covers(key) for one in settings.prices),
            shared=settings.allocation.shared,
            charges=agreed_charges(settings, ledger),
            budgets=agreed_budgets(settings, ledger),
            currencies=settings.currencies,
        )
    if json_:
        print_json(reconciliation_document(found, month))
    else:
        _tell(found, month)


def month_window(text: str) -> Window:
    """The month in UTC.

    Raises:
        BadInput: it is not a month.
    """
    match = _MONTH.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= 12 or int(match[1]) < 2000:
        raise BadInput(f"--month: not a calendar month: {text!r}; write it as 2026-10")
    return period_window("month", datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC))


def _tell(found: Reconciliation, month: str) -> None:
    state = "provisional: providers may still restate it" if found.provisional else "final"
    say(f"{month} ({state}). Amounts of different kinds are not added to each other.")
    money = found.money
    say(
        f"usage: list value {usd_text(money.list_nanos)}, as contracted {usd_text(money.cost_nanos)}, "
        f"marginal cash {usd_text(money.cash_nanos)}"
    )
    for one in found.charges:
        billed = (
            f"{one.unconverted:f} {one.charge.currency}" if one.billed_nanos is None else usd_text(one.billed_nanos)
        )
        say(f"charge: {one.charge.name} ({one.charge.kind}) billed {billed}")
    columns = ["provider", "gateway, our prices", "provider, our prices", "invoice"]
    print_table(columns, provider_lines(found), empty="no usage and no invoice in this month")
    for title, apart in (
        ("gateway less provider", found.usage_differences),
        ("invoice less usage", found.invoice_differences),
    ):
        rows = [[one.name, f"{sum(one.tokens):,}", usd_text(one.nanos), MEANING[one.name]] for one in apart]
        if rows:
            print_table([title, "tokens", "USD", "what it is"], rows, empty="")
    columns = [
        "team",
        "list value",
        "contracted",
        "marginal cash",
        "shared",
        "charges billed",
        "invoice",
        "differences",
    ]
    if found.teams:
        print_table(columns, team_rows(found), empty="")
    rows = [
        [line.budget.name, line.budget.scope.text, usd_text(line.budget_nanos), usd_text(line.spent_nanos)]
        for line in found.budgets
    ]
    if rows:
        print_table(["budget", "scope", "this month", "spent"], rows, empty="")
    for provider in found.unreferenced:
        say(f"not compared: no reference source says anything of {provider}")
    for provider, what, source in found.passed_over:
        say(f"not counted twice: source {source} reports the {what} of {provider} as well")
    for one_row in found.unconverted:
        say(
            f"not converted: {one_row.rows} billed rows of {one_row.provider}, {one_row.amount} {one_row.currency}: "
            "no dated rate; add one under `currencies:`"
        )
