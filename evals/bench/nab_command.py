"""The command `bursar bench nab`."""

from pathlib import Path
from typing import Annotated

import typer

TITLES = {
    "scores": "NAB scores on these series; 100 is perfect, 0 is no detection",
    "series": "Windows found and false detections at the one threshold",
    "targets": "Targets",
}


def nab(
    data: Annotated[
        Path | None, typer.Option(help="The folder with nab_series.parquet and labels.json, or with nab/ in it.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Benchmark the scores of `bursar detect --scores` on NAB, beside published detectors; 1 if a target is missed."""
    # Imported here: every other command would pay for numpy and pyarrow.
    from agent.entrypoints.console import print_json
    from evals.bench.detect_print import print_tables
    from evals.bench.nab import process_cpu, run
    from evals.bench.nab_data import BESIDE_THE_REPOSITORY, read_nab

    folder = data or BESIDE_THE_REPOSITORY
    report = run(read_nab(folder / "nab" if (folder / "nab").is_dir() else folder), cpu=process_cpu)
    if json_:
        print_json(report.document())
    else:
        print_tables(report.document(), TITLES)
    if not all(target.ok for target in report.targets):
        raise typer.Exit(1)
