"""`bursar export focus`: LLM usage as FOCUS rows, for the tools that hold the rest of the cloud bill."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from agent.entrypoints.console import note, print_json, say
from agent.entrypoints.options import moment, options
from store.errors import BadInput
from store.ledger.ledger import Ledger
from store.model.usage import Window
from store.prices import PriceBook
from tools.focus.export import FocusRow, Marks, focus_rows
from tools.focus.marks import Mark
from tools.focus.write import write_csv, write_focus

export = typer.Typer(help="Usage in the words of other tools.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(export, name="export")


@export.callback()
def about() -> None:
    """Usage in the words of other tools."""


@export.command()
def focus(
    context: typer.Context,
    from_: Annotated[str, typer.Option("--from", help="The first day, ISO 8601, midnight UTC.")],
    to: Annotated[str, typer.Option("--to", help="The day after the last.")],
    out: Annotated[Path | None, typer.Option(help="FILE.csv or FILE.parquet; default CSV on stdout.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout; needs --out.")] = False,
) -> None:
    """Write usage as FOCUS 1.2: one row per day, team, app, environment, model, tier and token class."""
    if json_ and out is None:
        raise BadInput("--json: stdout cannot hold the rows and the document; add --out FILE.csv or FILE.parquet")
    start, end = moment(from_, option="--from"), moment(to, option="--to")
    if end <= start:
        raise BadInput(f"--to: {to} is not after --from {from_}")
    opts = options(context)
    tally = _Tally()
    window = Window(start=start, end=end)
    with opts.ledger() as ledger, opts.reading() as warehouse:
        rows = tally.counted(
            focus_rows(
                warehouse,
                window,
                table_for=PriceBook(opts.settings.prices).table_for,
                list_table_for=PriceBook().table_for,
                shared=opts.settings.allocation.shared,
                marks=known_marks(ledger, window),
            )
        )
        if out is None:
            write_csv(rows, sys.stdout)
        else:
            write_focus(rows, out)
    if tally.unpriced:
        note(f"{tally.unpriced} rows hold requests without a price (x_Unpriced); `bursar prices` lists their models")
    if json_:
        print_json({"file": str(out), "rows": tally.rows, "unpriced_rows": tally.unpriced})
    elif out is not None:
        say(f"{out}: {tally.rows} rows")


def known_marks(ledger: Ledger, window: Window) -> Marks:
    """The incidents of the window, and the remedies while they were in force."""
    remedies = []
    for remedy in ledger.remedies():
        proposal = ledger.proposal(remedy.remedy_id, remedy.revision)
        if proposal is None or remedy.applied_at is None:
            continue
        undone = [
            effect.outcome_at
            for effect in ledger.applications(remedy.remedy_id)
            if effect.verb == "revert" and effect.outcome == "reverted" and effect.outcome_at
        ]
        end = min(undone, default=remedy.lease_ends_at)
        remedies.append(Mark(remedy.remedy_id, proposal.scope, remedy.applied_at, end))
    incidents = [Mark(one.id, one.scope, one.window.start, one.ended_at) for one in ledger.incidents(window=window)]
    return Marks(incidents, remedies)


class _Tally:
    """Counts rows on their way to the file."""

    def __init__(self) -> None:
        self.rows = 0
        self.unpriced = 0

    def counted(self, rows: Iterator[FocusRow]) -> Iterator[FocusRow]:
        for row in rows:
            self.rows += 1
            self.unpriced += row["x_Unpriced"] is not None
            yield row
