"""The lab: the shipped detector on any series file, without a warehouse, a ledger or a configuration."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.detectors.lab import detect_table, strangeness
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
    """Run the detector on a CSV or Parquet.

    Columns: series, bucket_start, cost_usd, and if known requests, tokens (input) and cached_tokens. The scores' file
    has `score`, how strange a bucket is in its series (0.5: stranger than ever lately), and `alert_score`, its excess
    in USD beside what makes an alert (from 0.5 on part of one); both in [0, 1], from earlier buckets only.
    """
    if bucket not in BUCKETS:
        raise BadInput(f"--bucket: {bucket!r}; write one of {', '.join(BUCKETS)}")
    settings = options(context).settings.detectors
    known = ("requests", "tokens", "cached_tokens")
    table = read_table(file, needed=("series", "bucket_start", "cost_usd"), optional=known)
    found = detect_table(table, bucket_seconds=BUCKETS[bucket], settings=settings)
    if scores is not None:
        strange = strangeness(table, bucket_seconds=BUCKETS[bucket])
        keys = zip(found.scores["series"], found.scores["bucket_start"], strict=True)
        by_bucket = [strange.get((str(name), start), 0.0) for name, start in keys if isinstance(start, datetime)]
        write_table(scores, {**found.scores, "score": by_bucket, "alert_score": found.scores["score"]})
    if json_:
        print_json({"alerts": [alert.document() for alert in found.alerts]})
        return
    rows = [
        [a.series, iso(a.opened_at), iso(a.started_at), f"{a.score:.2f}", f"{a.excess:.2f}", a.signal]
        for a in found.alerts
    ]
    print_table(["series", "opened", "started", "score", "excess", "signal"], rows, empty="no alerts")
    say(f"{len(rows)} alerts over {len(set(table['series']))} series")
