"""The benchmark of rolling up: the warehouse's two cubes from its records, beside other engines on the same records."""

import importlib.util
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from evals.bench.ingest import Target
from evals.bench.rollup_adding import adding_up
from evals.bench.rollup_peers import PEERS, Work
from store.model.usage import CUBE_DIMENSIONS
from store.model.usage_batch import DELIVERY_ROWS, Coded, Integers, Text, UsageBatch
from store.usage.columns import to_arrow
from store.usage.duckdb import open_duckdb

Row = dict[str, object]
REPEATS = 3
OURS, ADDING = "bursar roll_up", "bursar, adding up alone"
_MAKES = {
    OURS: "15 measures, both tables of the warehouse, committed",
    ADDING: "15 measures, two tables in memory",
    "DuckDB GROUP BY, text": "15 measures, two temporary tables",
    "DuckDB GROUP BY, ready numbers": "15 measures, two temporary tables",
    "Polars, text": "10 measures, two frames in memory",
    "Polars, ready numbers": "10 measures, two frames in memory",
}
_START_US = 1_763_596_800 * 10**6
_SERIES = 6_000
_ROWS_A_BUCKET = 12_500
_VALUES = {"team": 40, "app": 300, "environment": 3, "api_key_id": 1_500, "route": 200, "release": 20, "job": 30}
_RARE = (("status", ["ok", "error"], 0.01), ("billing_mode", ["metered", "included"], 0.05))
_MORE_VALUES = {"provider": 5, "model": 20, "requested_model": 20, "service_tier": 3, "speed": 2, "source": 1}


class Report(NamedTuple):
    """Rates, peers that were left out, and the targets."""

    rates: list[Row]
    absent: list[Row]
    targets: list[Target]

    def document(self) -> dict[str, list[Row]]:
        """The report as JSON."""
        targets: list[Row] = [dict(target._asdict()) for target in self.targets]
        return {"rates": self.rates, "absent": self.absent, "targets": targets}


class _Taken(NamedTuple):
    wall: float
    cpu: float
    rows: int


def run(rows: int, *, repeats: int = REPEATS, say: Callable[[str], None] = lambda _: None) -> Report:
    """Make both cubes from that many records with every engine in turns."""
    # Where pandas is installed pyarrow imports it, once a process, 0.6 s: that is no part of any rate.
    if importlib.util.find_spec("pandas"):
        importlib.import_module("pandas")
    batch, series = records(rows)
    table = to_arrow(batch).append_column("series", pa.array(series))
    known = {name: make for name, (module, make) in PEERS.items() if importlib.util.find_spec(module)}
    works: dict[str, Work] = {ADDING: adding_up(table)}
    for name, make in known.items():
        say(f"loading {rows:,} records into {name}")
        works[name] = make(table)
    taken: dict[str, list[_Taken]] = {name: [] for name in (OURS, *works)}
    for turn in range(repeats):
        say(f"turn {turn + 1} of {repeats}")
        taken[OURS].append(_ours(batch))
        for name, work in works.items():
            taken[name].append(_timed(work))
    left_out = [name for name in PEERS if name not in known]
    absent: list[Row] = [{"peer": name, "why": f"not installed: {PEERS[name][0]}"} for name in left_out]
    return Report([_rate(name, found, rows) for name, found in taken.items()], absent, _targets(taken))


def records(rows: int) -> tuple[UsageBatch, Integers]:
    """Records of 6,000 series with about one record to 0.4 cells of the 5-minute cube, and each one's series."""
    numbers = np.random.default_rng(1)
    series = numbers.integers(0, _SERIES, rows)
    texts: dict[str, Text] = {}
    for name in CUBE_DIMENSIONS:
        size = {**_VALUES, **_MORE_VALUES}[name]
        codes = numbers.integers(0, size, _SERIES).astype(np.int32)[series]
        texts[name] = Coded(codes, [f"{name}-{at}" for at in range(size)])
    texts["record_id"] = [f"call-{at:012x}" for at in range(rows)]
    span_us = max(1, rows // _ROWS_A_BUCKET) * 300 * 10**6
    amounts = {
        name: numbers.integers(0, 20_000, rows)
        for name in (
            "input_uncached",
            "cache_read",
            "cache_write_5m",
            "output",
            "latency_ms",
            "cost_nanos",
            "billed_nanos",
        )
    }
    # Measures that are zero throughout would be summed for nothing: some calls fail, are tried again, or cost no cash.
    amounts["reasoning"] = amounts["output"] // 3
    amounts["attempt"] = 1 + (numbers.random(rows) < 0.02)
    for name, values, share in _RARE:
        texts[name] = Coded((numbers.random(rows) < share).astype(np.int32), values)
    occurred = np.sort(numbers.integers(0, span_us, rows)) + _START_US
    batch = UsageBatch(rows=rows, texts=texts, numbers={"observed_us": _START_US, "occurred_us": occurred, **amounts})
    return batch, series


def _ours(batch: UsageBatch) -> _Taken:
    """A new warehouse each time: its buckets are dirty once."""
    warehouse = open_duckdb(None, clock=lambda: datetime(2026, 11, 25, tzinfo=UTC))
    for part in _parts(batch):
        warehouse.append(part)
    taken = _timed(lambda: 0 if warehouse.roll_up() is None else batch.rows)
    warehouse.close()
    return taken


def _parts(batch: UsageBatch) -> list[UsageBatch]:
    found = []
    for at in range(0, batch.rows, DELIVERY_ROWS):
        end = min(batch.rows, at + DELIVERY_ROWS)
        texts = {
            name: Coded(text.codes[at:end], text.values) if isinstance(text, Coded) else text[at:end]
            for name, text in batch.texts.items()
        }
        numbers = {name: n if isinstance(n, int) else n[at:end] for name, n in batch.numbers.items()}
        found.append(UsageBatch(rows=end - at, texts=texts, numbers=numbers))
    return found


def _timed(work: Work) -> _Taken:
    wall, cpu = time.perf_counter(), time.process_time()
    rows = work()
    return _Taken(time.perf_counter() - wall, time.process_time() - cpu, rows)


def _rate(name: str, found: list[_Taken], rows: int) -> Row:
    rates = sorted(rows / one.wall / 1e6 for one in found)
    return {
        "engine": name,
        "records": rows,
        "cells": found[0].rows if name != OURS else None,
        "makes": _MAKES[name],
        "million_records_a_second": round(statistics.median(rates), 2),
        "spread": [round(rates[0], 2), round(rates[-1], 2)],
        "cpu_us_a_record": round(statistics.median(one.cpu for one in found) / rows * 1e6, 3),
    }


def _targets(taken: dict[str, list[_Taken]]) -> list[Target]:
    wanted = (
        (OURS, "DuckDB GROUP BY, text", "roll_up, times DuckDB's own GROUP BY over the records, at least", 1.7),
        (ADDING, "Polars, text", "adding up, times Polars in memory over the records, at least", 0.9),
        (ADDING, "Polars, ready numbers", "adding up, times Polars in memory over ready numbers, at least", 0.9),
    )
    found = []
    for ours, peer, name, least in wanted:
        if peer in taken:
            pairs = zip(taken[ours], taken[peer], strict=True)
            ratio = statistics.median(theirs.wall / mine.wall for mine, theirs in pairs)
            found.append(Target(name, round(ratio, 2), least, ratio >= least))
    return found
