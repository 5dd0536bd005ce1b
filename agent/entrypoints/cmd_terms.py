"""`bursar budgets` and `bursar charges`: what was planned and what was agreed, from files that people have."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from agent.agreed import agreed_budgets, agreed_charges
from agent.entrypoints.console import note, print_json, print_table, say
from agent.entrypoints.options import options, utc_now
from store.errors import BadInput
from store.model.budget import Budget, budgets_in_force
from store.model.charge import Charge
from store.model.money import usd_number, usd_text
from store.model.usage import Window, iso
from tools.terms import read_budgets, read_charges

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
File = Annotated[Path, typer.Argument(metavar="FILE")]

budgets = typer.Typer(help="Budgets: how much a part of the traffic may spend in each period.", no_args_is_help=True)
charges = typer.Typer(help="Charges that no token brings about: seats, commitments, capacity.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(budgets, name="budgets")
    app.add_typer(charges, name="charges")


@budgets.command("import")
def import_budgets(context: typer.Context, file: File, json_: Json = False) -> None:
    """Read budgets from YAML, CSV or a LiteLLM answer (.json); a name that is known is replaced."""
    found, passed_over = read_budgets(file)
    with options(context).ledger() as ledger:
        ledger.save_budgets(found, by=getpass.getuser())
    for reason in passed_over:
        note(f"passed over: {reason}")
    if json_:
        print_json({"imported": [one.name for one in found], "passed_over": passed_over})
    else:
        say(f"{len(found)} budgets: " + ", ".join(one.name for one in found))


@budgets.command("list")
def list_budgets(context: typer.Context, json_: Json = False) -> None:
    """Say how each budget that holds now stands: planned and spent in its running period."""
    opts, now = options(context), utc_now()
    with opts.ledger() as ledger, opts.reading() as warehouse:
        known = agreed_budgets(opts.settings, ledger)
        standing = []
        for budget in budgets_in_force(known, now):
            window = budget.window(now)
            so_far = Window(start=window.start, end=now)
            spent = warehouse.cube(so_far, bucket_seconds=3600, dims=(), scope=budget.scope).total("cost_nanos")
            standing.append((budget, window, spent))
    if json_:
        print_json([_budget_document(*one) for one in standing])
        return
    rows = [
        [b.name, b.scope.text, b.period, usd_text(b.usd_nanos), usd_text(spent), f"{iso(w.end)}", b.origin]
        for b, w, spent in standing
    ]
    columns = ["budget", "scope", "period", "planned", "spent so far", "until", "from"]
    print_table(columns, rows, empty="no budgets; add `budgets:` to the configuration or `bursar budgets import FILE`")


@budgets.command("remove")
def remove_budget(context: typer.Context, name: str) -> None:
    """Forget an imported budget."""
    with options(context).ledger() as ledger:
        if not ledger.remove_term("budget", name, by=getpass.getuser()):
            raise BadInput(
                f"no imported budget {name!r}; `bursar budgets list` names them, those from config stay there"
            )
    say(f"removed {name}")


@charges.command("import")
def import_charges(context: typer.Context, file: File, json_: Json = False) -> None:
    """Read charges from YAML or CSV; a name that is known is replaced."""
    found = read_charges(file)
    with options(context).ledger() as ledger:
        ledger.save_charges(found, by=getpass.getuser())
    if json_:
        print_json({"imported": [one.name for one in found]})
    else:
        say(f"{len(found)} charges: " + ", ".join(one.name for one in found))


@charges.command("list")
def list_charges(context: typer.Context, json_: Json = False) -> None:
    """List all charges; `bursar reconcile` says what they come to in a month."""
    opts = options(context)
    with opts.ledger() as ledger:
        known = agreed_charges(opts.settings, ledger)
    if json_:
        print_json([one.model_dump(mode="json") for one in known])
        return
    columns = ["charge", "kind", "provider", "scope", "amount", "from", "until"]
    print_table(columns, [_charge_row(one) for one in known], empty="no charges")


@charges.command("remove")
def remove_charge(context: typer.Context, name: str) -> None:
    """Forget an imported charge."""
    with options(context).ledger() as ledger:
        if not ledger.remove_term("charge", name, by=getpass.getuser()):
            raise BadInput(
                f"no imported charge {name!r}; `bursar charges list` names them, those from config stay there"
            )
    say(f"removed {name}")


def _budget_document(budget: Budget, window: Window, spent_nanos: int) -> dict[str, object]:
    return {
        "name": budget.name,
        "scope": budget.scope.as_dict(),
        "period": budget.period,
        "window": {"start": iso(window.start), "end": iso(window.end)},
        "budget_usd": usd_number(budget.usd_nanos),
        "spent_usd": usd_number(spent_nanos),
        "left_usd": usd_number(budget.usd_nanos - spent_nanos),
        "origin": budget.origin,
    }


def _charge_row(one: Charge) -> list[str]:
    return [
        one.name,
        one.kind,
        one.provider,
        one.scope.text,
        f"{one.amount:f} {one.currency} {'a ' + one.every if one.every else 'once'}",
        iso(one.starts_at),
        iso(one.ends_at) if one.ends_at else "",
    ]
