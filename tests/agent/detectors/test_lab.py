"""The lab runs the shipped detector on any table: causal scores, one alert per event, clear words for bad input."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from agent.detectors.lab import Scored, detect_table
from agent.detectors.settings import DetectorSettings
from evals.series import START, Kind, make_series
from store.errors import BadInput

HOUR = timedelta(hours=1)


def columns(kinds: dict[str, Kind], *, hours: int | None = None) -> dict[str, list[object]]:
    table: dict[str, list[object]] = {"series": [], "bucket_start": [], "cost_usd": [], "requests": []}
    for i, (name, kind) in enumerate(kinds.items()):
        series = make_series(kind, i + 3)
        for hour in range(hours or len(series.usd)):
            table["series"].append(name)
            table["bucket_start"].append(START + hour * HOUR)
            table["cost_usd"].append(float(series.usd[hour]))
            table["requests"].append(float(series.requests[hour]))
    return table


def run(table: dict[str, list[object]]) -> Scored:
    return detect_table(table, bucket_seconds=3600)


def test_an_incident_is_one_alert() -> None:
    """A level shift is one alert that opens after its begin; a quiet series has none."""
    found = run(columns({"quiet": "quiet", "shift": "level_shift"}))
    truth = make_series("level_shift", 4)
    assert truth.begin is not None
    assert [alert.series for alert in found.alerts] == ["shift"]
    alert = found.alerts[0]
    assert START + truth.begin * HOUR < alert.opened_at <= START + (truth.begin + 12) * HOUR
    assert alert.score >= 0.5


def test_the_document_has_the_documented_shape() -> None:
    """An alert shows times with Z, and the keys of DESIGN.md section 9."""
    document = run(columns({"shift": "level_shift"})).alerts[0].document()
    assert list(document) == ["series", "opened_at", "started_at", "ended_at", "score", "excess", "signal"]
    assert str(document["opened_at"]).endswith("Z")


def test_every_bucket_has_a_score() -> None:
    """Scores lie in [0, 1], one per bucket, and reach a half where the alert opens."""
    found = run(columns({"shift": "level_shift"}))
    scores = np.array(found.scores["score"], dtype=float)
    assert len(scores) == len(found.scores["series"]) == len(found.scores["bucket_start"]) == 28 * 24
    assert ((scores >= 0) & (scores <= 1)).all()
    opened = found.scores["bucket_start"].index(found.alerts[0].opened_at - HOUR)
    assert scores[opened] >= 0.5


def test_scores_are_causal() -> None:
    """Cutting the table leaves the scores of what remains as they were."""
    whole = run(columns({"shift": "level_shift", "quiet": "quiet"}))
    cut = run(columns({"shift": "level_shift", "quiet": "quiet"}, hours=607))
    known = dict(
        zip(zip(whole.scores["series"], whole.scores["bucket_start"], strict=True), whole.scores["score"], strict=True)
    )
    for name, at, score in zip(*cut.scores.values(), strict=True):
        assert score == pytest.approx(known[name, at], abs=1e-9)


def test_times_come_in_many_forms() -> None:
    """ISO text, seconds and datetime64 give what datetimes give."""
    table = columns({"shift": "level_shift"})
    moments = [moment for moment in table["bucket_start"] if isinstance(moment, datetime)]
    expected = run(table).alerts
    texts: list[object] = [moment.isoformat().replace("+00:00", "Z") for moment in moments]
    seconds: list[object] = [int(moment.timestamp()) for moment in moments]
    numpy_times: list[object] = [np.datetime64(moment.replace(tzinfo=None), "us") for moment in moments]
    for form in (texts, seconds, numpy_times):
        assert run({**table, "bucket_start": form}).alerts == expected


def test_five_minutes_and_days_are_judged_too() -> None:
    """The same burst is found in buckets of five minutes and of a day."""
    rng = np.random.default_rng(7)
    for width, count in ((300, 288 * 10), (86_400, 90)):
        cost = rng.gamma(20, 1 / 20, count)
        cost[count - 20 : count - 17] += 30
        table: dict[str, list[object]] = {
            "series": ["x"] * count,
            "bucket_start": [START + timedelta(seconds=width * i) for i in range(count)],
            "cost_usd": list(cost),
        }
        found = detect_table(table, bucket_seconds=width, settings=DetectorSettings(end_after_hours=1))
        assert START + timedelta(seconds=width * (count - 19)) in [alert.opened_at for alert in found.alerts]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cost_usd": None}, "no column 'cost_usd'"),
        ({"cost_usd": [1.0, float("nan"), 2.0]}, "'cost_usd', row 2: not a finite number"),
        ({"cost_usd": [1.0, "x", 2.0]}, "'cost_usd' holds what is not a number"),
        ({"cost_usd": [1.0]}, "'cost_usd' has 1 rows where 'series' has 3"),
        ({"bucket_start": [0, "yesterday", 7200]}, "'bucket_start', row 2: 'yesterday' is no ISO 8601 time"),
    ],
)
def test_bad_tables_are_refused(change: dict[str, list[object] | None], says: str) -> None:
    """A table that cannot be read is refused with the column, the row and what is wrong."""
    table: dict[str, list[object] | None] = {
        "series": ["a"] * 3,
        "bucket_start": [0, 3600, 7200],
        "cost_usd": [1.0] * 3,
    }
    table.update(change)
    with pytest.raises(BadInput, match=says):
        run({name: values for name, values in table.items() if values is not None})


def test_a_series_that_begins_late_is_new() -> None:
    """Beside older series one that starts in the third week is raised as new, without rows of its earlier days."""
    table = columns({"old": "quiet"})
    late = make_series("quiet", 8)
    for hour in range(500, len(late.usd)):
        for name, value in (("series", "young"), ("bucket_start", START + hour * HOUR)):
            table[name].append(value)
        table["cost_usd"].append(float(late.usd[hour]))
        table["requests"].append(float(late.requests[hour]))
    found = run(table)
    assert [(alert.series, alert.signal) for alert in found.alerts][:1] == [("young", "new_series")]
    assert START + 500 * HOUR < found.alerts[0].opened_at <= START + 506 * HOUR


def test_cached_tokens_show_a_broken_cache() -> None:
    """With cached_tokens a fallen hit ratio is raised by its own signal, without them by what it costs."""
    one = make_series("cache_drop", 5)
    hours = len(one.usd)
    table: dict[str, list[object]] = {
        "series": ["a"] * hours,
        "bucket_start": [START + hour * HOUR for hour in range(hours)],
        "cost_usd": one.usd.tolist(),
        "requests": one.requests.tolist(),
        "tokens": one.tokens_in.tolist(),
        "cached_tokens": one.cache_read.tolist(),
    }
    assert [alert.signal for alert in run(table).alerts] == ["cache_hit_ratio"]
    del table["tokens"], table["cached_tokens"]
    assert "cache_hit_ratio" not in [alert.signal for alert in run(table).alerts]


def test_series_that_lie_years_apart_need_no_common_axis() -> None:
    """Two rows thirty years apart are two series of one bucket; no row is no series."""
    apart: dict[str, list[object]] = {"series": ["a", "b"], "bucket_start": [0, 10**9], "cost_usd": [1.0, 1.0]}
    assert run(apart).scores["series"] == ["a", "b"]
    assert run({"series": [], "bucket_start": [], "cost_usd": []}).alerts == []
