"""What a series does without any cause: learned from its past, unmoved by an incident there, never from the future."""

import numpy as np

from agent.detectors.noise import REACH_DAYS, overdispersion, quieter, tail, worst_days
from agent.detectors.series import Matrix
from agent.detectors.spend import seen_before

WINDOWS = (1, 3, 24)
FIRST = np.zeros(1, dtype=np.int64)
WEEK = 168


def noisy(seed: int, days: int = 35) -> Matrix:
    rng = np.random.default_rng(seed)
    hour = np.arange(days * 24)
    return (10 + 5 * np.sin(2 * np.pi * hour / 24) + rng.normal(0, 1, len(hour)))[None, :]


def limit(usd: Matrix, window: int = 1) -> float:
    """What the last day's windows may stray by."""
    start = usd.shape[1] - 24
    ranked = worst_days(usd, first=FIRST, windows=WINDOWS, buckets_per_day=24, start=start)[window]
    return float(tail(ranked, np.isfinite(ranked).sum(axis=2), sigmas=4.6, window=window)[0, 0])


def test_noise_is_learned_at_its_size() -> None:
    """The limit for one bucket of Gaussian noise lies at four to seven standard deviations, and scales with it."""
    assert 4 <= np.median([limit(noisy(seed)) for seed in range(12)]) <= 7
    assert np.isclose(limit(10 * noisy(3)), 10 * limit(noisy(3)))


def test_an_incident_in_the_past_is_no_noise() -> None:
    """Three days of an incident among 28 leave the limit nearly where it was."""
    dirty = noisy(5)
    dirty[:, 20 * 24 : 23 * 24] *= 6
    assert limit(dirty) < 1.6 * limit(noisy(5))
    assert limit(dirty, 24) < 2 * limit(noisy(5), 24)


def test_a_bursty_series_is_given_more_room() -> None:
    """Where a burst comes on every third day the limit lies above the bursts."""
    bursty = noisy(6)
    rng = np.random.default_rng(6)
    for day in range(0, 35, 3):
        bursty[0, day * 24 + int(rng.integers(0, 24))] += 40
    assert limit(bursty) > 40


def test_only_earlier_days_count() -> None:
    """What a day may stray by does not change with what is spent on it, or after it."""
    usd, other = noisy(7), noisy(7)
    other[:, 30 * 24 :] += 1000
    found = worst_days(usd, first=FIRST, windows=WINDOWS, buckets_per_day=24, start=30 * 24)
    again = worst_days(other, first=FIRST, windows=WINDOWS, buckets_per_day=24, start=30 * 24)
    assert all(np.array_equal(found[w][:, 0], again[w][:, 0]) for w in WINDOWS)
    assert found[1].shape == (1, 5, REACH_DAYS)


def test_a_young_series_knows_few_days() -> None:
    """A series of five days is told from those five, and is given more room for it."""
    usd = noisy(8)
    young = usd.copy()
    young[:, : 29 * 24] = 0
    ranked = worst_days(young, first=np.array([29 * 24]), windows=WINDOWS, buckets_per_day=24, start=34 * 24)[1]
    assert np.isfinite(ranked).sum() == 5
    assert tail(ranked, np.isfinite(ranked).sum(axis=2), sigmas=4.6, window=1)[0, 0] > limit(usd)


def test_nothing_is_no_noise() -> None:
    """No series and no history give empty tables."""
    none = worst_days(np.zeros((0, 48)), first=FIRST[:0], windows=WINDOWS, buckets_per_day=24, start=24)
    assert none[1].shape == (0, 1, REACH_DAYS)


def test_overdispersion_is_what_poisson_does_not_explain() -> None:
    """Poisson counts have about none; a relative noise of a half comes out as about a quarter."""
    rng, hours = np.random.default_rng(9), 28 * 24
    expected = np.full((1, hours), 100.0)
    known, unit = np.ones((1, hours), dtype=np.bool_), np.ones((1, 28))
    plain = rng.poisson(100, (1, hours)) - expected
    rough = 100 * rng.gamma(4, 1 / 4, (1, hours)) - expected
    for excess, low, high in ((plain, 0.0, 0.01), (rough, 0.12, 0.4)):
        found = overdispersion(excess, expected, unit_usd=unit, known=known, buckets_per_day=24, start=27 * 24)
        assert low <= found[0, 0] <= high


def test_a_job_an_hour_late_was_seen_before() -> None:
    """A weekly job makes room an hour before and after its time of the week, and nowhere else."""
    usd = np.full((1, 3 * WEEK), 2.0)
    usd[0, [40, 40 + WEEK]] = 50
    seen = seen_before(usd, np.full_like(usd, 2.0), first=FIRST, buckets_per_day=24, late=1)[0]
    assert (seen[40 + 2 * WEEK + np.array([-1, 0, 1])] > 48).all()
    assert not seen[2 * WEEK : 2 * WEEK + 39].any()


def test_less_noise_is_expected_at_quiet_hours() -> None:
    """The share falls as the square root of what is usual, not beside busy hours, nor without a whole day before."""
    expected = np.full((1, 10 * 24), 25.0)
    expected.reshape(10, 24)[:, 9:18] = 150.0
    quiet = quieter(expected, whole=np.ones((1, 10), dtype=np.bool_), buckets_per_day=24).reshape(10, 24)
    assert (quiet[1:, 7:20] == 1).all()
    assert np.allclose(quiet[1:, [2, 5, 21]], 0.5)
    assert (quiet[0] == 1).all()
    assert (quieter(expected, whole=np.zeros((1, 10), dtype=np.bool_), buckets_per_day=24) == 1).all()


def test_what_is_quiet_is_told_from_earlier_days() -> None:
    """A day that is not over changes nothing, and one hour that was idle by chance is not quiet."""
    expected = np.full((1, 10 * 24), 25.0)
    expected[0, 8 * 24 + 5] = 0.0
    whole = np.ones((1, 10), dtype=np.bool_)
    long = quieter(expected, whole=whole, buckets_per_day=24)
    assert (long == 1).all()
    assert np.array_equal(long[:, : 9 * 24 + 7], quieter(expected[:, : 9 * 24 + 7], whole=whole, buckets_per_day=24))
