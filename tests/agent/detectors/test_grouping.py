"""Spikes become incidents: one for one event, at the scope that explains it, kept through its life."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from agent.detectors.detect import detect
from agent.detectors.grouping import group
from agent.detectors.settings import DetectorSettings, PlannedEvent
from evals.series import START, Kind, Series, make_cube, make_series
from store.model.incident import Incident, Signal, Spike
from store.model.usage import TOTAL, Cube, Scope, Window

DIMS = ("team", "app", "api_key_id", "model")
SETTINGS = DetectorSettings()
HOUR = timedelta(hours=1)
NOW = START + timedelta(days=27)
USD = 10**9
KINDS: dict[int, Kind] = {3: "level_shift", 7: "cache_drop"}


def spike(
    *, usd: int, start: datetime = NOW - 6 * HOUR, end: datetime | None = None, signal: Signal = "spend", **dims: str
) -> Spike:
    return Spike(
        series=Scope.of(dims),
        group_by=tuple(dims),
        signal=signal,
        opened_at=start + HOUR,
        started_at=start,
        ended_at=end,
        seen_until=end or NOW,
        score=0.8,
        excess_nanos=usd * USD,
        baseline_nanos=10 * USD,
        actual_nanos=(usd + 10) * USD,
    )


def flat_cube() -> Cube:
    """Four calm teams, so that an account of any scope shows no excess worth the name."""
    series: dict[tuple[str, ...], Series] = {
        (f"t{i}", f"app{i}", f"k{i}", "m"): make_series("quiet", 10 + i, usd_per_request=1e-5) for i in range(4)
    }
    return make_cube(series, DIMS)


CUBE = flat_cube()


def look(
    spikes: list[Spike], known: list[Incident] | None = None, now: datetime = NOW, settings: DetectorSettings = SETTINGS
) -> list[Incident]:
    return group(spikes, cube=CUBE, open_incidents=known or [], now=now, settings=settings)


def nested(usd: int, *, start: datetime = NOW - 6 * HOUR, total: bool = True, i: int = 0) -> list[Spike]:
    """One event as every series sees it, from the total down to the key."""
    team, app, key = f"t{i}", f"app{i}", f"k{i}"
    chain: list[dict[str, str]] = [
        {"team": team},
        {"team": team, "app": app},
        {"team": team, "app": app, "api_key_id": key},
    ]
    wide: list[dict[str, str]] = [{}] if total else []
    return [spike(usd=usd, start=start, signal="spend", end=None, **dims) for dims in (*wide, *chain)]


def test_one_event_is_one_incident_at_its_deepest_scope() -> None:
    """Total, team, app and key that rise by the same amount are one incident of the key, and all are listed."""
    (incident,) = look(nested(50))
    assert incident.scope == Scope.of(team="t0", app="app0", api_key_id="k0")
    assert len(incident.spikes) == 4


def test_the_excess_is_counted_once() -> None:
    """The excess is that of the incident's scope, not a sum over the series that show it."""
    (incident,) = look(nested(50))
    assert incident.excess_nanos == 50 * USD
    assert incident.actual_nanos - incident.baseline_nanos == incident.excess_nanos


def test_a_child_that_explains_too_little_leaves_the_parent() -> None:
    """With a key at 40 % of its app's excess the app is the scope."""
    app = spike(usd=100, team="t0", app="app0")
    (incident,) = look([app, spike(usd=40, team="t0", app="app0", api_key_id="k0")])
    assert incident.scope == app.series


def test_a_model_that_took_over_traffic_is_not_the_scope() -> None:
    """A dearer model's spend is no excess as far as it replaced another's: the key, which nets both, is the scope."""
    model = spike(usd=90, signal="new_series", team="t0", app="app0", model="dear")
    (incident,) = look([*nested(50), model])
    assert incident.scope == Scope.of(team="t0", app="app0", api_key_id="k0")
    assert incident.signals == ("new_series", "spend")


def test_a_series_of_many_apps_does_not_widen_an_incident() -> None:
    """A total that rose at the same hour for other reasons too is listed, and is not the scope."""
    (incident,) = look([*nested(20, total=False), spike(usd=90)])
    assert incident.scope.get("app") == "app0"
    assert incident.excess_nanos == 20 * USD


def test_two_events_of_two_teams_stay_two() -> None:
    """Two teams that rise in the same hour share a total, and nothing else."""
    both = [*nested(60, total=False, i=0), *nested(50, total=False, i=1), spike(usd=110)]
    assert [one.scope.get("team") for one in look(both)] == ["t0", "t1"]


