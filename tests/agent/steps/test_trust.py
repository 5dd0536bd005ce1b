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


def test_tokens_that_disagree_are_named_for_their_model() -> None:
    """The money agrees, but the provider counted half as many tokens of the model again."""
    warehouse = warehouse_with(ROWS, clock=lambda: END)
    more = [
        row._replace(model="claude-sonnet-4-5-20250929", input_uncached=row.input_uncached * 3 // 2)
        for row in records(company(), source="provider")
    ]
    warehouse.append(more, role="reference")
    warehouse.roll_up()
    (note,) = notes(warehouse)
    assert (note.kind, note.scope.as_dict()) == (
        "disagreement",
        {"provider": "anthropic", "model": "claude-sonnet-4-5"},
    )


def test_one_call_reported_by_two_sources_is_named() -> None:
    """Two metered sources that say the same to the token count every call twice."""
    again = [row._replace(source="export", record_id=f"again/{row.record_id}") for row in ROWS]
    (note,) = notes(warehouse_with([*ROWS, *again], clock=lambda: END))
    assert (note.kind, note.scope.as_dict()) == ("reported_twice", {"source": "gateway"})
    other = [row._replace(input_uncached=row.input_uncached + 1) for row in again]
    assert notes(warehouse_with([*ROWS, *other], clock=lambda: END)) == []
