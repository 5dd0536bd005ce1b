"""The command `bursar bench replay`."""

import time
from typing import Annotated

import typer


def replay(
    requests: Annotated[
        int, typer.Option(min=1000, help="How many requests; fewer than a million misses.")
    ] = 5_000_000,
    repeats: Annotated[int, typer.Option(min=1, max=50, help="Rounds in which the engines take turns.")] = 3,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Benchmark the what-if replay beside DuckDB, Polars, NumPy and pure Python; 1 if a target is missed."""
    # Imported here: every other command would pay for numpy.
    from agent.entrypoints.console import note, print_json, print_table, say
    from evals.bench.replay import run

    report = run(requests=requests, repeats=repeats, wall=time.perf_counter, cpu=time.process_time, note=note)
    document = report.document()
    if json_:
        print_json(document)
    else:
        for title, rows in (("Replay", report.rows), ("Targets", [target._asdict() for target in report.targets])):
            columns = list(rows[0])
            say(f"\n{title}")
            print_table(
                [name.replace("_", " ") for name in columns],
                [[_cell(row.get(name)) for name in columns] for row in rows],
                empty="none",
            )
        if report.absent:
            say(f"not installed: {', '.join(report.absent)}; pip install 'bursar[bench]' adds the peers")
    if not all(target.ok for target in report.targets):
        raise typer.Exit(1)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, list):
        return " to ".join(_cell(part) for part in value)
    return "" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)
