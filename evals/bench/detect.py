"""The benchmark of detection: the shipped detector and its peers on the same labelled series, every figure measured.

The shipped detector runs as it ships, by its own defaults; every peer's thresholds are tuned on the tuning part.
"""

import importlib.util
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from evals.bench.detect_bursar import bursar_alerts
from evals.bench.detect_peers import Peer, scores_of
from evals.bench.detect_score import Quality, Raised, Verdict, f1_of_samples, judge_alerts, quality
from evals.bench.detect_tuning import Setting, alerts_of, excess_of, tune
from evals.bench.series_world import Label, Part, World, make_world

Row = dict[str, object]
Clock = Callable[[], float]
Tell = Callable[[str], None]

MOST_TUNING_SERIES, LEAST_TUNING_SERIES = 400, 100
BURSAR = "bursar"

PUBLISHED: list[Row] = [
    {"method": "LiteLLM, Langfuse, Helicone, Portkey", "says": "budgets and fixed thresholds, no baseline of spend"},
    {"method": "anomaly monitors of cloud bills", "says": "hosted and daily, no package to run"},
]
"""What has no package to run; outside all comparisons."""


class Target(NamedTuple):
    """A figure that the shipped detector must reach."""

    name: str
    value: float | None
    target: str
    ok: bool


class Report(NamedTuple):
    """One row per method, one per method and kind of incident, the speed, and the targets."""

    quality: list[Row]
    speed: list[Row]
    targets: list[Target]

    def document(self) -> Row:
        """The report as JSON."""
        return {
            "quality": self.quality,
            "speed": self.speed,
            "published": PUBLISHED,
            "targets": [target._asdict() for target in self.targets],
        }


class _Run(NamedTuple):
    quality: Quality
    verdict: Verdict
    row: Row
    upper: float
    """The upper end of F1's interval, of a peer that of its better setting."""


def process_cpu() -> float:
    """CPU seconds of this process, all threads."""
    return time.process_time()


def run(*, series: int, peers: Sequence[Peer], seed: int, speed: list[Row], cpu: Clock, tell: Tell) -> Report:
    """Run everything; `speed` are the rows of detect_speed, `cpu` gives the CPU seconds of this process."""
    report, tuning = _part("report", series, seed, tell), _part("tuning", min(series, MOST_TUNING_SERIES), seed, tell)
    tell("bursar")
    start = cpu()
    alerts = bursar_alerts(report)
    ours = _measured(BURSAR, report, alerts, seconds=cpu() - start)
    runs: list[_Run] = []
    absent: list[Row] = []
    for peer in peers:
        if peer.package is not None and importlib.util.find_spec(peer.package) is None:
            absent.append({"method": peer.name, "note": "not installed: requirements group bench"})
            continue
        tell(peer.name)
        runs.append(_peer_run(peer, report, tuning, ours, cpu))
    rows = [ours.row, *sorted((run.row for run in runs), key=lambda row: -float(str(row["f1"]))), *absent]
    return Report(rows, speed, [*_targets(ours, runs), *_speed_targets(speed)])


def _part(part: Part, series: int, seed: int, tell: Tell) -> World:
    tell(f"making {series} series ({part})")
    return make_world(series, part=part, seed=seed)


