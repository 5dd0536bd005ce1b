"""The NAB benchmark of the scores that ship, beside published detectors on exactly these series."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from agent.detectors.scores import ALARM, anomaly_scores
from evals.bench.nab_data import NabSeries
from evals.bench.nab_score import PROFILES, Floats, best_threshold, nab_score, probation

Row = dict[str, object]
Clock = Callable[[], float]
ARTIME = (80.53, 71.17, 85.91)

PUBLISHED: dict[str, tuple[float, float, float]] = {
    "ARTime": ARTIME,
    "Numenta HTM": (77.98, 70.48, 81.99),
    "NumentaTM": (73.37, 62.51, 77.80),
    "HTM Java": (72.00, 57.81, 76.89),
    "CAD OSE": (71.78, 68.56, 75.98),
    "earthgecko Skyline": (62.15, 52.17, 66.99),
    "KNN CAD": (60.06, 43.98, 67.26),
    "Relative Entropy": (55.24, 45.95, 60.16),
    "Random Cut Forest": (51.08, 33.94, 58.69),
    "Twitter ADVec": (43.63, 28.94, 50.75),
    "Etsy Skyline": (36.51, 28.34, 43.23),
    "Windowed Gaussian": (30.21, 11.03, 37.92),
    "EXPoSE": (11.23, 2.68, 24.70),
    "Bayesian Changepoint": (10.53, -2.00, 29.00),
}
"""On exactly these 32 series at their published thresholds, by NAB's scorer from the result files in numenta/NAB."""

BUILT_ON = (
    "art_daily_perfect_square_wave",
    "art_daily_jumpsup",
    "art_daily_nojump",
    "ec2_cpu_utilization_53ea38",
    "elb_request_count_8c0756",
    "grok_asg_anomaly",
    "rds_cpu_utilization_e47b3b",
    "exchange-2_cpm_results",
    "exchange-3_cpc_results",
    "ambient_temperature_system_failure",
    "machine_temperature_system_failure",
    "TravelTime_387",
    "Twitter_volume_AAPL",
    "Twitter_volume_CVS",
    "Twitter_volume_KO",
    "Twitter_volume_PFE",
)
"""The half of the series, drawn at random once, on which settings were chosen; the others were looked at afterwards."""


class Target(NamedTuple):
    """A figure that the shipped scores must reach."""

    name: str
    value: float
    target: str
    ok: bool


class Report(NamedTuple):
    """NAB scores of the shipped scores and of others, one row per series, and the targets."""

    scores: list[Row]
    series: list[Row]
    targets: list[Target]

    def document(self) -> Row:
        """The report as JSON."""
        return {
            "scores": self.scores,
            "series": self.series,
            "targets": [target._asdict() for target in self.targets],
        }


def process_cpu() -> float:
    """CPU seconds of this process, all threads."""
    return time.process_time()


def run(series: Sequence[NabSeries], *, cpu: Clock) -> Report:
    """Score every series with the shipped scorer, one setting and one threshold (ALARM) for all."""
    anomaly_scores(series[0].values[:500], buckets_per_day=_per_day(series[0]))
    start = cpu()
    scores = [anomaly_scores(one.values, buckets_per_day=_per_day(one)) for one in series]
    seconds = cpu() - start
    rows: list[Row] = [
        _row("bursar, all series", scores, series) | {"cpu_seconds": round(seconds, 2)},
        _row("bursar, series it was built on", *_part(scores, series, built=True)),
        _row("bursar, the other series", *_part(scores, series, built=False)),
        _best_row("bursar, threshold tuned on these labels (upper bound)", scores, series),
    ]
    rows += [{"method": name, "threshold": "published", **_profiles(values)} for name, values in PUBLISHED.items()]
    ours = [nab_score(scores, [one.windows for one in series], profile, ALARM) for profile in PROFILES]
    targets = [
        Target(f"NAB {profile.name}, above ARTime", round(value, 2), f"> {bar}", value > bar)
        for profile, value, bar in zip(PROFILES, ours, ARTIME, strict=True)
    ]
    return Report(rows, [_series_row(one, score) for one, score in zip(series, scores, strict=True)], targets)


def _per_day(one: NabSeries) -> int:
    """Rows in a day, by the most usual distance between rows: what `--bucket` says on the command line."""
    return max(1, round(86_400 / float(np.median(np.diff(one.seconds)))))


def _part(scores: list[Floats], series: Sequence[NabSeries], *, built: bool) -> tuple[list[Floats], list[NabSeries]]:
    kept = [i for i, one in enumerate(series) if (_short(one) in BUILT_ON) == built]
    return [scores[i] for i in kept], [series[i] for i in kept]


def _short(one: NabSeries) -> str:
    return one.name.rpartition("/")[2].removesuffix(".csv")


def _row(name: str, scores: list[Floats], series: Sequence[NabSeries]) -> Row:
    windows = [one.windows for one in series]
    values = tuple(nab_score(scores, windows, profile, ALARM) for profile in PROFILES)
    return {"method": name, "threshold": ALARM, **_profiles(values)}


def _best_row(name: str, scores: list[Floats], series: Sequence[NabSeries]) -> Row:
    windows = [one.windows for one in series]
    found = [best_threshold(scores, windows, profile) for profile in PROFILES]
    return {"method": name, "threshold": "tuned", **_profiles(tuple(value for _, value in found))}


def _profiles(values: Sequence[float]) -> Row:
    return {profile.name: round(value, 2) for profile, value in zip(PROFILES, values, strict=True)}


def _series_row(one: NabSeries, score: Floats) -> Row:
    hits = np.flatnonzero(score >= ALARM)
    hits = hits[hits >= probation(len(score))]
    found = [((hits >= first) & (hits <= last)).any() for first, last in one.windows.spans]
    inside = sum(int(((hits >= first) & (hits <= last)).sum()) for first, last in one.windows.spans)
    return {
        "series": _short(one),
        "rows": len(score),
        "windows": len(found),
        "found": int(sum(found)),
        "false_detections": len(hits) - inside,
        "built_on": _short(one) in BUILT_ON,
    }
