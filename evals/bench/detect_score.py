"""Scores alerts against labelled incidents: F1 by incident, false incidents per series-week, delay, recall by kind."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from evals.bench.series_world import Label
from evals.bench.series_world_faults import SCORED_FROM, SUDDEN
from evals.bench.series_world_shapes import HOURS, WEEK, Floats

GRACE = 6
"""Hours by which an alert may come after the incident's end, or have begun before its start, and still mean it."""
_RESAMPLES = 1000


class Raised(NamedTuple):
    """One alert: series (row), the hour whose data raised it, and the hour after its last abnormal one."""

    row: int
    at: int
    end: int


class Verdict(NamedTuple):
    """Per incident the delay in hours (None: missed), in the order of the labels; per series its false alerts."""

    delays: list[int | None]
    false: list[int]
    duplicates: int


class Quality(NamedTuple):
    """The figures of one detector over one world; intervals are 95 %, by bootstrap over series.

    A delay is the hours from the incident's start to the end of the hour whose data raised the alert, so at least 1.
    """

    f1: float
    f1_interval: tuple[float, float]
    precision: float
    recall: float
    recall_interval: tuple[float, float]
    false_per_series_week: float
    false_interval: tuple[float, float]
    delay_sudden: float
    delay_all: float
    recall_by_kind: dict[str, float]
    alerts_per_incident: float


def judge_alerts(alerts: Iterable[Raised], labels: Sequence[Label], series: int) -> Verdict:
    """Match alerts with incidents of their series; alerts raised before SCORED_FROM do not count.

    An alert means an incident if their spans overlap, give or take GRACE hours, and it was not raised more than GRACE
    hours before the start. More alerts for one incident are duplicates, neither found nor false.
    """
    of_row: dict[int, list[int]] = {}
    for i, label in enumerate(labels):
        of_row.setdefault(label.row, []).append(i)
    delays: list[int | None] = [None] * len(labels)
    false, duplicates = [0] * series, 0
    for alert in sorted(alerts, key=lambda alert: (alert.row, alert.at)):
        if alert.at < SCORED_FROM:
            continue
        meant = [i for i in of_row.get(alert.row, []) if _means(alert, labels[i])]
        fresh = [i for i in meant if delays[i] is None]
        if fresh:
            delays[fresh[0]] = max(1, alert.at + 1 - labels[fresh[0]].start)
        elif meant:
            duplicates += 1
        else:
            false[alert.row] += 1
    return Verdict(delays, false, duplicates)


def _means(alert: Raised, label: Label) -> bool:
    return label.start - GRACE <= alert.at < label.end + GRACE and alert.end > label.start


def quality(verdict: Verdict, labels: Sequence[Label], *, seed: int = 0) -> Quality:
    """All figures of a verdict."""
    series = len(verdict.false)
    tally = _tally(verdict, labels, series)
    picks = _resampled(tally, seed)
    weeks = series * (HOURS - SCORED_FROM) / WEEK
    total = tally.sum(axis=0)
    kinds = sorted({label.kind for label in labels})
    return Quality(
        f1=float(_f1(total)),
        f1_interval=_interval(_f1(picks.T)),
        precision=float(total[0] / max(1, total[0] + total[2])),
        recall=float(_recall(total)),
        recall_interval=_interval(_recall(picks.T)),
        false_per_series_week=float(total[2] / weeks),
        false_interval=_interval(picks[:, 2] / weeks),
        delay_sudden=_median_delay(verdict, labels, lambda label: label.kind in SUDDEN),
        delay_all=_median_delay(verdict, labels, lambda _: True),
        recall_by_kind={kind: _recall_of(verdict, labels, kind) for kind in kinds},
        alerts_per_incident=float(1 + verdict.duplicates / max(1.0, total[0])),
    )


def f1_of_samples(verdict: Verdict, labels: Sequence[Label], series: int, *, seed: int = 0) -> Floats:
    """F1 over the first `series` series in every resample; equal seeds pick the same series for every detector."""
    samples: Floats = _f1(_resampled(_tally(verdict, labels, series), seed).T)
    return samples


def _tally(verdict: Verdict, labels: Sequence[Label], series: int) -> Floats:
    """Found, missed and false per series."""
    tally = np.zeros((series, 3))
    # The labels of the first series are the first labels, so a detector may have judged fewer of them.
    for label, delay in zip(labels, verdict.delays, strict=False):
        if label.row < series:
            tally[label.row, 0 if delay is not None else 1] += 1
    tally[:, 2] = verdict.false[:series]
    return tally


def _resampled(tally: Floats, seed: int) -> Floats:
    series = len(tally)
    picks = np.random.default_rng(seed).multinomial(series, np.full(series, 1 / series), size=_RESAMPLES)
    drawn: Floats = picks @ tally
    return drawn


def _f1(tally: Floats) -> Floats:
    found, missed, false = tally
    f1: Floats = 2 * found / np.maximum(1, 2 * found + missed + false)
    return f1


def _recall(tally: Floats) -> Floats:
    recall: Floats = tally[0] / np.maximum(1, tally[0] + tally[1])
    return recall


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _median_delay(verdict: Verdict, labels: Sequence[Label], wanted: Callable[[Label], bool]) -> float:
    delays = [d for d, label in zip(verdict.delays, labels, strict=True) if d is not None and wanted(label)]
    return float(statistics.median(delays)) if delays else float("inf")


def _recall_of(verdict: Verdict, labels: Sequence[Label], kind: str) -> float:
    mine = [delay is not None for delay, label in zip(verdict.delays, labels, strict=True) if label.kind == kind]
    return sum(mine) / len(mine)
