"""The scores of `bursar detect --scores`: causal, without unit, one alarm per event."""

import numpy as np
import pytest

from agent.detectors.lab import strangeness
from agent.detectors.scores import ALARM, anomaly_scores, novelty

DAY = 48


def usual(days: int = 30, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    hour = np.arange(days * DAY)
    return 10 + 5 * np.sin(2 * np.pi * hour / DAY) + rng.normal(0, 0.3, len(hour))


def test_novelty_is_the_distance_to_the_nearest_stretch() -> None:
    """Equal to comparing each stretch with every earlier one that does not overlap it."""
    series = np.random.default_rng(3).random(60)
    for length, found in zip((4, 9), novelty(series, (4, 9)), strict=True):
        for end in range(60):
            past = list(range(length - 1, end - length + 1))
            stretch = series[end + 1 - length : end + 1]
            apart = [np.sqrt(np.mean((stretch - series[e + 1 - length : e + 1]) ** 2)) for e in past]
            assert found[end] == pytest.approx(min(apart, default=0.0), abs=1e-6)


def test_scores_are_causal_bounded_and_without_unit() -> None:
    """Later buckets change nothing, cents or dollars neither, and every score lies in [0, 1]."""
    series = usual()
    series[1200:1230] += 12
    whole = anomaly_scores(series, buckets_per_day=DAY)
    assert np.allclose(whole[:1215], anomaly_scores(series[:1215], buckets_per_day=DAY), atol=1e-6)
    assert np.allclose(whole, anomaly_scores(series * 100, buckets_per_day=DAY), atol=1e-6)
    assert ((whole >= 0) & (whole <= 1)).all()


def test_an_event_is_one_alarm() -> None:
    """A burst raises one alarm, in its first buckets; a quiet series is quiet but for a record or two."""
    series = usual()
    quiet = anomaly_scores(series, buckets_per_day=DAY)
    assert (quiet[800:] >= ALARM).sum() <= 3
    series[1200:1230] += 12
    alarms = np.flatnonzero(anomaly_scores(series, buckets_per_day=DAY)[1150:1330] >= ALARM) + 1150
    assert len(alarms) == 1
    assert 1200 <= alarms[0] <= 1203


@pytest.mark.parametrize("values", [[], [1.0], [0.0] * 700, [5.0] * 700])
def test_nothing_to_tell_is_nought(values: list[float]) -> None:
    """Empty, short, nil and constant series score 0 throughout."""
    scores = anomaly_scores(values, buckets_per_day=24)
    assert len(scores) == len(values)
    assert not scores.any()


def test_a_table_is_scored_by_series_and_bucket() -> None:
    """Buckets that have rows get a score under their series' name and their start, rows of one bucket added up."""
    cost = usual(20).tolist()
    table: dict[str, list[object]] = {
        "series": [*(["a"] * len(cost)), "b", "b", "b"],
        "bucket_start": [*range(0, 1800 * len(cost), 1800), 0, 10, 3600],
        "cost_usd": [*cost, 1.0, 2.0, 3.0],
    }
    found = strangeness(table, bucket_seconds=1800)
    assert [name for name, _ in found].count("b") == 2
    mine = [score for (name, _), score in found.items() if name == "a"]
    assert mine == anomaly_scores(cost, buckets_per_day=DAY).tolist()
