"""`bursar report weekly`: the incident summary of one week as Markdown, HTML and PNG."""

from pathlib import Path
from typing import Annotated

import typer

from agent.agreed import agreed_budgets
from agent.entrypoints.console import print_json, say
from agent.entrypoints.options import options, utc_now
from agent.report.week import week_before, week_window
from agent.steps.summarise import summarise

report = typer.Typer(help="Reports for people.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(report, name="report")


@report.callback()
def _group() -> None:
    """Reports for people."""


@report.command()
def weekly(
    context: typer.Context,
    week: Annotated[str | None, typer.Option(help="An ISO week such as 2026-W47; default the last full one.")] = None,
    out: Annotated[Path, typer.Option(help="The folder for the three files.")] = Path(),
    json_: Annotated[bool, typer.Option("--json", help="The summary as one JSON document on stdout.")] = False,
) -> None:
    """Write the weekly incident summary."""
    # Here, because drawing takes long to load and no other command draws.
    from agent.report.write import write

    opts, now = options(context), utc_now()
    settings = opts.settings
    zone = settings.schedule.weekly.time_zone
    week = week or week_before(now, zone)
    with opts.ledger() as ledger, opts.reading() as warehouse:
        summary = summarise(
            week=week,
            time_zone=zone,
            ledger=ledger,
            warehouse=warehouse,
            mode=settings.policy.mode,
            now=now,
            trust=ledger.trust_in(week_window(week, zone)),
            budgets=agreed_budgets(settings, ledger),
        )
    if json_:
        print_json(summary.model_dump(mode="json"))
        return
    out.mkdir(parents=True, exist_ok=True)
    paths = write(summary, out)
    for path in (paths.markdown, paths.html, paths.png):
        say(str(path))
