"""The benchmark of ingest: a log of calls into the warehouse, beside what decoding and appending alone take."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from evals.bench.ingest_methods import METHODS
from evals.bench.usage_lines import write_lines
from store.model.usage_batch import DELIVERY_ROWS

Row = dict[str, object]
REPEATS = 3
_ROOT = Path(__file__).parents[2]
_SLOW = {"sqlalchemy": 10}
"""Takes in one row of so many: its rate does not depend on their number, and the run stays short."""
_FULL = 4 * 2 * DELIVERY_ROWS
"""From so many rows on the quarter is two deliveries: with only one nothing is in hand while it is written."""
_SAYS = {
    "bursar": "bursar ingest, end to end",
    "limit": "decode + append alone (msgspec, DuckDB)",
    "sqlalchemy": "SQLAlchemy Core into SQLite",
}


class Target(NamedTuple):
    """A figure that the product must reach."""

    name: str
    value: float
    target: float
    ok: bool


class Report(NamedTuple):
    """Rates, memory, what was not judged, and the targets."""

    rates: list[Row]
    memory: list[Row]
    absent: list[Row]
    targets: list[Target]

    def document(self) -> dict[str, list[Row]]:
        """The report as JSON."""
        targets: list[Row] = [dict(target._asdict()) for target in self.targets]
        return {"rates": self.rates, "memory": self.memory, "absent": self.absent, "targets": targets}


def run(rows: int, *, repeats: int = REPEATS, say: Callable[[str], None] = lambda _: None) -> Report:
    """Write a log of that many rows and take it in by every method, in turns; memory at a quarter and at the whole."""
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in METHODS}
    with tempfile.TemporaryDirectory(prefix="bursar-bench-") as name:
        folder = Path(name)
        say(f"writing a log of {rows:,} calls")
        whole = folder / "calls.jsonl"
        write_lines(whole, rows)
        parts = {part: _head(whole, folder / f"calls-{part}.jsonl", rows // part) for part in {4, *_SLOW.values()}}
        for turn in range(repeats):
            for method in METHODS:
                say(f"{_SAYS[method]}, {turn + 1} of {repeats}")
                taken[method].append(_run(method, parts[_SLOW[method]] if method in _SLOW else whole, folder))
        quarter = _run("bursar", parts[4], folder)
        size = whole.stat().st_size / rows
    rates = [_rate(method, found, size) for method, found in taken.items()]
    memory: list[Row] = [
        {"rows": quarter["rows"], "peak_mb": quarter["peak_mb"]},
        {"rows": rows, "peak_mb": statistics.median(one["peak_mb"] for one in taken["bursar"])},
    ]
    targets = _targets(taken)
    if rows >= _FULL:
        return Report(rates, memory, [], [*targets, _growth(memory)])
    few: Row = {"target": "peak memory", "why": f"a quarter of {rows:,} rows is not two deliveries; --rows {_FULL} is"}
    return Report(rates, memory, [few], targets)


def _targets(taken: dict[str, list[dict[str, Any]]]) -> list[Target]:
    """Ratios only: a rate alone says more about the machine."""
    to_limit, to_sqlite = (_ratio(taken, peer) for peer in ("limit", "sqlalchemy"))
    return [
        Target("times SQLAlchemy into SQLite, at least", round(to_sqlite, 2), 3, to_sqlite >= 3),
        Target("of the decode + append limit, at least", round(to_limit, 2), 0.75, to_limit >= 0.75),
    ]


def _growth(memory: list[Row]) -> Target:
    growth = float(str(memory[1]["peak_mb"])) / float(str(memory[0]["peak_mb"]))
    return Target("peak memory at 4 times the rows, at most", round(growth, 2), 1.25, growth <= 1.25)


def _ratio(taken: dict[str, list[dict[str, Any]]], peer: str) -> float:
    """The median over turns: both of one turn met the same machine."""
    pairs = zip(taken["bursar"], taken[peer], strict=True)
    return statistics.median(_rows_a_second(ours) / _rows_a_second(theirs) for ours, theirs in pairs)


def _rows_a_second(one: dict[str, Any]) -> float:
    return float(one["rows"]) / float(one["seconds"])


def _rate(method: str, found: list[dict[str, Any]], size: float) -> Row:
    rates = sorted(_rows_a_second(one) / 1e6 for one in found)
    return {
        "method": _SAYS[method],
        "rows": found[0]["rows"],
        "bytes_a_row": round(size),
        "million_rows_a_second": round(statistics.median(rates), 3),
        "spread": [round(rates[0], 3), round(rates[-1], 3)],
        "cpu_us_a_row": round(statistics.median(one["cpu_seconds"] / one["rows"] for one in found) * 1e6, 2),
        "peak_mb": statistics.median(one["peak_mb"] for one in found),
    }


def _run(method: str, file: Path, folder: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = [sys.executable, "-m", "evals.bench.ingest_methods", method, str(file), scratch]
        done = subprocess.run(  # noqa: S603 # our own module, on files that we wrote
            command, cwd=_ROOT, env={**os.environ, "PYTHONPATH": str(_ROOT)}, capture_output=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{method}: {done.stderr.decode()[-2_000:]}")
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found


def _head(whole: Path, path: Path, rows: int) -> Path:
    with whole.open("rb") as lines, path.open("wb") as out:
        out.writelines(islice(lines, rows))
    return path
