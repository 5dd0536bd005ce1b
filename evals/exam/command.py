"""The command `bursar eval`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from evals.exam.report import Report


def eval_(
    cases: Annotated[list[str] | None, typer.Argument(help="Names of cases; none: a core of every pattern.")] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=97, help="Attempts at each case, each with another seed.")] = 1,
    seeds: Annotated[
        Literal["build", "report"], typer.Option(help="Seeds below 100 are for building; those from 1000 on report.")
    ] = "report",
    all_: Annotated[bool, typer.Option("--all", help="Every strength beside every confounder.")] = False,
    tag: Annotated[Literal["easy", "medium", "hard"] | None, typer.Option(help="Only cases with this tag.")] = None,
    twins: Annotated[bool, typer.Option("--twins/--no-twins", help="The clean and the hostile twin of each.")] = True,
    redraws: Annotated[
        int, typer.Option(min=0, max=99, help="Draw the day of each saving so often anew: what error chance leaves.")
    ] = 0,
    reasoner: Annotated[
        Literal["claude"] | None, typer.Option(help="Have a model review each finding; needs ANTHROPIC_API_KEY.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Name the cases and end.")] = False,
    history: Annotated[Path | None, typer.Option(help="A file of JSON lines; the figures are added to it.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """The exam: seeded incidents of every pattern against the exact truth; 1 if a target is missed."""
    # Imported here: every other command would pay for numpy and the graphs.
    from agent.entrypoints.console import note, print_json, say
    from agent.entrypoints.options import utc_now
    from evals.exam.catalogue import all_cases, core_cases, named
    from evals.exam.reasoner import NO_KEY, claude
    from evals.exam.report import Report, seed_of
    from evals.exam.take import take
    from store.model.usage import iso

    chosen = named(cases) if cases else all_cases() if all_ else core_cases()
    chosen = [case for case in chosen if tag in (None, case.tag)]
    if list_:
        for case in chosen:
            say(f"{case.name} {case.tag}")
        return
    model = claude() if reasoner else None
    if reasoner and model is None:
        note(NO_KEY)
        if json_:
            print_json({"skipped": NO_KEY, "rows": [], "targets": []})
        return
    rows = []
    for i, case in enumerate(chosen):
        rows += [
            take(case, seed_of(case, n, seeds), twins=twins, reviewer_for=model, redraws=redraws) for n in range(k)
        ]
        note(f"{i + 1} of {len(chosen)}: {case.name} {'passed' if all(row.passed for row in rows[-k:]) else 'failed'}")
    if model is not None:
        note(f"the model: {len(model.records)} answers, ${model.cost_nanos / 1e9:.4f}")
    report = Report(seeds, rows)
    if history is not None:
        _remember(history, {"at": iso(utc_now().replace(microsecond=0)), "k": k, "twins": twins, **report.head()})
    if json_:
        print_json(report.document())
    else:
        _print(report)
    if not all(target.ok for target in report.targets()):
        raise typer.Exit(1)


def _remember(path: Path, line: dict[str, object]) -> None:
    from store.errors import BadInput

    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise BadInput(f"--history {path}: cannot be written ({error}); name another file") from error


def _print(report: "Report") -> None:
    from agent.entrypoints.console import print_table, say

    failed: list[dict[str, object]] = [
        {
            "case": row.case,
            "seed": row.seed,
            "true cause": row.pattern,
            "size": row.strength,
            "beside": row.confounder,
            "opened": row.opened,
            "found": row.found,
            "confidence": row.confidence,
            "worth": row.worth,
            "verdict": row.verdict,
        }
        for row in report.rows
        if not row.passed
    ]
    tables: dict[str, list[dict[str, object]]] = {
        "By pattern": report.by_pattern(),
        "Not passed": failed,
        "Figures": [{"figure": name.replace("_", " "), "value": value} for name, value in report.figures().items()],
        "Targets": [dict(target._asdict()) for target in report.targets()],
    }
    for title, rows in tables.items():
        say(f"\n{title}")
        columns = list(dict.fromkeys(name for row in rows for name in row))
        print_table(columns, [[_text(row[name]) for name in columns] for row in rows], empty="none")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
