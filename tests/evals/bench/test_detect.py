"""The benchmark of detection: scoring by incident, tuning of peers, speed, and the report."""

import itertools

import numpy as np
import pytest
from typer.testing import CliRunner

from agent.entrypoints.cli import app
from evals.bench.detect import run
from evals.bench.detect_peers import PEERS, Peer, ewma, rolling_z, seasonal_naive
from evals.bench.detect_score import Raised, judge_alerts, quality
from evals.bench.detect_speed import speed_rows
from evals.bench.detect_tuning import Excess, Scores, Setting, alerts_of, tune
from evals.bench.series_world import Label
from evals.bench.series_world_faults import SCORED_FROM
from evals.bench.series_world_shapes import HOURS

T = SCORED_FROM
LABELS = [Label(0, "burst", T + 50, T + 54, 100.0), Label(1, "level_shift", T + 20, T + 90, 900.0)]


def test_alerts_are_matched_by_overlap() -> None:
    """Found once, the rest duplicates; before the grace, after it, elsewhere or in the learning weeks: not found."""
    alerts = [
        Raised(0, T - 5, T - 1),
        Raised(0, T + 10, T + 12),
        Raised(0, T + 51, T + 53),
        Raised(0, T + 58, T + 59),
        Raised(0, T + 70, T + 75),
        Raised(1, T + 5, T + 60),
        Raised(2, T + 51, T + 53),
    ]
    verdict = judge_alerts(alerts, LABELS, 3)
    assert verdict.delays == [2, None]
    assert verdict.false == [2, 1, 1]
    assert verdict.duplicates == 1


def test_figures_of_a_verdict() -> None:
    """F1, recall, false incidents per series-week and delays follow from the counts; the intervals hold them."""
    verdict = judge_alerts([Raised(0, T + 50, T + 51), Raised(2, T + 9, T + 10)], LABELS, 3)
    found = quality(verdict, LABELS)
    assert found.f1 == pytest.approx(0.5)
    assert found.recall == pytest.approx(0.5)
    assert found.false_per_series_week == pytest.approx(1 / 6)
    assert found.delay_sudden == 1
    assert found.recall_by_kind == {"burst": 1.0, "level_shift": 0.0}
    assert found.f1_interval[0] <= found.f1 <= found.f1_interval[1]


def test_flags_become_alerts_and_tuning_finds_the_threshold() -> None:
    """Neighbouring flags are one alert, in a row if asked; tuning separates what a threshold can separate."""
    spend, unit = np.zeros((3, HOURS)), np.zeros((3, HOURS))
    spend[:, T:] = np.random.default_rng(1).uniform(0, 3, (3, HOURS - T))
    spend[0, T + 50 : T + 54], spend[1, T + 20 : T + 90 : 2] = 9.0, 8.0
    scores, excess = Scores(spend, unit), Excess(np.full((3, HOURS), 50.0), unit)
    once = alerts_of(scores, excess, Setting(7.0, np.inf, 5.0, 1))
    assert once == [Raised(0, T + 50, T + 54), Raised(1, T + 20, T + 89)]
    assert alerts_of(scores, excess, Setting(7.0, np.inf, 5.0, 3)) == [Raised(0, T + 52, T + 54)]
    assert alerts_of(scores, excess, Setting(7.0, np.inf, 90.0, 1)) == []
    tuned = tune(scores, excess, LABELS)
    assert judge_alerts(alerts_of(scores, excess, tuned.best), LABELS, 3).false == [0, 0, 0]
    assert None not in judge_alerts(alerts_of(scores, excess, tuned.best), LABELS, 3).delays


@pytest.mark.parametrize("score", [seasonal_naive, rolling_z, ewma])
def test_peers_are_causal_and_see_a_spike(score: object) -> None:
    """A peer's scores do not change with later hours, and a spike scores higher than anything before."""
    assert callable(score)
    values = np.random.default_rng(2).gamma(9, 1, (2, HOURS))
    values[0, 500] = 200
    whole = score(values)
    changed = values.copy()
    changed[:, 520:] *= 7
    assert np.array_equal(whole[:, :520], score(changed)[:, :520])
    assert whole[0, T:].argmax() == 500 - T


def test_the_report_has_all_methods_and_targets() -> None:
    """A small run has a row for each method, the absent package said so, and every target of the issue."""
    clock = itertools.count()
    absent = Peer("no such", ewma, "no_such_package")
    peers = [peer for peer in PEERS if peer.package is None]
    report = run(
        series=24, peers=[*peers, absent], seed=3, speed=[], cpu=lambda: next(clock) / 100, tell=lambda _: None
    )
    names = [row["method"] for row in report.quality]
    assert names[0] == "bursar"
    assert set(names) == {"bursar", "no such", *(peer.name for peer in peers)}
    assert "not installed" in str(report.quality[-1]["note"])
    assert len(report.targets) == 6
    assert {"quality", "speed", "published", "targets"} <= set(report.document())


def test_speed_rows_agree_and_are_targets() -> None:
    """The compiled tick and refit give what NumPy gives, and each row carries its target."""
    clock = itertools.count()
    rows = speed_rows(cpu=lambda: next(clock) / 1000, tell=lambda _: None, series=200, refit_series=50)
    assert [row["target"] for row in rows] == ["<= 5", ">= 7", "<= 10"]


def test_the_command_refuses_unknown_peers() -> None:
    """A wrong choice of peers is named, with what may be written."""
    result = CliRunner().invoke(app, ["bench", "detect", "--peers", "some"])
    assert result.exit_code != 0
    assert "fast" in str(result.exception)
