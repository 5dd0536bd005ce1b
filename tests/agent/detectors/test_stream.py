"""The streaming road says what the batch road says, and its refit what the batch code learns."""

import numpy as np
import pytest

from agent.detectors.noise import worst_days
from agent.detectors.refit import refit
from agent.detectors.series import SeriesSet
from agent.detectors.settings import DetectorSettings
from agent.detectors.spend import judge_spend
from agent.detectors.stream import Stream, plan
from evals.series import Kind, make_series

SETTINGS = DetectorSettings()
KINDS: tuple[Kind, ...] = ("quiet", "spike", "level_shift", "ramp", "new_series", "sparse", "weekly_job", "holiday")
DAYS = 35


def company(seed: int) -> SeriesSet:
    made = [make_series(kind, seed + i, days=DAYS) for i, kind in enumerate(KINDS)]
    usd = np.stack([one.usd for one in made])
    return SeriesSet(
        group_by=(),
        keys=[() for _ in made],
        start_s=0,
        bucket_seconds=3600,
        known_from=0,
        first=(usd > 0).argmax(axis=1),
        usd=usd,
        requests=np.stack([one.requests for one in made]),
        tokens_in=np.zeros_like(usd),
        cache_read=np.zeros_like(usd),
    )


def until(series: SeriesSet, column: int) -> SeriesSet:
    return series._replace(
        usd=series.usd[:, :column],
        requests=series.requests[:, :column],
        tokens_in=series.tokens_in[:, :column],
        cache_read=series.cache_read[:, :column],
    )


@pytest.mark.parametrize("seed", [10, 200])
@pytest.mark.parametrize("start_day", [9, 26])
def test_ticks_give_the_verdicts_of_the_batch_road(seed: int, start_day: int) -> None:
    """Bucket by bucket over a week, each day planned from what lies before it, ratio and hot are the batch's own."""
    series, start = company(seed), start_day * 24
    batch = judge_spend(until(series, start + 168), start=start, settings=SETTINGS, every=True)
    stream = Stream.after(until(series, start), SETTINGS)
    for column in range(start, start + 168):
        if column > start and column % 24 == 0:
            stream.turn(plan(until(series, column), SETTINGS)[0])
        ticked = stream.tick(np.ascontiguousarray(series.usd[:, column]))
        at = column - start
        np.testing.assert_allclose(ticked.ratio, batch.ratio[:, :, at].max(axis=0), rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(ticked.hot, batch.hot[:, at])


def test_the_strongest_window_is_named() -> None:
    """One dear hour after quiet days is strongest in the window of one bucket."""
    series = company(10)
    stream = Stream.after(until(series, 30 * 24), SETTINGS)
    ticked = stream.tick(series.usd[:, 30 * 24] + 1000)
    assert (SETTINGS.windows[ticked.window[0]], bool(ticked.hot[0])) == (1, True)
    assert ticked.ratio[0] > 1


@pytest.mark.parametrize("series_count", [1, 31, 70])
def test_the_compiled_refit_learns_the_same(series_count: int) -> None:
    """Old and young series, in any number, come out as worst_days has them."""
    rng, hours = np.random.default_rng(series_count), 28 * 24
    usd = rng.gamma(2.0, 5.0, (series_count, hours + 24))
    first = rng.choice([0, 0, 30, 400, 600, 660, hours], series_count)
    usd[np.arange(hours + 24)[None, :] < first[:, None]] = 0
    slow = worst_days(usd, first=first, windows=SETTINGS.windows, buckets_per_day=24, start=hours)
    history = np.where(np.arange(hours)[:, None] < first[None, :], np.inf, usd[:, :hours].T)
    fast = refit(history, windows=SETTINGS.windows, buckets_per_day=24)
    for k, window in enumerate(SETTINGS.windows):
        np.testing.assert_allclose(fast[k].T, slow[window][:, 0], rtol=1e-9, atol=1e-9)
