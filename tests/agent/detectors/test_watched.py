"""What is watched: every series, its state, and its baseline where it has one."""

from datetime import timedelta

from agent.detectors.detect import detect
from agent.detectors.settings import DetectorSettings
from agent.detectors.watched import watched
from evals.series import START, Series, make_cube, make_series
from store.model.usage import Scope

SETTINGS = DetectorSettings(group_bys=((), ("app",)))
HOURS = 28 * 24


def silent(series: Series) -> Series:
    """The same, without its last 30 hours."""
    keep = 1.0 * (series.requests >= 0)
    keep[-30:] = 0.0
    return series._replace(usd=series.usd * keep, requests=series.requests * keep, tokens_in=series.tokens_in * keep)


def test_every_series_has_its_state() -> None:
    """A running incident, a quiet app, one that fell silent and one of five hours are told apart, beside the total."""
    shift = make_series("level_shift", 3)
    assert shift.begin is not None
    young = make_series("quiet", 5)
    young.usd[:-5] = 0
    young.requests[:-5] = 0
    cube = make_cube(
        {
            ("hot",): shift,
            ("calm",): make_series("quiet", 4),
            ("gone",): silent(make_series("quiet", 6)),
            ("new",): young,
        },
        ("app",),
    )
    until = START + timedelta(hours=HOURS)
    during = START + timedelta(hours=min(HOURS, shift.begin + 24))
    spikes = detect(cube, until=during, settings=SETTINGS)
    found = {one.scope: one for one in watched(cube, until=during, settings=SETTINGS, spikes=spikes)}
    assert found[Scope.of(app="hot")].state == "abnormal"
    assert "spend" in found[Scope.of(app="hot")].signals
    last = {one.scope: one for one in watched(cube, until=until, settings=SETTINGS, spikes=[])}
    states = {scope.get("app"): one.state for scope, one in last.items()}
    assert states == {None: "normal", "hot": "normal", "calm": "normal", "gone": "silent", "new": "learning"}
    calm = last[Scope.of(app="calm")]
    assert calm.day_baseline_usd is not None
    assert 0.5 < calm.day_usd / calm.day_baseline_usd < 2
    assert last[Scope.of(app="new")].day_baseline_usd is None
    assert last[Scope.of(app="new")].first_seen == until - timedelta(hours=5)


def test_nothing_is_watched_before_there_is_usage() -> None:
    """An empty cube gives an empty list."""
    cube = make_cube({("a",): make_series("quiet", 1)}, ("app",))
    assert watched(cube, until=START, settings=SETTINGS, spikes=[]) == []
