"""group reads what is known from the ledger, and the accounts from the warehouse."""

from collections.abc import Iterator

import pytest

from agent.detectors.settings import DetectorSettings
from agent.steps.detect import detect
from agent.steps.group import group
from evals.series import START
from store.ledger.ledger import Ledger, open_ledger
from store.model.expected import Expected
from store.model.incident import Incident
from store.model.usage import Scope, Window
from store.usage.duckdb import DuckDBWarehouse
from tests.agent.steps.usage import END, HOUR, company, records, warehouse_with

SETTINGS = DetectorSettings()
SERIES = company()


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDBWarehouse]:
    opened = warehouse_with(records(SERIES), clock=lambda: END)
    yield opened
    opened.close()


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    opened = open_ledger("sqlite://", clock=lambda: END)
    yield opened
    opened.close()


def look(ledger: Ledger, warehouse: DuckDBWarehouse, hour: int) -> list[Incident]:
    now = START + hour * HOUR
    spikes = detect(warehouse=warehouse, now=now, settings=SETTINGS)
    return group(ledger=ledger, warehouse=warehouse, spikes=spikes, now=now, settings=SETTINGS)


def test_an_incident_is_followed_to_its_end(warehouse: DuckDBWarehouse, ledger: Ledger) -> None:
    """Looks during the incident give one row that grows and closes; nothing is written by the step itself."""
    one = SERIES["search"]
    assert one.begin is not None
    assert one.end is not None
    (first,) = look(ledger, warehouse, one.begin + 16)
    assert ledger.incident(first.id) is None
    ledger.save_incident(first)
    (second,) = look(ledger, warehouse, one.end - 1)
    assert second.id == first.id
    assert second.excess_nanos > first.excess_nanos
    ledger.save_incident(second)
    (last,) = look(ledger, warehouse, min(one.end + 12, 28 * 24))
    assert (last.id, last.status) == (first.id, "closed")
    assert last.excess_nanos / 1e9 == pytest.approx(one.excess_usd, rel=0.3)
    ledger.save_incident(last)
    assert look(ledger, warehouse, min(one.end + 14, 28 * 24)) == []


def test_equal_data_give_equal_incidents(warehouse: DuckDBWarehouse, ledger: Ledger) -> None:
    """Records that come shuffled and twice give the incident, id and all, that they give in order."""
    one = SERIES["search"]
    assert one.begin is not None
    rows = records(SERIES)
    other = warehouse_with([*rows[::-1], *rows[100:200]], clock=lambda: END)
    assert look(ledger, other, one.begin + 20) == look(ledger, warehouse, one.begin + 20) != []
    other.close()


def test_nothing_known_and_nothing_new_is_nothing(warehouse: DuckDBWarehouse, ledger: Ledger) -> None:
    """Without spikes and incidents there is no work."""
    assert group(ledger=ledger, warehouse=warehouse, spikes=[], now=END, settings=SETTINGS) == []


def test_the_calendar_holds_an_incident_back(warehouse: DuckDBWarehouse, ledger: Ledger) -> None:
    """What the ledger's calendar expects in the scope at the time is named in the incident; once removed it is not."""
    one = SERIES["search"]
    assert one.begin is not None
    window = Window(start=START + one.begin * HOUR, end=END)
    entry = Expected(
        name="launch", kind="planned", scope=Scope.of(team="search"), window=window, owner="a", made_at=END
    )
    ledger.expect(entry, by="ann")
    assert [found.planned for found in look(ledger, warehouse, one.begin + 20)] == ["launch"]
    ledger.unexpect("launch", by="ann")
    assert [found.planned for found in look(ledger, warehouse, one.begin + 20)] == [None]
