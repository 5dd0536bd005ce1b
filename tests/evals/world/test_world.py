"""The seeded company: the same for every reading of it, in season, and within its size."""

from collections import Counter
from datetime import timedelta

import pytest

from evals.world.catalogue import COMPANY
from evals.world.company import AppSpec
from evals.world.faults.agent_loop import AgentLoop
from evals.world.world import World
from store.errors import BadInput
from store.model.usage import UsageRecord, Window, from_us
from tests.evals.world.worlds import MONDAY, price_table, span, world_with


@pytest.fixture(scope="module")
def week() -> list[UsageRecord]:
    """One clean week of the company."""
    return World(seed=7).traffic(Window(start=MONDAY, end=MONDAY + timedelta(days=7)))


def test_equal_seeds_give_equal_records_and_other_seeds_others() -> None:
    """The world is a function of its seed."""
    day = span(0, 24)
    assert World(seed=3).traffic(day) == World(seed=3).traffic(day)
    assert World(seed=3).traffic(day) != World(seed=4).traffic(day)


def test_windows_can_be_asked_for_in_any_pieces_and_order() -> None:
    """Traffic of the parts, asked for backwards, is the traffic of the whole, in order of time."""
    world, whole = World(seed=7), span(8, 3)
    pieces = [world.traffic(span(8 + k / 4, 0.25)) for k in reversed(range(12))]
    together = [record for piece in reversed(pieces) for record in piece]
    assert together == World(seed=7).traffic(whole)
    assert [r.occurred_us for r in together] == sorted(r.occurred_us for r in together)


def test_every_record_lies_in_the_window_and_has_its_own_id(week: list[UsageRecord]) -> None:
    """Windows are half-open, and no id comes twice."""
    assert all(MONDAY <= from_us(record.occurred_us) < MONDAY + timedelta(days=7) for record in week)
    assert len({record.record_id for record in week}) == len(week)
    assert all(record.observed_us >= record.occurred_us for record in week)


def test_three_weeks_stay_well_below_the_agreed_size(week: list[UsageRecord]) -> None:
    """A week has about 60,000 records, so that three with all faults stay below 300,000."""
    assert 45_000 < len(week) < 75_000


def test_all_apps_speak_in_a_week_and_about_ten_teams_are_seen(week: list[UsageRecord]) -> None:
    """No app is silent for a week."""
    assert {record.app for record in week} == {app.name for app in COMPANY}
    assert 9 <= len({record.team for record in week}) <= 12
    assert {record.environment for record in week} == {"production", "staging", "dev"}
    assert len({(record.provider, record.model) for record in week}) >= 6


def test_office_apps_rest_at_night_and_on_weekends(week: list[UsageRecord]) -> None:
    """Daily and weekly seasons are plain to see."""
    triage = Counter(from_us(r.occurred_us).strftime("%a %H") for r in week if r.app == "ticket-triage")
    noon = sum(triage[f"{day} 14"] for day in ("Mon", "Tue", "Wed", "Thu", "Fri"))
    night = sum(triage[f"{day} 03"] for day in ("Mon", "Tue", "Wed", "Thu", "Fri"))
    weekend = sum(triage[f"{day} 14"] for day in ("Sat", "Sun"))
    assert noon > 10 * night
    assert noon / 5 > 3 * weekend / 2


def test_the_weekly_job_runs_on_sunday_only(week: list[UsageRecord]) -> None:
    """A job that runs once a week is no incident, and a detector must know that."""
    days = Counter(from_us(r.occurred_us).strftime("%a") for r in week if r.job == "weekly-digest")
    assert set(days) == {"Sun"}
    assert days["Sun"] > 500


def test_a_release_goes_out_once_a_week_and_changes_the_prefix(week: list[UsageRecord]) -> None:
    """Deploys are there, and harmless: two releases in a week, a prefix for each."""
    seen = {(r.release, r.prefix_hash) for r in week if r.app == "code-agent"}
    assert len(seen) == 2
    assert len({prefix for _, prefix in seen}) == 2


def test_caching_apps_mostly_read_their_prefix(week: list[UsageRecord]) -> None:
    """In office hours the prefix stays warm."""
    desk = [r for r in week if r.app == "dispute-desk" and 13 <= from_us(r.occurred_us).hour < 16 and r.status == "ok"]
    read = sum(r.cache_read for r in desk)
    assert read > 0.8 * (read + sum(r.cache_write_1h for r in desk))


def test_agent_sessions_grow_within_their_lengths(week: list[UsageRecord]) -> None:
    """An agent's session has 5 to 30 calls, and its context grows."""
    calls = Counter(r.session_id for r in week if r.app == "code-agent" and r.status == "ok")
    assert min(calls.values()) >= 5
    assert max(calls.values()) <= 30


def test_costs_are_those_of_the_price_table() -> None:
    """Each record is priced on its own; without prices none is."""
    table, hour = price_table(), span(14, 1)
    assert all(record.cost_nanos == table.cost(record) for record in world_with().traffic(hour))
    assert all(record.cost_nanos is None for record in World(seed=7).traffic(hour))


def test_a_failed_first_attempt_is_unbilled_and_the_second_succeeds(week: list[UsageRecord]) -> None:
    """A little noise of 429 and 5xx is normal."""
    errors = [record for record in week if record.status == "error"]
    assert 0.003 < len(errors) / len(week) < 0.02
    assert all(record.output == 0 and record.input_uncached == 0 for record in errors)


def test_unusable_worlds_are_refused() -> None:
    """Two apps of one name, a fault in an app that is not there, and truth without prices."""
    twice = (AppSpec("a", "x", "gpt-5", 1), AppSpec("b", "x", "gpt-5", 1))
    with pytest.raises(BadInput, match="one name"):
        World(seed=1, company=twice)
    with pytest.raises(BadInput, match="nobody"):
        World(seed=1, faults=[AgentLoop("nobody", span(1, 1))])
    with pytest.raises(BadInput, match="prices"):
        World(seed=1).truth()
