"""`bursar export focus`: usage out of a data directory, as a file or on stdout."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from agent.entrypoints.cli import app
from tests.tools.focus.usage import SPAN
from tests.tools.sources.cases import log_document

_DAYS = ("--from", "2026-10-30", "--to", "2026-11-03")


def _bursar(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--data-dir", str(folder / "data"), *arguments])


def _with_usage(folder: Path) -> Path:
    """A data directory that holds two requests of a coding agent, one of a model that has no price."""
    rows = []
    for at, model in enumerate(("claude-opus-4-5", "house-model")):
        event = {"event.name": "api_request", "event.sequence": at, "session.id": "s", "model": model}
        counts = {"input_tokens": 100, "output_tokens": 7}
        nanos = str(int(SPAN.start.timestamp()) * 10**9)
        rows.append(log_document({**event, **counts}, {"service.name": "claude-code"}, timeUnixNano=nanos))
    path = folder / "events.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    took = _bursar(folder, "ingest", "otlp", str(path), "--json")
    assert json.loads(took.stdout)["accepted"] == 2
    return folder


def test_rows_go_to_a_file_and_the_count_to_stdout(tmp_path: Path) -> None:
    """--out writes the file; --json says how many rows, and how many have no price."""
    out = _with_usage(tmp_path) / "focus.csv"
    done = _bursar(tmp_path, "export", "focus", *_DAYS, "--out", str(out), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"file": str(out), "rows": 4, "unpriced_rows": 2}
    assert out.read_text().splitlines()[0].startswith("BilledCost,BillingAccountId,")


def test_rows_go_to_stdout_without_out(tmp_path: Path) -> None:
    """CSV and nothing else on stdout."""
    _with_usage(tmp_path)
    done = _bursar(tmp_path, "export", "focus", *_DAYS)
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 5
    assert "2 rows hold requests without a price" in done.stderr


def test_what_cannot_be_is_told(tmp_path: Path) -> None:
    """--json without --out, an empty span, a time within a day, another suffix: bad input, in words."""
    for arguments, says in (
        ((*_DAYS, "--json"), "add --out"),
        (("--from", "2026-11-03", "--to", "2026-11-03"), "is not after"),
        (("--from", "2026-11-03T01:00:00Z", "--to", "2026-11-04"), "midnight UTC"),
        ((*_DAYS, "--out", str(tmp_path / "focus.xlsx")), ".csv or .parquet"),
    ):
        done = _bursar(tmp_path, "export", "focus", *arguments)
        assert done.exit_code != 0
        assert says in str(done.exception)
