"""The lab: the shipped detector on any series file, without a warehouse, a ledger or a configuration."""

from pathlib import Path
from typing import Annotated

import typer

from agent.detectors.lab import detect_table
from agent.entrypoints.console import print_json, print_table, say
from agent.entrypoints.options import options
from agent.entrypoints.tables import read_table, write_table
from store.errors import BadInput
from store.model.usage import iso

BUCKETS = {"5m": 300, "1h": 3600, "1d": 86400}


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(detect)


def detect(
    context: typer.Context,
    file: Path,
    bucket: Annotated[str, typer.Option(help=" | ".join(BUCKETS))] = "1h",
    scores: Annotated[Path | None, typer.Option(help="Write the score of every bucket to this CSV or Parquet.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Run the detector on a CSV or Parquet with the columns series, bucket_start, cost_usd[, requests, tokens]."""
    if bucket not in BUCKETS:
        raise BadInput(f"--bucket: {bucket!r}; write one of {', '.join(BUCKETS)}")
    settings = options(context).settings.detectors
    table = read_table(file, needed=("series", "bucket_start", "cost_usd"), optional=("requests", "tokens"))
    found = detect_table(table, bucket_seconds=BUCKETS[bucket], settings=settings)
    if scores is not None:
        write_table(scores, found.scores)
    if json_:
        print_json({"alerts": [alert.document() for alert in found.alerts]})
        return
    rows = [
        [a.series, iso(a.opened_at), iso(a.started_at), f"{a.score:.2f}", f"{a.excess:.2f}", a.signal]
        for a in found.alerts
    ]
    print_table(["series", "opened", "started", "score", "excess", "signal"], rows, empty="no alerts")
    say(f"{len(rows)} alerts over {len(set(table['series']))} series")
