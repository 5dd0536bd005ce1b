"""The command `bursar bench rca`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer


def rca(
    data: Annotated[
        Path | None, typer.Option(help="The folder with rs.parquet and labels.json, or with rca_rs/ in it.")
    ] = None,
    faults: Annotated[int, typer.Option(min=1, help="Planted faults per setting.")] = 5,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Benchmark attribution on real incidents and on planted causes, beside other methods; 1 if a target is missed."""
    # Imported here: every other command would pay for numpy and pyarrow.
    from agent.entrypoints.console import note, print_json
    from evals.bench.rca import process_cpu, run
    from evals.bench.rca_incidents import BESIDE_THE_REPOSITORY, read_incidents

    folder = data or BESIDE_THE_REPOSITORY
    folder = folder / "rca_rs" if (folder / "rca_rs").is_dir() else folder
    if data is None and not folder.is_dir():
        note("the RS data set is not beside the repository: real incidents are left out; name it with --data")
        incidents = []
    else:
        incidents = read_incidents(folder)
    report = run(incidents, faults=faults, cpu=process_cpu)
    if json_:
        print_json(report.document())
    else:
        _print(report.document())
    if not all(target.ok for target in report.targets):
        raise typer.Exit(1)


def _print(document: dict[str, object]) -> None:
    from agent.entrypoints.console import print_table, say

    titles = {
        "incidents": "Real incidents (RS): exact matches among the first answers",
        "spikes": "Planted causes: exact-match F1, its spread over seeds (no noise given: all levels)",
        "speed": "CPU seconds of one attribution, methods taking turns",
        "published": "Figures of others, as published or measured elsewhere",
        "targets": "Targets",
    }
    for key, title in titles.items():
        rows = document[key]
        assert isinstance(rows, list)
        if key == "spikes":
            rows = [row for row in rows if row["noise"] is None or row["method"] == "bursar"]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        say(f"\n{title}")
        print_table(
            [name.replace("_", " ") for name in columns],
            [[_text(row.get(name)) for name in columns] for row in rows],
            empty="left out",
        )


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 0.1 else f"{value:.3f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " to ".join(_text(part) for part in value)
    return str(value)
