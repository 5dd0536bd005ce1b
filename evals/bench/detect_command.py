"""The command `bursar bench detect`."""

from typing import Annotated

import typer

from store.errors import BadInput

TITLES = {
    "quality": "Incidents on labelled series that nobody tuned on; intervals are 95 %",
    "kinds": "Recall by kind of incident",
    "budget": "Peers within the budget of false incidents, as far as tuning could tell",
    "speed": "CPU time, one thread",
    "published": "Without a package: outside the comparison",
    "targets": "Targets",
}


def detect(
    series: Annotated[int, typer.Option(min=20, help="Labelled series to report on.")] = 1000,
    peers: Annotated[str, typer.Option(help="fast (NumPy alone) | all (packages too, minutes) | none")] = "fast",
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other series.")] = 1,
    speed: Annotated[bool, typer.Option(help="Also measure the speed of tick and refit.")] = True,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Benchmark the shipped detector on labelled series, beside its peers; 1 if a target is missed."""
    # Imported here: every other command would pay for numpy.
    from agent.entrypoints.console import note, print_json
    from evals.bench.detect import process_cpu, run
    from evals.bench.detect_peers import PEERS
    from evals.bench.detect_print import print_tables
    from evals.bench.detect_speed import speed_rows

    chosen = {"none": (), "fast": tuple(peer for peer in PEERS if peer.package is None), "all": PEERS}
    if peers not in chosen:
        raise BadInput(f"--peers: {peers!r}; write one of {', '.join(chosen)}")
    rows = speed_rows(cpu=process_cpu, tell=note) if speed else []
    report = run(series=series, peers=chosen[peers], seed=seed, speed=rows, cpu=process_cpu, tell=note)
    if json_:
        print_json(report.document())
    else:
        print_tables(_flat(report.document()), TITLES, hide=("setting", "incidents"))
    if not all(target.ok for target in report.targets):
        raise typer.Exit(1)


def _flat(document: dict[str, object]) -> dict[str, object]:
    """Nested parts of the rows as tables of their own."""
    rows = document["quality"]
    assert isinstance(rows, list)
    nested = {"kinds": "recall_by_kind", "budget": "within_budget"}
    tables: dict[str, object] = {
        name: [{"method": row["method"], **row[key]} for row in rows if key in row] for name, key in nested.items()
    }
    plain = [{key: value for key, value in row.items() if key not in nested.values()} for row in rows]
    return {**document, **tables, "quality": plain}
