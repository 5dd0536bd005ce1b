"""Forecasts of sums of days: right on average, honest about their error, silent where too little is known."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agent.detectors.forecast import MIN_DAYS, forecast_sum, period_end
from agent.detectors.pace import burn, standing
from agent.detectors.series import Matrix, SeriesSet
from evals.series import Kind, make_series
from store.model.usage import Window

KINDS: tuple[Kind, ...] = ("quiet", "quiet", "weekly_job", "holiday")
START = datetime(2026, 3, 2, tzinfo=UTC)


def daily(count: int, days: int) -> Matrix:
    made = [make_series(KINDS[i % len(KINDS)], 9000 + i, days=days).usd for i in range(count)]
    sums: Matrix = np.stack(made).reshape(count, days, 24).sum(axis=2)
    return sums


def wandering(count: int, days: int) -> Matrix:
    """Levels that walk, a week's shape, and noise: what no part of the forecast was told."""
    rng = np.random.default_rng(4)
    level = np.exp(np.cumsum(rng.normal(0, 0.04, (count, days)), axis=1))
    shape = np.where(np.arange(days) % 7 >= 5, rng.uniform(0.2, 1, (count, 1)), 1.0)
    spent: Matrix = 100 * level * shape * np.exp(rng.normal(0, 0.1, (count, days)))
    return spent


@pytest.mark.parametrize("make", [daily, wandering])
@pytest.mark.parametrize(("known", "ahead"), [(28, 14), (42, 7), (42, 20)])
def test_eight_of_ten_sums_lie_in_the_interval(make: type, known: int, ahead: int) -> None:
    """Coverage of the nominal 80 % lies between 70 and 95 % for each kind of series and horizon, and without a bias."""
    days: Matrix = make(200, 62)
    found = forecast_sum(days[:, :known], weekday=known % 7, days=ahead)
    actual = days[:, known : known + ahead].sum(axis=1)
    inside = (found.low <= actual) & (actual <= found.high)
    assert 0.70 <= inside.mean() <= 0.95
    assert 0.93 <= np.median(found.mid / actual) <= 1.07


def test_a_constant_series_is_known_exactly() -> None:
    """Without noise there is no interval, whatever the weekday."""
    found = forecast_sum(np.full((1, 30), 7.0), weekday=3, days=10)
    np.testing.assert_allclose([found.low[0], found.mid[0], found.high[0]], 70.0)


def test_the_past_incident_is_cut() -> None:
    """One day at thirty times the usual moves the forecast by less than a third."""
    days = daily(1, 40)
    dirty = days.copy()
    dirty[0, 33] *= 30
    clean, after = (forecast_sum(one, weekday=5, days=10).mid[0] for one in (days, dirty))
    assert after == pytest.approx(clean, rel=0.33)


def test_two_weeks_are_needed() -> None:
    """A younger series gets none; nothing ahead is nothing; a part of the first day counts as that part."""
    short = np.full((1, 30), np.nan)
    short[:, -(MIN_DAYS - 1) :] = 5.0
    assert np.isnan(forecast_sum(short, weekday=0, days=3).mid[0])
    assert forecast_sum(short, weekday=0, days=0).mid[0] == 0.0
    assert forecast_sum(np.full((1, 30), 4.0), weekday=0, days=2, first_share=0.5).mid[0] == pytest.approx(6.0)


def hourly(days: int) -> SeriesSet:
    usd = np.ones((1, days * 24))
    return SeriesSet((), [()], int(START.timestamp()), 3600, 0, np.array([0]), usd, usd, usd, usd)


def test_a_period_ends_with_what_is_spent_and_what_is_ahead() -> None:
    """At noon of the last known day of a steady dollar an hour the month ends at its hours."""
    month = Window(start=datetime(2026, 4, 1, tzinfo=UTC), end=datetime(2026, 5, 1, tzinfo=UTC))
    now = START + timedelta(days=39, hours=12)
    (end,) = period_end(hourly(40), period=month, until=now)
    assert end.spent == (now - month.start) / timedelta(hours=1)
    assert end.mid == pytest.approx(720.0)
    assert standing(end, 720.5) == "within"
    assert standing(end, 700.0) == "over"
    assert standing(end, 100.0) == "exceeded"
    assert standing(end._replace(high=900.0, low=650.0), 700.0) == "perhaps_over"
    assert standing(end._replace(high=None, low=None), 700.0) == "unknown"


def test_a_budget_burns_fast_where_two_windows_agree() -> None:
    """Ten times the pace for six hours is fast; the same six hours ended an hour ago is not."""
    calm, hot = np.ones(200), np.ones(200)
    hot[-6:] = 10.0
    over = np.concatenate([hot, np.zeros(2)])
    assert not burn(calm, budget_usd=720.0, period_hours=720.0).fast
    assert burn(calm, budget_usd=720.0, period_hours=720.0).rates[24] == pytest.approx(1.0)
    assert burn(hot, budget_usd=720.0, period_hours=720.0).fast
    assert burn(over, budget_usd=720.0, period_hours=720.0).rates[1] == 0.0
    assert not burn(over, budget_usd=2000.0, period_hours=720.0).fast
    assert burn(calm[:0], budget_usd=720.0, period_hours=720.0).rates[6] == 0.0
