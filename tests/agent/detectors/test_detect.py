"""The detectors on seeded, labelled series: what they find, what they leave alone, and that they never look ahead."""

from datetime import timedelta

import numpy as np
import pytest

from agent.detectors.detect import DETECTORS, Judge, detect
from agent.detectors.series import fold, joined
from agent.detectors.settings import DetectorSettings
from evals.series import INCIDENTS, START, Kind, Series, make_cube, make_series
from store.model.incident import Spike
from store.model.usage import Cube, Scope, Window

BY_APP = DetectorSettings(group_bys=(("app",),))
HOUR = timedelta(hours=1)


def cube_of(*series: Series) -> Cube:
    return make_cube({(f"app{i:03d}",): one for i, one in enumerate(series)}, ("app",))


def many(kind: Kind, count: int, seed: int = 0) -> tuple[list[Series], dict[str, list[Spike]]]:
    series = [make_series(kind, seed + i) for i in range(count)]
    cube = cube_of(*series, make_series("quiet", 4321))
    found: dict[str, list[Spike]] = {f"app{i:03d}": [] for i in range(count + 1)}
    for spike in detect(cube, until=cube.window.end, settings=BY_APP):
        found.setdefault(spike.series.get("app") or "", []).append(spike)
    assert found.pop(f"app{count:03d}") == []
    return series, found


def true_positives(series: Series, spikes: list[Spike]) -> list[Spike]:
    assert series.begin is not None
    assert series.end is not None
    begin, end = START + series.begin * HOUR, START + series.end * HOUR
    return [spike for spike in spikes if spike.opened_at > begin and spike.started_at < end]


@pytest.mark.parametrize(
    ("kind", "recall", "hours"),
    [
        ("spike", 0.7, 1),
        ("level_shift", 0.9, 6),
        ("ramp", 0.9, 30),
        ("unit_cost", 0.95, 4),
        ("cache_drop", 0.95, 3),
        ("new_series", 0.95, 4),
    ],
)
def test_an_incident_is_found_in_time(kind: Kind, recall: float, hours: float) -> None:
    """Most incidents of each kind are found, and half of them within the named hours after their begin."""
    assert kind in INCIDENTS
    series, found = many(kind, 30)
    delays = []
    for one, spikes in zip(series, found.values(), strict=True):
        hits = true_positives(one, spikes)
        if hits and one.begin is not None:
            delays.append((min(hit.opened_at for hit in hits) - START) / HOUR - one.begin)
    assert len(delays) / 30 >= recall
    assert np.median(delays) <= hours


@pytest.mark.parametrize(
    ("kind", "most"), [("quiet", 2), ("holiday", 2), ("weekly_job", 6), ("growth", 8), ("sparse", 6)]
)
def test_ordinary_life_is_left_alone(kind: Kind, most: int) -> None:
    """In forty series and the last week of each there are at most so many spikes that are none."""
    _, found = many(kind, 40, seed=500)
    assert sum(len(spikes) for spikes in found.values()) <= most


def test_quiet_months_stay_quiet() -> None:
    """Forty quiet series, each judged at the end of four different weeks, give at most four spikes in all."""
    cube = cube_of(*(make_series("quiet", 900 + i, days=49) for i in range(40)))
    looks = [cube.window.end - timedelta(days=7 * i) for i in range(4)]
    assert sum(len(detect(cube, until=look, settings=BY_APP)) for look in looks) <= 4


def test_the_excess_is_what_the_incident_cost() -> None:
    """The excess of a level shift is near the truth in the median, at whole cents, and actual minus baseline."""
    series, found = many("level_shift", 30)
    ratios = []
    for one, spikes in zip(series, found.values(), strict=True):
        hits = [hit for hit in true_positives(one, spikes) if hit.signal == "spend"]
        ratios.append(sum(hit.excess_nanos for hit in hits) / 1e9 / one.excess_usd)
        assert all(hit.excess_nanos == hit.actual_nanos - hit.baseline_nanos for hit in hits)
        assert all(hit.excess_nanos % 10**7 == 0 for hit in hits)
    assert 0.75 <= np.median(ratios) <= 1.33


def test_a_dearer_call_is_named_a_unit_cost() -> None:
    """A higher price per request at flat volume fires the unit-cost signal; more requests alone do not."""
    _, dearer = many("unit_cost", 12)
    _, more = many("spike", 12)
    assert sum("unit_cost" in {spike.signal for spike in spikes} for spikes in dearer.values()) >= 11
    assert all(spike.signal != "unit_cost" for spikes in more.values() for spike in spikes)


def test_a_cache_break_is_named() -> None:
    """A fallen cache-hit ratio fires the cache signal; a dearer model with the same ratio does not."""
    _, broken = many("cache_drop", 12)
    _, dearer = many("unit_cost", 12)
    assert all("cache_hit_ratio" in {spike.signal for spike in spikes} for spikes in broken.values())
    assert all(spike.signal != "cache_hit_ratio" for spikes in dearer.values() for spike in spikes)


def test_the_future_is_not_looked_at() -> None:
    """A look at an earlier moment gives the same from the whole cube as from a cube that ends there."""
    kinds: tuple[Kind, ...] = ("level_shift", "spike", "quiet", "cache_drop")
    cube = cube_of(*(make_series(kind, 40 + i) for i, kind in enumerate(kinds)))
    until = cube.window.end - timedelta(hours=40)
    cut = cube.within(Window(start=cube.window.start, end=until))
    assert detect(cube, until=until, settings=BY_APP) == detect(cut, until=until, settings=BY_APP)


