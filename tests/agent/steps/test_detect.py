"""detect reads the warehouse and finds what goes wrong in it."""

from datetime import timedelta

from agent.detectors.settings import DetectorSettings
from agent.steps.detect import detect
from evals.series import START
from store.model.usage import Scope
from tests.agent.steps.usage import END, HOUR, company, records, session, warehouse_with

SETTINGS = DetectorSettings()


def test_finds_the_team_that_went_wrong() -> None:
    """While the incident lasts its team, app, key and model spike, and the calm teams do not."""
    series = company()
    warehouse = warehouse_with(records(series), clock=lambda: END)
    begin = series["search"].begin
    assert begin is not None
    now = START + (begin + 16) * HOUR + timedelta(minutes=20)
    spikes = detect(warehouse=warehouse, now=now, settings=SETTINGS)
    assert Scope.of(team="search", app="search-bot", api_key_id="key-search") in {spike.series for spike in spikes}
    assert {spike.series.get("team") for spike in spikes} <= {"search", None}
    assert max(spike.seen_until for spike in spikes) == START + (begin + 16) * HOUR
    warehouse.close()


def test_reads_sessions_from_records() -> None:
    """A session that loops is found by its calls of the last day."""
    series = {team: one for team, one in company().items() if team != "search"}
    rows = [*records(series), *session(calls=200, at=END - 5 * HOUR)]
    warehouse = warehouse_with(rows, clock=lambda: END)
    spikes = detect(warehouse=warehouse, now=END, settings=SETTINGS)
    assert ("session_calls", "loop") in {(spike.signal, spike.series.get("session_id")) for spike in spikes}
    warehouse.close()


def test_an_empty_warehouse_has_no_spikes() -> None:
    """Before any usage there is nothing to say."""
    warehouse = warehouse_with([], clock=lambda: END)
    assert detect(warehouse=warehouse, now=END, settings=SETTINGS) == []
    warehouse.close()
