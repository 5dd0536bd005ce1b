"""`bursar allocate`: today's allocation rules and currency rates for usage that is stored already."""

from typing import Annotated

import typer

from agent.entrypoints.console import note, print_json, say
from agent.entrypoints.options import moment, options
from agent.steps.reallocate import reallocate
from store.errors import BadInput
from store.model.usage import Window


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(allocate)


def allocate(
    context: typer.Context,
    from_: Annotated[str, typer.Option("--from", help="ISO 8601.")],
    to: Annotated[str, typer.Option("--to", help="ISO 8601, not included.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Apply `allocation.rules` and `currencies` to stored usage; new usage gets them as it comes in."""
    opts = options(context)
    settings = opts.settings
    if not settings.allocation.rules and not settings.currencies:
        raise BadInput("nothing to apply: the configuration has neither `allocation: {rules: [...]}` nor `currencies:`")
    start, end = moment(from_, option="--from"), moment(to, option="--to")
    if end <= start:
        raise BadInput(f"--to: {to} is not after --from {from_}")
    window = Window(start=start, end=end)
    # The warehouse itself: a running service holds it, and Busy says what to do.
    with opts.warehouse() as warehouse:
        changed = reallocate(warehouse=warehouse, window=window, amendment=settings.amendment, keep=not dry_run)
        if not dry_run:
            warehouse.roll_up()
    if json_:
        print_json({"changed": changed, "dry_run": dry_run})
        return
    say(f"{changed} records {'would be' if dry_run else 'were'} changed")
    if changed and not dry_run:
        note("incidents that were found before keep the scope that they had")