def test_a_spike_keeps_its_start_and_alarm() -> None:
    """Later looks repeat when a spike began and when it could first be raised."""
    series = make_series("level_shift", 3)
    cube = cube_of(series)
    assert series.begin is not None
    seen = set()
    for hours in range(series.begin + 1, series.begin + 30):
        spikes = detect(cube, until=START + hours * HOUR, settings=BY_APP)
        seen |= {(spike.started_at, spike.opened_at) for spike in spikes if spike.signal == "spend"}
        assert all(spike.opened_at <= START + hours * HOUR for spike in spikes)
    assert len(seen) == 1


def test_a_past_incident_does_not_hide_the_next() -> None:
    """A day of fivefold spend two weeks ago neither lifts the baseline nor the threshold out of reach."""
    series = make_series("quiet", 77)
    usd, requests = series.usd.copy(), series.requests.copy()
    normal = usd.sum() / len(usd) * 24
    for day in (12, 25):
        usd[day * 24 : day * 24 + 24] *= 5
        requests[day * 24 : day * 24 + 24] *= 5
    cube = cube_of(series._replace(usd=usd, requests=requests))
    spikes = [spike for spike in detect(cube, until=cube.window.end, settings=BY_APP) if spike.signal == "spend"]
    assert [spike.started_at.date() for spike in spikes] == [(START + timedelta(days=25)).date()]
    assert spikes[0].excess_nanos / 1e9 == pytest.approx(4 * normal, rel=0.5)


def test_a_spike_ends() -> None:
    """An hour of tenfold spend is over when six quiet hours followed, and its end is the end of that hour."""
    series = make_series("quiet", 78)
    usd = series.usd.copy()
    usd[600] += 40 * usd.mean()
    cube = cube_of(series._replace(usd=usd))
    running = detect(cube, until=START + 604 * HOUR, settings=BY_APP)
    over = detect(cube, until=START + 612 * HOUR, settings=BY_APP)
    assert {spike.ended_at for spike in running if spike.signal == "spend"} == {None}
    ended = [spike for spike in over if spike.signal == "spend"]
    assert [(spike.started_at, spike.ended_at, spike.seen_until) for spike in ended] == [
        (START + 600 * HOUR, START + 601 * HOUR, START + 601 * HOUR)
    ]


def test_cold_start_asks_for_more() -> None:
    """With two days of history a doubled hour is no news, a fiftyfold one is."""
    series = make_series("quiet", 5, days=3)
    for factor, expected in ((2, 0), (50, 1)):
        usd = series.usd.copy()
        usd[60] *= factor
        cube = cube_of(series._replace(usd=usd))
        found = detect(cube, until=START + 61 * HOUR, settings=BY_APP)
        assert len([spike for spike in found if spike.signal == "spend"]) == expected


def test_cents_are_no_incident() -> None:
    """A series a thousand times smaller shows the same shape and raises nothing."""
    small = make_series("spike", 2, usd_per_request=0.00005)
    large = make_series("spike", 2)
    cube = cube_of(small, large)
    assert {spike.series for spike in detect(cube, until=cube.window.end, settings=BY_APP)} == {Scope.of(app="app001")}


def test_nothing_gives_nothing() -> None:
    """No rows, or no whole bucket yet, is an empty answer."""
    cube = cube_of(make_series("quiet", 1))
    none = cube.take(np.zeros(cube.rows, dtype=np.bool_))
    assert detect(none, until=cube.window.end, settings=DetectorSettings(group_bys=((), ("app",)))) == []
    assert detect(cube, until=START, settings=BY_APP) == []
    assert detect(cube, until=START + timedelta(minutes=30), settings=BY_APP) == []


@pytest.mark.parametrize("judge", [judge for _, judge in DETECTORS], ids=[signal for signal, _ in DETECTORS])
def test_group_bys_judged_together_are_judged_as_each_alone(judge: Judge) -> None:
    """To the last bit; a young series beside old ones among them."""
    kinds: tuple[Kind, ...] = ("spike", "level_shift", "cache_drop", "new_series", "unit_cost", "sparse")
    dims = ("team", "app")
    cube = make_cube({(f"team{i % 2}", f"app{i}"): make_series(kind, 70 + i) for i, kind in enumerate(kinds)}, dims)
    leaves = fold(cube, until=cube.window.end, dims=dims)
    sets = [leaves.by(group_by) for group_by in ((), ("team",), ("app",), dims)]
    start = sets[0].buckets - 7 * 24
    together, begin, judged = judge(joined(sets), start=start, settings=BY_APP), 0, 0
    for one in sets:
        alone = judge(one, start=start, settings=BY_APP)
        mine = np.flatnonzero((together.rows >= begin) & (together.rows < begin + len(one.usd)))
        assert (together.rows[mine] - begin).tolist() == alone.rows.tolist()
        np.testing.assert_array_equal(together.ratio[:, mine], alone.ratio)
        np.testing.assert_array_equal(together.baseline[mine], alone.baseline)
        np.testing.assert_array_equal(together.hot[mine], alone.hot)
        begin, judged = begin + len(one.usd), judged + len(alone.rows)
    assert judged
