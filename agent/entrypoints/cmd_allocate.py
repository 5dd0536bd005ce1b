"""`bursar allocate`: today's allocation rules and currency rates for usage that is stored already."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from agent.entrypoints.console import note, print_json, say
from agent.entrypoints.door import ServiceDoor
from agent.entrypoints.options import moment, options, utc_now
from agent.steps.reallocate import reallocate, reallocated
from agent.stores import open_warehouse_at
from store.errors import BadInput, Busy
from store.model.amendment import Amendment
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
    """Apply `allocation.rules` and `currencies` to stored usage; new usage gets them as it comes in.

    Works beside `bursar serve`.
    """
    opts = options(context)
    settings = opts.settings
    if not settings.allocation.rules and not settings.currencies:
        raise BadInput("nothing to apply: the configuration has neither `allocation: {rules: [...]}` nor `currencies:`")
    start, end = moment(from_, option="--from"), moment(to, option="--to")
    if end <= start:
        raise BadInput(f"--to: {to} is not after --from {from_}")
    window = Window(start=start, end=end)
    try:
        with opts.warehouse() as warehouse:
            changed = reallocate(warehouse=warehouse, window=window, amendment=settings.amendment, keep=not dry_run)
            if not dry_run:
                warehouse.roll_up()
    except Busy:
        changed = _beside_the_service(ServiceDoor(settings.data_dir), window, settings.amendment, keep=not dry_run)
        note("the running service gives new usage the rules that it started with; restart it when they changed")
    if json_:
        print_json({"changed": changed, "dry_run": dry_run})
        return
    say(f"{changed} records {'would be' if dry_run else 'were'} changed")
    if changed and not dry_run:
        note("incidents that were found before keep the scope that they had")


def _beside_the_service(door: ServiceDoor, window: Window, amendment: Amendment, *, keep: bool) -> int:
    """Change a copy of the service's records, and hand the changed ones back; what became newer meanwhile stays."""
    door.exchange.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=door.exchange) as name:
        folder = Path(name)
        copy = door.snapshot(window).rename(folder / "before.parquet")
        mine = open_warehouse_at(folder / "changed.duckdb", clock=utc_now)
        try:
            changed = 0
            for role, records in reallocated(snapshot=copy, amendment=amendment):
                changed += len(records)
                mine.append(records, role=role)
            if not keep or not changed:
                return changed
            written = mine.snapshot(window, folder)
        finally:
            mine.close()
        handed = written.rename(door.exchange / f"{folder.name}{written.suffix}")
        return door.append(handed, role="metered", quarantined=()).superseded
