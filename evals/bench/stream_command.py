"""The command `bursar bench stream`."""

from typing import Annotated

import typer


def stream(
    series: Annotated[int, typer.Option(min=1_000, help="How many series.")] = 100_000,
    repeats: Annotated[int, typer.Option(min=1, help="Turns that count; one more warms up.")] = 3,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Benchmark the streaming detector's tick and refit beside NumPy; 1 if a target is missed."""
    # Imported here: every other command would pay for numpy and numba.
    from agent.entrypoints.console import print_json, print_table, say
    from evals.bench.rca import process_cpu
    from evals.bench.stream_speed import measure

    rows, targets = measure(series=series, repeats=repeats, cpu=process_cpu)
    if json_:
        print_json({"series": series, "speed": [r._asdict() for r in rows], "targets": [t._asdict() for t in targets]})
    else:
        say(f"CPU ms for {series:,} series of hourly buckets, methods taking turns")
        table = [[row.what, row.method, *(f"{value * 1000:.2f}" for value in (row.cpu_s, *row.spread))] for row in rows]
        print_table(["what", "method", "median", "least", "most"], table, empty="")
        for target in targets:
            say(f"{target.name}: {target.value:g} (target {target.target:g}) {'ok' if target.ok else 'MISSED'}")
    if not all(target.ok for target in targets):
        raise typer.Exit(1)
