"""trust reads the warehouse and names data that may not be believed."""

from datetime import datetime

from agent.detectors.settings import DetectorSettings
from agent.steps.trust import trust
from store.model.incident import TrustNote
from store.usage.duckdb import DuckDBWarehouse
from tests.agent.steps.usage import END, HOUR, company, records, warehouse_with

ROWS = records(company())


def notes(warehouse: DuckDBWarehouse, now: datetime = END) -> list[TrustNote]:
    found = trust(warehouse=warehouse, now=now, settings=DetectorSettings())
    warehouse.close()
    return found


def test_sound_data_are_believed() -> None:
    """A gateway that delivers hourly and agrees with its reference gives no note."""
    warehouse = warehouse_with(ROWS, clock=lambda: END)
    warehouse.append(records(company(), source="provider", factor=1.02), role="reference")
    warehouse.roll_up()
    assert notes(warehouse) == []


def test_a_reference_that_disagrees_is_named() -> None:
    """A provider that bills a third more than the gateway saw is a disagreement."""
    warehouse = warehouse_with(ROWS, clock=lambda: END)
    warehouse.append(records(company(), source="provider", factor=1.35), role="reference")
    warehouse.roll_up()
    assert [note.kind for note in notes(warehouse)] == ["disagreement"]


def test_silence_is_named() -> None:
    """Nothing for six hours after four weeks of every hour."""
    warehouse = warehouse_with(ROWS, clock=lambda: END)
    assert [note.kind for note in notes(warehouse, END + 6 * HOUR)] == ["silent_source"]


def test_missing_and_zero_prices_are_named() -> None:
    """A model without a price and one that costs nothing, used today."""
    strange = [
        row._replace(record_id=f"x{i}", model=model, cost_nanos=cost)
        for i, (row, model, cost) in enumerate([(ROWS[-1], "unheard-of", None), (ROWS[-1], "gratis", 0)])
    ]
    kinds = [
        (note.kind, note.scope.get("model")) for note in notes(warehouse_with([*ROWS, *strange], clock=lambda: END))
    ]
    assert kinds == [("unpriced", "unheard-of"), ("zero_cost", "gratis")]
