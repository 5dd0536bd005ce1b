"""The commands `bursar bench ingest` and `bursar bench rollup`."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def ingest(
    rows: Annotated[int, typer.Option(min=1_000, help="Calls in the log.")] = 1_966_080,
    json_: Json = False,
) -> None:
    """Benchmark taking a log in, beside decoding and appending alone and SQLAlchemy; 1 if a target is missed."""
    # Imported here: every other command would pay for them.
    from agent.entrypoints.console import note
    from evals.bench.ingest import run

    report = run(rows, say=note)
    titles = {
        "rates": "Taking a log of calls in, methods taking turns, each in its own process",
        "memory": "Peak memory of the product",
        "absent": "Left out",
        "targets": "Targets",
    }
    _tell(report.document(), titles, json_=json_)


def rollup(
    rows: Annotated[int, typer.Option(min=1_000, help="Records to roll up.")] = 1_000_000,
    json_: Json = False,
) -> None:
    """Benchmark rolling records up, beside Polars and DuckDB's own GROUP BY; 1 if a target is missed."""
    from agent.entrypoints.console import note
    from evals.bench.rollup import run

    report = run(rows, say=note)
    titles = {
        "rates": "The 5-minute and the hourly cube from records in memory, methods taking turns",
        "absent": "Left out",
        "targets": "Targets",
    }
    _tell(report.document(), titles, json_=json_)


def _tell(document: Mapping[str, list[dict[str, object]]], titles: Mapping[str, str], *, json_: bool) -> None:
    from agent.entrypoints.console import print_json, print_table, say

    if json_:
        print_json(document)
    else:
        for key, title in titles.items():
            columns = list(dict.fromkeys(name for row in document[key] for name in row))
            say(f"\n{title}")
            rows = [[_text(row.get(name)) for name in columns] for row in document[key]]
            print_table([name.replace("_", " ") for name in columns], rows, empty="nothing")
    if not all(row["ok"] for row in document["targets"]):
        raise typer.Exit(1)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " to ".join(_text(part) for part in value)
    return str(value)