def test_a_common_cause_is_one_incident() -> None:
    """When every team's use of one model rises in the same hour the model is the scope."""
    apps = [spike(usd=30, team=f"t{i}", app=f"app{i}", model="m") for i in range(4)]
    (incident,) = look([spike(usd=120, model="m"), *apps, spike(usd=120)])
    assert incident.scope == Scope.of(model="m")


def test_events_of_one_team_at_different_hours_stay_two() -> None:
    """Two apps of a team that rise half a day apart are two incidents, although the team's series spans both."""
    early, late = NOW - 30 * HOUR, NOW - 8 * HOUR
    found = look(
        [
            spike(usd=100, start=early, team="t0"),
            spike(usd=60, start=early, end=NOW - 2 * HOUR, team="t0", app="a"),
            spike(usd=40, start=late, team="t0", app="b"),
        ]
    )
    assert [one.scope.get("app") for one in found] == ["a", "b"]


def test_a_session_opens_an_incident_of_its_app() -> None:
    """A session is no dimension of rollups, so its incident has the scope of its app and its own excess."""
    (incident,) = look([spike(usd=9, signal="session_calls", team="t0", app="app0", session_id="s")])
    assert incident.scope == Scope.of(team="t0", app="app0")
    assert incident.excess_nanos == 9 * USD


def test_equal_data_give_equal_ids() -> None:
    """The id is made of scope and onset: the order of spikes does not matter, another onset does."""
    (one,) = look(nested(50))
    (other,) = look(nested(50)[::-1])
    (later,) = look(nested(50, start=NOW - 5 * HOUR))
    assert one.id == other.id != later.id


def test_more_of_the_same_is_no_revision() -> None:
    """A grown excess below twice the last revision's extends the incident."""
    (first,) = look(nested(50))
    (second,) = look(nested(80), [first], NOW + HOUR)
    assert (second.id, second.revision, second.excess_nanos) == (first.id, 1, 80 * USD)


def test_a_doubled_excess_is_a_revision() -> None:
    """Twice the excess raises the revision, and is the new measure."""
    (first,) = look(nested(50))
    (second,) = look(nested(100), [first], NOW + HOUR)
    assert (second.revision, second.revised_excess_nanos, second.revised_at) == (2, 100 * USD, NOW + HOUR)


def test_a_new_kind_of_signal_is_a_revision() -> None:
    """A unit-cost spike of the same scope joins, and raises the revision."""
    (first,) = look(nested(50))
    dearer = spike(usd=45, signal="unit_cost", team="t0", app="app0", api_key_id="k0")
    (second,) = look([*nested(50), dearer], [first], NOW + HOUR)
    assert (second.revision, second.signals) == (2, ("spend", "unit_cost"))


def test_a_deeper_scope_is_a_revision_of_the_same_incident() -> None:
    """What the total showed first belongs to the key that explains it later; the id stays."""
    (first,) = look([spike(usd=50)])
    (second,) = look(nested(55), [first], NOW + HOUR)
    assert first.scope == TOTAL
    assert (second.id, second.revision) == (first.id, 2)
    assert second.scope.get("api_key_id") == "k0"


def test_revisions_keep_their_distance() -> None:
    """Within fifteen minutes the incident is only extended, and catches up after."""
    (first,) = look(nested(50))
    (soon,) = look(nested(150), [first], NOW + timedelta(minutes=10))
    (later,) = look(nested(150), [soon], NOW + timedelta(minutes=15))
    assert (soon.revision, later.revision) == (1, 2)


def test_nothing_new_changes_nothing() -> None:
    """The same spikes again are not reported."""
    first = look(nested(50))
    assert look(nested(50), first, NOW) == []


def test_an_incident_closes_with_its_spikes_and_is_not_raised_again() -> None:
    """Ended spikes close it at their end; the same ended spikes in later looks say nothing."""
    (first,) = look(nested(50))
    ended = [one.model_copy(update={"ended_at": NOW, "seen_until": NOW}) for one in nested(50)]
    (closed,) = look(ended, [first], NOW + 6 * HOUR)
    assert (closed.id, closed.status, closed.ended_at, closed.revision) == (first.id, "closed", NOW, 1)
    assert look(ended, [closed], NOW + 30 * HOUR) == []


def test_an_incident_without_spikes_closes() -> None:
    """When data arrive late and its spikes are gone, it closes where it was last seen."""
    (first,) = look(nested(50))
    (closed,) = look([], [first], NOW + HOUR)
    assert (closed.status, closed.ended_at) == ("closed", NOW)


