"""Shared costs come split, and rows name the incidents and remedies that they have to do with."""

import json
from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from store.model.allocation import SharedCost
from store.model.usage import Scope
from store.price_overrides import Override
from store.prices import PriceBook, price, price_keys
from store.usage.duckdb import open_duckdb
from tests.tools.focus.usage import SPAN, records, warehouse_of
from tools.focus.export import FocusRow, Marks, focus_rows
from tools.focus.groups import Group, groups_of_day
from tools.focus.marks import Mark

HALVES = SharedCost(name="ranker", scope=Scope.of(app="ranker"), method="even", among=("x", "y"))
DAY = SPAN.model_copy(update={"end": SPAN.start + timedelta(days=1)})


def rows(*shared: SharedCost, marks: Marks | None = None) -> list[FocusRow]:
    """The rows of the small warehouse."""
    warehouse = warehouse_of(records())
    found = list(focus_rows(warehouse, SPAN, table_for=PriceBook().table_for, shared=shared, marks=marks or Marks()))
    warehouse.close()
    return found


def total(found: list[FocusRow], name: str) -> Decimal:
    """The sum of a column."""
    return sum((value for row in found if isinstance(value := row[name], Decimal)), Decimal(0))


def test_a_split_row_says_how_and_the_others_say_nothing() -> None:
    """The ranker's usage belongs to x and y; its tokens are all there, and its money to the nano-USD a request."""
    whole, split = rows(), rows(HALVES)
    assert total(whole, "ConsumedQuantity") == total(split, "ConsumedQuantity")
    assert abs(total(whole, "ListCost") - total(split, "ListCost")) < Decimal("0.000001")
    parts = [row for row in split if row["x_AllocatedMethodId"]]
    assert {row["x_Team"] for row in parts} == {"x", "y"}
    assert {row["x_App"] for row in parts} == {"ranker"} != {row["x_App"] for row in split}
    assert not any(row["x_App"] == "ranker" for row in split if not row["x_AllocatedMethodId"])
    first = parts[0]
    assert first["x_AllocatedResourceName"] == "app=ranker"
    assert json.loads(str(first["x_AllocatedMethodDetails"])) == {"Method": "even", "Among": ["x", "y"]}


weights = st.lists(st.integers(1, 1000), min_size=1, max_size=4)


@given(weights, st.sampled_from(["fixed", "even", "requests", "tokens"]))
@settings(max_examples=25, deadline=None)
def test_groups_lose_nothing(shares: list[int], method: str) -> None:
    """Tokens, requests and money of a day are the same whole, however it is split."""
    teams = [f"t{at}" for at in range(len(shares))]
    stated = {"shares": dict(zip(teams, shares, strict=True))} if method == "fixed" else {"among": teams}
    shared = SharedCost.model_validate({"name": "s", "scope": {"app": "ranker"}, "method": method, **stated})
    assert _sums(groups_of_day(WAREHOUSE, DAY, [shared])) == _sums(groups_of_day(WAREHOUSE, DAY, []))


WAREHOUSE = warehouse_of(records())


def _sums(groups: list[Group]) -> tuple[int, ...]:
    amounts = [(*one.tokens, one.cost_nanos, one.cash_nanos, one.requests) for one in groups]
    return tuple(map(sum, zip(*amounts, strict=True)))


def test_rows_name_incidents_and_remedies() -> None:
    """Those whose scope and time they lie in; a remedy that is in force has no end yet."""
    second = SPAN.start + timedelta(days=1)
    scope = Scope.of(team="search", api_key_id="k-1")
    marks = Marks(
        [Mark("inc-1", scope, second, second + timedelta(hours=3)), Mark("inc-2", scope, second, None)],
        [Mark("rem-1", Scope.of(team="search"), second + timedelta(days=1), None)],
    )
    found = {
        (row["ChargePeriodStart"], row["x_Team"], row["x_IncidentId"], row["x_RemediationId"])
        for row in rows(marks=marks)
        if row["x_Team"] == "search" or row["x_IncidentId"] or row["x_RemediationId"]
    }
    assert found == {
        ("2026-10-30T00:00:00Z", "search", None, None),
        ("2026-10-31T00:00:00Z", "search", "inc-1,inc-2", None),
        ("2026-11-01T00:00:00Z", "search", "inc-2", "rem-1"),
        ("2026-11-02T00:00:00Z", "search", "inc-2", "rem-1"),
    }


def test_a_committed_discount_is_between_list_and_contract() -> None:
    """A quarter off Anthropic's list price: contracted costs are three quarters of the list costs, class by class."""
    given = {"provider": "anthropic", "model": "*", "effective_from": SPAN.start, "percent_off_list": "25"}
    book = PriceBook([Override.model_validate(given)])
    usage = [one for one in records() if one.provider == "anthropic"]
    warehouse = open_duckdb(None, clock=lambda: SPAN.end)
    warehouse.append(price(usage, book.table_for(price_keys(usage))))
    warehouse.roll_up()
    found = list(focus_rows(warehouse, SPAN, table_for=book.table_for, list_table_for=PriceBook().table_for))
    warehouse.close()
    assert len(found) > 50
    for row in found:
        listed, contracted = row["ListCost"], row["ContractedCost"]
        assert isinstance(listed, Decimal)
        assert isinstance(contracted, Decimal)
        assert abs(listed * 3 / 4 - contracted) <= Decimal("1e-8")
        unit, quantity = row["ListUnitPrice"], row["PricingQuantity"]
        assert isinstance(unit, Decimal)
        assert isinstance(quantity, Decimal)
        assert abs(unit * quantity - listed) <= Decimal("1e-11")
