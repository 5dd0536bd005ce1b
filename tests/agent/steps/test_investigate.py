"""The step: which windows it reads, what it does with little history, and who has the last word."""

from datetime import datetime, timedelta

import pytest

from agent.analyst.case import choose_reference, hours_before, incident_window, weeks_before
from agent.steps.investigate import Reasoner, gather, investigate
from store.model.incident import Finding
from store.model.usage import Window, from_us
from store.usage.duckdb import open_duckdb
from tests.agent.analyst import small_faults as faults
from tests.agent.analyst.small_world import NIGHT, PRICES, START, WINDOW, SmallWorld
from tools.reasoner.inquiry import Diagnosis, Opinion

WEEK = timedelta(days=7)


def _find(world: SmallWorld, reasoner: Reasoner | None = None) -> Finding:
    warehouse = world.warehouse()
    try:
        return investigate(
            incident=world.incident,
            warehouse=warehouse,
            price_table_for=lambda _: PRICES,
            now=WINDOW.end,
            reasoner=reasoner,
        )
    finally:
        warehouse.close()


def test_the_reference_is_the_same_hours_of_earlier_weeks() -> None:
    """As many whole weeks as there are data, at most three, newest first."""
    assert weeks_before(WINDOW, START) == (WINDOW.shifted(-WEEK), WINDOW.shifted(-2 * WEEK))
    assert len(weeks_before(WINDOW, START - 10 * WEEK)) == 3
    assert weeks_before(WINDOW, None) == weeks_before(WINDOW, WINDOW.start - timedelta(days=6)) == ()


def test_a_window_longer_than_a_week_steps_by_whole_weeks() -> None:
    """The reference never overlaps the incident."""
    long = Window(start=WINDOW.start, end=WINDOW.start + timedelta(days=9))
    assert weeks_before(long, START - 10 * WEEK)[0] == long.shifted(-2 * WEEK)


def test_a_week_with_an_incident_of_its_own_is_left_out() -> None:
    """A week that spent over twice the baseline is not normal, unless there is no other."""
    one, two = WINDOW.shifted(-WEEK), WINDOW.shifted(-2 * WEEK)
    chosen = choose_reference(WINDOW, weeks=[(one, 900), (two, 110)], hours=(), baseline_nanos=100)
    assert (chosen.windows, chosen.scale) == ((two,), 1.0)
    only = choose_reference(WINDOW, weeks=[(one, 900)], hours=(), baseline_nanos=100)
    assert only.windows == (one,)


def test_with_little_history_the_hours_before_are_the_reference() -> None:
    """Up to six hours, as far as there are data, scaled to the incident's length; none at all is allowed."""
    assert hours_before(WINDOW, WINDOW.start - timedelta(hours=2)) == (
        Window(start=WINDOW.start - timedelta(hours=2), end=WINDOW.start),
    )
    chosen = choose_reference(WINDOW, weeks=[], hours=hours_before(WINDOW, START), baseline_nanos=1)
    assert chosen.scale == pytest.approx(0.5)
    assert choose_reference(WINDOW, weeks=[], hours=hours_before(WINDOW, None), baseline_nanos=1).windows == ()


def test_the_window_lies_on_bucket_edges() -> None:
    """Rollups have five-minute edges; the incident's window is widened to them and is never empty."""
    incident = SmallWorld().incident
    odd = incident.model_copy(
        update={"started_at": WINDOW.start + timedelta(minutes=2), "seen_until": WINDOW.start + timedelta(minutes=7)}
    )
    assert incident_window(odd) == Window(start=WINDOW.start, end=WINDOW.start + timedelta(minutes=10))
    still = incident.model_copy(update={"seen_until": WINDOW.start})
    assert incident_window(still) == Window(start=WINDOW.start, end=WINDOW.start + timedelta(minutes=5))


