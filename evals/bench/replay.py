"""The benchmark of the replay: cache, token bucket and price swap, every engine in the same run, answers compared."""

import importlib.util
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from evals.bench.replay_engines import ENGINES, Engine
from evals.bench.replay_ours import Run
from evals.bench.replay_work import Answer, make_work
from playbooks.replay.speed import COMPILE_AT

Row = dict[str, object]
Clock = Callable[[], float]

REQUESTS = 5_000_000
REPEATS = 3

TARGETS: tuple[tuple[str, str, float], ...] = (
    ("ttl_cache", "duckdb", 5.0),
    ("ttl_cache", "python", 25.0),
    ("token_bucket", "python", 50.0),
    ("price_swap", "duckdb", 10.0),
)
"""(job, peer, how many times faster ours must be), by CPU seconds for each request: DuckDB and Polars use all cores."""


class Target(NamedTuple):
    """A figure that must be reached."""

    name: str
    value: float | None
    target: float
    ok: bool


class Report(NamedTuple):
    """One row per job and engine, what is not installed, and the targets."""

    requests: int
    rows: list[Row]
    absent: list[str]
    targets: list[Target]

    def document(self) -> Row:
        """The report as JSON."""
        return {
            "requests": self.requests,
            "rows": self.rows,
            "not_installed": self.absent,
            "targets": [target._asdict() for target in self.targets],
        }


class _Racer(NamedTuple):
    engine: Engine
    requests: int
    run: Run
    expected: Answer
    walls: list[float]
    cpus: list[float]
    answers: list[Answer]


def run(
    *,
    requests: int = REQUESTS,
    repeats: int = REPEATS,
    engines: Sequence[Engine] = ENGINES,
    wall: Clock,
    cpu: Clock,
    note: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run everything: load, one round that warms up (and compiles), then `repeats` rounds, engines taking turns."""
    absent = sorted({e.module for e in engines if e.module and importlib.util.find_spec(e.module) is None})
    present = [engine for engine in engines if engine.module not in absent]
    rows: list[Row] = []
    for job in dict.fromkeys(engine.job for engine in present):
        note(f"{job}: loading {requests:,} requests")
        racers = _ready([engine for engine in present if engine.job == job], requests)
        for turn in range(repeats):
            note(f"{job}: round {turn + 1} of {repeats}")
            for racer in racers:
                began, began_cpu = wall(), cpu()
                racer.answers.append(racer.run())
                racer.cpus.append(cpu() - began_cpu)
                racer.walls.append(wall() - began)
        rows += _rows(racers)
    return Report(requests, rows, absent, list(_targets(rows, requests)))


def _ready(engines: Sequence[Engine], requests: int) -> list[_Racer]:
    """Every engine with its work loaded and run once; the expected answer is ours over the same requests."""
    work = make_work(requests)
    ours = engines[0]
    racers = []
    for engine in engines:
        part = work if engine.every == 1 else work.head(max(1, requests // engine.every))
        run_ = engine.prepare(part)
        run_()
        racers.append(_Racer(engine, part.rows, run_, ours.prepare(part)(), [], [], []))
    return racers


def _rows(racers: Sequence[_Racer]) -> Iterator[Row]:
    ours = racers[0]
    each, each_cpu = (statistics.median(taken) / ours.requests for taken in (ours.walls, ours.cpus))
    for racer in racers:
        seconds, cpu = statistics.median(racer.walls), statistics.median(racer.cpus)
        yield {
            "job": racer.engine.job,
            "engine": racer.engine.name,
            "requests": racer.requests,
            "seconds": round(seconds, 4),
            "seconds_spread": [round(min(racer.walls), 4), round(max(racer.walls), 4)],
            "cpu_seconds": round(cpu, 4),
            "million_per_second": round(racer.requests / seconds / 1e6, 2) if seconds else None,
            "wall_ratio": round(seconds / racer.requests / each, 2) if each else None,
            "ratio_to_bursar": round(cpu / racer.requests / each_cpu, 2) if each_cpu else None,
            "same_answer": all(answer == racer.expected for answer in racer.answers),
        }


def _targets(rows: Sequence[Row], requests: int) -> Iterator[Target]:
    by_name = {(row["job"], row["engine"]): row for row in rows}
    for job, peer, least in TARGETS:
        row = by_name.get((job, peer))
        ratio = row["ratio_to_bursar"] if row else None
        value = ratio if isinstance(ratio, float) else None
        yield Target(f"{job}: times faster than {peer}, at least", value, least, value is not None and value >= least)
    same = all(row["same_answer"] for row in rows)
    yield Target("every engine gives our answer to the nano-dollar", float(same), 1.0, same)
    if requests < COMPILE_AT:
        yield Target("requests, so that the loops are compiled, at least", float(requests), float(COMPILE_AT), False)
