"""The peers of the detection benchmark that are somebody's package; each is imported when it is run.

Each takes a matrix (series, HOURS) and returns scores of that shape from earlier hours and this one only. Forecasting
models learn from the first two weeks; a score is the hour above its forecast in standard deviations, as the model's own
interval has them, or those of its errors in the past.
"""

import logging
import warnings

import numpy as np

from evals.bench.series_world_faults import SCORED_FROM
from evals.bench.series_world_shapes import DAY, HOURS, WEEK, Floats

_LEVEL, _Z = 80, 1.2816


def auto_ets(values: Floats) -> Floats:
    """Exponential smoothing chosen by information criterion every week, daily season, then one hour ahead."""
    from statsforecast.models import AutoETS

    score = np.zeros_like(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row, series in enumerate(values):
            for begin in range(SCORED_FROM, HOURS, WEEK):
                model = AutoETS(season_length=DAY).fit(series[:begin])
                spread = np.full(WEEK, np.nanstd(series[:begin] - model.predict_in_sample()["fitted"]))
                told = model.forward(series[: begin + WEEK], h=1, fitted=True)["fitted"][begin:]
                score[row, begin : begin + WEEK] = _above(series[begin : begin + WEEK], told, spread)
    return score


def mstl(values: Floats) -> Floats:
    """Seasonal-trend decomposition with daily and weekly seasons, fitted every other day, up to two days ahead."""
    from statsforecast.models import MSTL, AutoETS

    score = np.zeros_like(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row, series in enumerate(values):
            for begin in range(SCORED_FROM, HOURS, 2 * DAY):
                model = MSTL(season_length=[DAY, WEEK], trend_forecaster=AutoETS(model="ZZN"))
                told = model.forecast(y=series[:begin], h=2 * DAY, level=[_LEVEL])
                spread = (told[f"hi-{_LEVEL}"] - told["mean"]) / _Z
                score[row, begin : begin + 2 * DAY] = _above(series[begin : begin + 2 * DAY], told["mean"], spread)
    return score


def holt_winters(values: Floats) -> Floats:
    """Additive Holt-Winters with a weekly season; parameters from two weeks, then one hour ahead."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    score = np.zeros_like(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row, series in enumerate(values):
            start = {"seasonal": "add", "seasonal_periods": WEEK, "initialization_method": "heuristic"}
            fitted = ExponentialSmoothing(series[:SCORED_FROM], **start).fit(optimized=True)
            level, season = float(fitted.params["smoothing_level"]), float(fitted.params["smoothing_seasonal"])
            fixed = ExponentialSmoothing(series, **start).fit(
                smoothing_level=level, smoothing_seasonal=season, optimized=False
            )
            off = series - fixed.fittedvalues
            score[row] = _above(series, fixed.fittedvalues, np.full(HOURS, off[WEEK:SCORED_FROM].std()))
    return score


def prophet(values: Floats) -> Floats:
    """Prophet with its defaults, daily and weekly season, fitted every week."""
    import pandas as pd

    for name in ("cmdstanpy", "prophet.plot"):
        logging.getLogger(name).disabled = True
    from prophet import Prophet

    score = np.zeros_like(values)
    when = pd.date_range("2026-03-02", periods=HOURS, freq="h")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row, series in enumerate(values):
            for begin in range(SCORED_FROM, HOURS, WEEK):
                model = Prophet(uncertainty_samples=0, yearly_seasonality=False)
                model.fit(pd.DataFrame({"ds": when[:begin], "y": series[:begin]}))
                told = model.predict(pd.DataFrame({"ds": when[: begin + WEEK]}))["yhat"].to_numpy()
                spread = np.full(WEEK, np.std(series[:begin] - told[:begin]))
                score[row, begin : begin + WEEK] = _above(series[begin : begin + WEEK], told[begin:], spread)
    return score


def ecod(values: Floats) -> Floats:
    """ECOD on the hour, its change within three hours, and against yesterday and last week; fitted every week."""
    from pyod.models.ecod import ECOD

    score = np.zeros_like(values)
    for row, series in enumerate(values):
        features = np.stack([series, *(series - _before(series, lag) for lag in (3, DAY, WEEK))], axis=1)
        for begin in range(SCORED_FROM, HOURS, WEEK):
            model = ECOD()
            model.fit(features[WEEK:begin])
            score[row, begin : begin + WEEK] = model.decision_function(features[begin : begin + WEEK])
        score[row] *= _up(series)
    return score


def spectral_residual(values: Floats) -> Floats:
    """The saliency of the last hour of the last seven days."""
    from pyod.models.ts_spectral_residual import SpectralResidual

    score = np.zeros_like(values)
    for row, series in enumerate(values):
        model = SpectralResidual()
        model.fit(series[:WEEK])
        for hour in range(SCORED_FROM, HOURS):
            salient = model.decision_function(series[hour + 1 - WEEK : hour + 1])
            score[row, hour] = salient[-1] / max(float(np.mean(salient)), 1e-12) - 1
        score[row] *= _up(series)
    return score


def level_shift(values: Floats, *, before: int = 3 * DAY, after: int = 6) -> Floats:
    """The rise between the medians of two neighbouring windows, in interquartile ranges of its past (LevelShiftAD)."""
    import pandas as pd
    from adtk.transformer import DoubleRollingAggregate

    when = pd.date_range("2026-03-02", periods=HOURS, freq="h")
    model = DoubleRollingAggregate(agg="median", window=(before, after), center=True, diff="diff")
    score = np.zeros_like(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row, series in enumerate(values):
            rise = model.transform(pd.Series(series, index=when)).to_numpy()
            # The transformer writes a rise at the first hour of its later window; it is known at that window's last.
            known = np.nan_to_num(_before(rise, after - 1))
            low, high = np.quantile(known[before:SCORED_FROM], [0.25, 0.75])
            score[row] = known / max(float(high - low), 1e-3 * float(np.mean(series[:SCORED_FROM])) + 1e-9)
    return score


def half_space_trees(values: Floats) -> Floats:
    """Half-space trees over the hour and its change against yesterday and last week, as a stream."""
    from river.anomaly import HalfSpaceTrees
    from river.preprocessing import MinMaxScaler

    score = np.zeros_like(values)
    for row, series in enumerate(values):
        features = np.stack([series, *(series - _before(series, lag) for lag in (DAY, WEEK))], axis=1)
        model = MinMaxScaler() | HalfSpaceTrees(n_trees=10, height=8, window_size=WEEK, seed=1)
        for hour in range(WEEK, HOURS):
            point = {"now": features[hour, 0], "day": features[hour, 1], "week": features[hour, 2]}
            score[row, hour] = model.score_one(point) if hour >= SCORED_FROM else 0.0
            model.learn_one(point)
        score[row] *= _up(series)
    return score


def _above(values: Floats, told: Floats, spread: Floats) -> Floats:
    over: Floats = (values - told) / np.maximum(spread, 1e-3 * float(np.mean(np.abs(told))) + 1e-9)
    return over


def _before(series: Floats, lag: int) -> Floats:
    if lag == 0:
        return series
    return np.concatenate([np.full(lag, series[0]), series[:-lag]])


def _up(series: Floats) -> Floats:
    """1 where the hour is above the median of the 24 before it: spend that falls is no incident."""
    day = np.median(np.stack([_before(series, lag) for lag in range(1, DAY + 1)]), axis=0)
    return (series > day).astype(np.float64)