def test_a_loop_is_found_on_the_first_days() -> None:
    """With a day of history only, the hours before are enough to find a loop."""
    world = SmallWorld(faults.agent_loop, window=NIGHT)
    world.records = [r for r in world.records if from_us(r.occurred_us) >= NIGHT.start - timedelta(days=1)]
    finding = _find(world)
    assert finding.cause == "agent_loop"
    assert finding.reference == Window(start=NIGHT.start - timedelta(hours=6), end=NIGHT.start)


def test_the_future_is_not_read() -> None:
    """In a backtest the case knows nothing from `now` on."""
    world = SmallWorld(faults.retry_storm)
    now = WINDOW.start + timedelta(hours=1)
    warehouse = world.warehouse()
    case = gather(incident=world.incident, warehouse=warehouse, price_table_for=lambda _: PRICES, now=now)
    warehouse.close()
    assert case.window.end == now
    assert from_us(int(case.calls.now.columns["occurred_us"].max())) < now


def test_an_incident_that_just_began_is_read_whole() -> None:
    """Judged by the minute it may begin before and end within the five minutes that run: nothing of it is left out."""
    world = SmallWorld()
    began, now = WINDOW.start + timedelta(minutes=4), WINDOW.start + timedelta(minutes=6)
    incident = world.incident.model_copy(update={"started_at": began, "seen_until": now})
    warehouse = world.warehouse()
    case = gather(incident=incident, warehouse=warehouse, price_table_for=lambda _: PRICES, now=now)
    warehouse.close()
    assert case.window == Window(start=WINDOW.start, end=WINDOW.start + timedelta(minutes=10))


def test_an_empty_warehouse_gives_an_honest_finding() -> None:
    """Without any data the cause is unknown, and the excess is residual to the cent."""
    warehouse = open_duckdb(None, clock=lambda: WINDOW.end)
    world = SmallWorld(faults.agent_loop, window=NIGHT)
    finding = investigate(
        incident=world.incident, warehouse=warehouse, price_table_for=lambda _: PRICES, now=WINDOW.end
    )
    warehouse.close()
    assert finding.cause == "unknown"
    assert sum(part.nanos for part in finding.drivers) == finding.excess_nanos
    assert {part.driver for part in finding.drivers} <= {"residual", "expected_change"}


def test_equal_data_give_equal_findings() -> None:
    """An investigation is a function of the data."""
    assert _find(SmallWorld(faults.cache_break)) == _find(SmallWorld(faults.cache_break))


def test_a_reasoner_reorders_causes_and_its_failure_costs_nothing() -> None:
    """A diagnosis moves the scores within bounds and says so; without one the analyst's finding stands and says why."""
    world, diagnosis = (
        SmallWorld(faults.model_switch),
        Diagnosis(cause="fast_mode", confidence=0.6, evidence=["ev-1"], ruled_out=[], why="because"),
    )
    alone = _find(world)
    found = _find(world, reasoner=lambda _: Opinion(diagnosis, "answered", "A model weighed it.", 7))
    assert (found.made_by, found.review, found.cost_nanos) == ("reasoner", "A model weighed it.", 7)
    by_cause = {one.cause: one for one in found.causes}
    assert by_cause["fast_mode"].confidence == pytest.approx(0.3)
    assert by_cause["fast_mode"].supported_by == ("ev-1",)
    kept = {"causes", "focus", "made_by", "review", "cost_nanos"}
    assert found.model_dump(exclude=kept) == alone.model_dump(exclude=kept)
    failed = _find(world, reasoner=lambda _: Opinion(None, "refused", "It refused.", 3))
    assert failed == alone.model_copy(update={"review": "It refused.", "cost_nanos": 3})


def test_evidence_names_its_query_scope_and_window() -> None:
    """Each piece of evidence can be asked again: numbered, with query, scope, window and a sentence with numbers."""
    finding = _find(SmallWorld(faults.cache_break))
    assert [e.id for e in finding.evidence] == [f"ev-{i}" for i in range(1, len(finding.evidence) + 1)]
    for evidence in finding.evidence:
        assert evidence.query in {"spend", "mix", "traces", "cache", "keys", "users", "changes"}
        assert isinstance(evidence.window.start, datetime)
        assert any(letter.isdigit() for letter in evidence.says)
