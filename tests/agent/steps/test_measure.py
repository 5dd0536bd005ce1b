"""What is measured for a verification, over a real warehouse."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from agent.steps.measure import measure
from store.model.remedy import Remedy
from store.model.usage import NONE, Scope, Status, UsageRecord, Window, to_us
from store.usage.duckdb import DuckDBWarehouse, open_duckdb
from tests.simulation.hand_clock import START
from tests.simulation.story import REMEDY, USD, incident, proposal

WINDOW = Window(start=START, end=START + timedelta(hours=1))
REMEDY_ROW = Remedy(remedy_id=REMEDY, revision=1, incident_id="inc-1", state="verifying", applied_at=START)


def calls(
    begin: datetime,
    count: int,
    *,
    app: str = "indexer",
    usd: float = 1.0,
    status: Status = "ok",
    attempt: int = 1,
    session: str = NONE,
    mode: str = "metered",
) -> list[UsageRecord]:
    """So many calls, evenly over an hour from `begin`."""
    return [
        UsageRecord(
            record_id=f"{app}-{begin:%d%H%M}-{status}-{attempt}-{session}-{mode}-{n}",
            source="gw",
            observed_us=to_us(begin),
            occurred_us=to_us(begin + timedelta(seconds=3600 * n / count)),
            provider="p",
            model="big",
            team="search",
            app=app,
            session_id=session,
            status=status,
            attempt=attempt,
            latency_ms=100,
            cost_nanos=0 if status == "refused" else int(usd * USD),
            billing_mode=mode,  # type: ignore[arg-type]  # tests name billing modes
        )
        for n in range(count)
    ]


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    opened = open_duckdb(None, clock=lambda: START)
    yield opened
    opened.close()


HOUR_BEFORE = START - timedelta(hours=1)


def test_counts_both_sides_of_the_moment_it_took_effect(warehouse: DuckDBWarehouse) -> None:
    """Spend, cash, attempts, refusals, retries and harm, after and before; the incident's own baseline."""
    warehouse.append(calls(HOUR_BEFORE, 60) + calls(HOUR_BEFORE, 12, mode="prepaid"))
    warehouse.append(
        calls(START, 24) + calls(START, 36, status="refused", attempt=2) + calls(START, 12, status="error")
    )
    warehouse.roll_up()
    facts = measure(proposal=proposal(), remedy=REMEDY_ROW, window=WINDOW, incident=incident(), warehouse=warehouse)
    assert facts is not None
    assert (facts.before_nanos, facts.before_cash_nanos, facts.before_attempts) == (72 * USD, 60 * USD, 72)
    assert (facts.actual_nanos, facts.attempts, facts.refused, facts.retries) == (36 * USD, 72, 36, 36)
    assert facts.harm_before == {"refused_share": 0, "error_share": 0, "latency_ms": 100, "retries_share": 0}
    assert facts.harm_after["error_share"] == pytest.approx(12 / 36)
    assert facts.harm_after["refused_share"] == pytest.approx(0.5)
    assert facts.baseline_nanos_per_hour == 10 * USD
    assert facts.control_ratio is None
    assert facts.spread == 0


def test_untouched_siblings_are_the_controls(warehouse: DuckDBWarehouse) -> None:
    """A sibling's request costs half; what another remedy touches, too few requests and the target do not count."""
    warehouse.append(calls(HOUR_BEFORE, 60) + calls(START, 60))
    warehouse.append(calls(HOUR_BEFORE, 40, app="chat") + calls(START, 80, app="chat", usd=0.5))
    warehouse.append(calls(HOUR_BEFORE, 40, app="rare") + calls(START, 9, app="rare", usd=9))
    warehouse.append(calls(HOUR_BEFORE, 40, app="batch") + calls(START, 400, app="batch"))
    warehouse.roll_up()
    facts = measure(
        proposal=proposal(),
        remedy=REMEDY_ROW,
        window=WINDOW,
        incident=incident(),
        warehouse=warehouse,
        touched=[Scope.of(app="batch")],
    )
    assert facts is not None
    assert facts.control_ratio == pytest.approx(0.5)


def test_a_session_is_measured_from_its_records(warehouse: DuckDBWarehouse) -> None:
    """Rollups do not keep sessions; a session that did not exist yesterday has a baseline of nothing."""
    warehouse.append(calls(HOUR_BEFORE, 30, session="s1") + calls(HOUR_BEFORE, 30, session="s2"))
    warehouse.append(calls(START, 5, session="s1"))
    warehouse.roll_up()
    plan = proposal().model_copy(update={"scope": Scope.of(team="search", app="indexer", session_id="s1")})
    facts = measure(proposal=plan, remedy=REMEDY_ROW, window=WINDOW, incident=incident(), warehouse=warehouse)
    assert facts is not None
    assert (facts.before_attempts, facts.attempts, facts.baseline_nanos_per_hour) == (30, 5, 0)
    assert "error_share" not in facts.harm_after


def test_the_time_before_does_not_reach_behind_the_incident(warehouse: DuckDBWarehouse) -> None:
    """Quiet hours before the spike would water its run-rate down."""
    warehouse.append(calls(START - timedelta(minutes=30), 60))
    warehouse.append(calls(START - timedelta(hours=3), 10))
    warehouse.append(calls(START, 10))
    warehouse.roll_up()
    spike = incident().model_copy(update={"started_at": START - timedelta(minutes=30)})
    facts = measure(proposal=proposal(), remedy=REMEDY_ROW, window=WINDOW, incident=spike, warehouse=warehouse)
    assert facts is not None
    assert (facts.before_seconds, facts.before_attempts) == (1800, 30)


@pytest.mark.parametrize("begin", [HOUR_BEFORE, START])
def test_one_empty_side_measures_nothing(warehouse: DuckDBWarehouse, begin: datetime) -> None:
    """No usage after, or none before: None, which is never success."""
    warehouse.append(calls(begin, 10))
    warehouse.roll_up()
    found = measure(proposal=proposal(), remedy=REMEDY_ROW, window=WINDOW, incident=incident(), warehouse=warehouse)
    assert found is None


def test_a_remedy_that_is_not_in_force_has_nothing_to_measure(warehouse: DuckDBWarehouse) -> None:
    """Without the moment it took effect there is no before."""
    idle = REMEDY_ROW.model_copy(update={"applied_at": None})
    assert measure(proposal=proposal(), remedy=idle, window=WINDOW, incident=incident(), warehouse=warehouse) is None