def _peer_run(peer: Peer, report: World, tuning: World, ours: _Run, cpu: Clock) -> _Run:
    """Tune on the tuning part, measure on the report part; a slow peer on the first series of both."""
    learned = _first(tuning, max(LEAST_TUNING_SERIES, len(tuning.cost) // peer.thin))
    tuned = tune(scores_of(peer, learned), excess_of(learned), learned.labels)
    world = _first(report, max(1, len(report.cost) // peer.thin))
    start = cpu()
    scores = scores_of(peer, world)
    seconds = cpu() - start
    excess = excess_of(world)
    run = _measured(peer.name, world, alerts_of(scores, excess, tuned.best), seconds=seconds)
    run.row["bursar_leads_by"] = _lead(ours.verdict, run.verdict, report.labels, len(world.cost))
    run.row["setting"] = _shown(tuned.best)
    if tuned.within_budget is not None:
        verdict = judge_alerts(alerts_of(scores, excess, tuned.within_budget), world.labels, len(world.cost))
        quiet = quality(verdict, world.labels)
        run.row["within_budget"] = {
            "f1": round(quiet.f1, 3),
            "f1_interval": _rounded(quiet.f1_interval),
            "recall": round(quiet.recall, 3),
            "false_per_series_week": round(quiet.false_per_series_week, 4),
        }
        run = run._replace(upper=max(run.upper, quiet.f1_interval[1]))
    return run


def _first(world: World, count: int) -> World:
    """The first of the series."""
    return World(
        world.cost[:count],
        world.requests[:count],
        world.tokens[:count],
        world.cached[:count],
        world.missing[:count],
        [label for label in world.labels if label.row < count],
        world.traits[:count],
    )


def _measured(name: str, world: World, alerts: list[Raised], *, seconds: float) -> _Run:
    verdict = judge_alerts(alerts, world.labels, len(world.cost))
    found = quality(verdict, world.labels)
    row: Row = {
        "method": name,
        "series": len(world.cost),
        "incidents": len(world.labels),
        "f1": round(found.f1, 4),
        "f1_interval": _rounded(found.f1_interval),
        "precision": round(found.precision, 3),
        "recall": round(found.recall, 3),
        "false_per_series_week": round(found.false_per_series_week, 4),
        "false_interval": _rounded(found.false_interval),
        "delay_sudden_buckets": _finite(found.delay_sudden),
        "delay_all_hours": _finite(found.delay_all),
        "recall_by_kind": {kind: round(share, 3) for kind, share in found.recall_by_kind.items()},
        "alerts_per_incident": round(found.alerts_per_incident, 2),
        "series_per_cpu_second": round(len(world.cost) / max(seconds, 1e-9), 1),
    }
    return _Run(found, verdict, row, found.f1_interval[1])


def _lead(ours: Verdict, theirs: Verdict, labels: Sequence[Label], series: int) -> list[float]:
    """The 95 % interval of our F1 less theirs over the same series, resampled together."""
    difference = f1_of_samples(ours, labels, series) - f1_of_samples(theirs, labels, series)
    return [round(float(bound), 3) for bound in np.quantile(difference, [0.025, 0.975])]


def _targets(ours: _Run, peers: list[_Run]) -> Iterator[Target]:
    found = ours.quality
    low = found.f1_interval[0]
    if peers:
        best = max(peers, key=lambda run: run.upper)
        bar = best.upper
        name = f"lower end of F1's interval, above the upper end of every peer's better setting ({best.row['method']})"
        yield Target(name, round(low, 4), f"> {bar:.4f}", low > bar)
    recall, false = found.recall, found.false_per_series_week
    yield Target("recall", round(recall, 4), ">= 0.85", recall >= 0.85)
    yield Target("false incidents per series-week", round(false, 4), "<= 0.05", false <= 0.05)
    delay = found.delay_sudden
    yield Target("median delay of sudden changes, buckets", _finite(delay), "<= 2", delay <= 2)
    yield Target("median delay of all, hours", _finite(found.delay_all), "<= 4", found.delay_all <= 4)
    spikes = found.recall_by_kind.get("single_spike", 0.0)
    yield Target("single-spike recall", round(spikes, 4), ">= 0.80", spikes >= 0.80)


def _speed_targets(speed: list[Row]) -> Iterator[Target]:
    for row in speed:
        if "target" in row:
            yield Target(str(row["what"]), float(str(row["value"])), str(row["target"]), bool(row["ok"]))


def _shown(setting: Setting) -> Row:
    return {name: _finite(float(value)) for name, value in setting._asdict().items()}


def _rounded(interval: tuple[float, float]) -> list[float]:
    return [round(bound, 4) for bound in interval]


def _finite(value: float) -> float | None:
    """JSON has no infinity: a channel that is not used, a delay of nothing found."""
    return round(value, 3) if math.isfinite(value) else None