@pytest.mark.parametrize(("hours", "same"), [(20, True), (30, False)])
def test_the_same_scope_soon_after_reopens(hours: int, same: bool) -> None:
    """A spike in the same scope within a day of the end extends the old incident, a later one is new."""
    (first,) = look(nested(50))
    (closed,) = look([], [first], NOW + HOUR)
    again = nested(60, start=NOW + hours * HOUR)
    again = [one.model_copy(update={"seen_until": NOW + (hours + 2) * HOUR}) for one in again]
    (found,) = look(again, [closed], NOW + (hours + 2) * HOUR)
    assert (found.id == first.id) is same
    assert found.status == "open"


def test_old_news_makes_no_incident() -> None:
    """A spike that ended, and could have been raised three days ago, is history."""
    start = NOW - 80 * HOUR
    assert look([spike(usd=50, start=start, end=start + 3 * HOUR, team="t0")]) == []


def test_a_planned_event_is_named() -> None:
    """An incident inside a planned event's scope and window carries its name, another does not."""
    event = PlannedEvent(name="load test", scope=Scope.of(team="t0"), window=Window(start=NOW - 24 * HOUR, end=NOW))
    settings = DetectorSettings(planned=(event,))
    both = [*nested(60, total=False, i=0), *nested(50, total=False, i=1)]
    assert [one.planned for one in look(both, settings=settings)] == ["load test", None]


def one_model(usd: int, start: datetime, i: int) -> list[Spike]:
    """One app's event, which shows by its model too."""
    cut = spike(usd=usd, start=start, team=f"t{i}", app=f"app{i}", model="m")
    return [*nested(usd, start=start, total=False, i=i), cut]


@pytest.mark.parametrize("hours", [0, 1, 2])
@pytest.mark.parametrize("bystander", [False, True])
def test_a_fault_beside_a_launch_is_an_incident_of_its_own(hours: int, bystander: bool) -> None:
    """Two teams that rise within two hours at one model stay two events, a third one that rises a little or not."""
    launch, fault = NOW - (5 + hours) * HOUR, NOW - 5 * HOUR
    mixed = [spike(usd=80, start=launch), spike(usd=80, start=launch, model="m")]
    spikes = [*one_model(60, launch, 1), *one_model(20, fault, 0), *mixed]
    found = look([*spikes, *one_model(6, fault, 2)] if bystander else spikes)
    keys = {incident.scope.get("api_key_id"): incident for incident in found}
    assert set(keys) == ({"k0", "k1", "k2"} if bystander else {"k0", "k1"})
    assert keys["k0"].started_at == fault


def test_a_model_that_one_event_took_over_is_a_view_of_that_event() -> None:
    """A model whose rise is nearer in size to another team's belongs to the event that it shares a series with."""
    begun, launch = NOW - 7 * HOUR, NOW - 6 * HOUR
    switched = spike(usd=26, start=begun, signal="new_series", team="t0", app="app0", model="dear")
    views = [
        spike(usd=27, start=begun, model="dear"),
        spike(usd=33, start=launch, model="m"),
        spike(usd=54, start=begun),
    ]
    spikes = [*nested(20, start=begun, total=False, i=0), switched, *one_model(33, launch, 1), *views]
    keys = {incident.scope.get("api_key_id"): incident for incident in look(spikes)}
    assert set(keys) == {"k0", "k1"}
    assert Scope.of(model="dear") in {one.series for one in keys["k0"].spikes}


def replay(cube: Cube, hours: int) -> Iterator[Incident]:
    known: dict[str, Incident] = {}
    end = cube.window.end
    for i in range(hours, -1, -4):
        now = end - i * HOUR
        spikes = detect(cube, until=now, settings=SETTINGS)
        for incident in group(spikes, cube=cube, open_incidents=list(known.values()), now=now, settings=SETTINGS):
            known[incident.id] = incident
    yield from known.values()


def test_a_replayed_week_gives_each_event_once() -> None:
    """Every four hours, two events of one team are two incidents at their keys, with their excess, and closed."""
    series: dict[tuple[str, ...], Series] = {
        (f"t{i % 4}", f"app{i}", f"k{i}", f"m{i % 2}"): make_series(
            KINDS.get(i, "quiet"), i + 100, usd_per_request=0.01
        )
        for i in range(12)
    }
    found = sorted(replay(make_cube(series, DIMS), 9 * 24), key=lambda incident: incident.scope.text)
    assert [(one.scope.get("api_key_id"), one.status) for one in found] == [("k3", "closed"), ("k7", "closed")]
    truth = {"k3": series["t3", "app3", "k3", "m1"], "k7": series["t3", "app7", "k7", "m1"]}
    for incident in found:
        one = truth[incident.scope.get("api_key_id") or ""]
        assert one.begin is not None
        assert abs(incident.started_at - (START + one.begin * HOUR)) <= 2 * HOUR
        assert incident.excess_nanos / USD == pytest.approx(one.excess_usd, rel=0.25)
    assert "cache_hit_ratio" in found[1].signals
