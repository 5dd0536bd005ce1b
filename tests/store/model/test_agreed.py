"""Budgets and charges: calendar periods that add up, and amounts that are billed once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from store.model.budget import Budget, Period, period_window
from store.model.charge import Charge, amounts_in
from store.model.usage import TOTAL, Window

START = datetime(2026, 1, 1, tzinfo=UTC)
PERIODS: tuple[Period, ...] = ("day", "week", "month", "quarter", "year")
period = st.sampled_from(PERIODS)
moment = st.integers(0, 3 * 366 * 24).map(lambda hours: START + timedelta(hours=hours))


@given(period, moment)
@settings(max_examples=100, deadline=None)
def test_periods_follow_each_other(name: Period, at: datetime) -> None:
    """Each moment lies in one period, and the next begins where it ends."""
    window = period_window(name, at)
    assert window.start <= at < window.end
    assert period_window(name, window.end).start == window.end


@given(period, moment, moment, moment)
@settings(max_examples=100, deadline=None)
def test_shares_of_a_budget_add_up(name: Period, one: datetime, two: datetime, three: datetime) -> None:
    """The share of a span is the sum of the shares of its parts; a whole period's share is the budget."""
    budget = Budget(name="b", scope=TOTAL, period=name, usd_nanos=123_456_789_012_345)
    first, second, third = sorted((one, two, three))
    parts = budget.share_nanos(Window(start=first, end=second)) + budget.share_nanos(Window(start=second, end=third))
    assert parts == budget.share_nanos(Window(start=first, end=third))
    assert budget.share_nanos(budget.window(one)) == budget.usd_nanos


def seats(**more: object) -> Charge:
    """25 seats a month."""
    given = {"name": "seats", "kind": "seats", "provider": "anthropic", "every": "month", "starts_at": START}
    return Charge.model_validate({**given, "amount": "100.01", **more})


@given(moment, moment, moment, st.sampled_from([None, "month", "week"]))
@settings(max_examples=100, deadline=None)
def test_a_charge_is_billed_once_and_spread_exactly(
    one: datetime, two: datetime, three: datetime, every: str | None
) -> None:
    """Billed and effective amounts of windows that follow each other add up to those of the whole."""
    charge = seats(every=every, starts_at=START + timedelta(days=10, hours=5), ends_at=START + timedelta(days=400))
    first, second, third = sorted((one, two, three))
    parts = [amounts_in(charge, Window(start=a, end=b), ()) for a, b in ((first, second), (second, third))]
    whole = amounts_in(charge, Window(start=first, end=third), ())
    for kind in ("billed_nanos", "effective_nanos", "list_nanos"):
        assert sum(getattr(part, kind) for part in parts if part) == (getattr(whole, kind) if whole else 0)


def test_a_month_of_seats() -> None:
    """Billed in the month that it begins; a month that is covered in part is charged in part."""
    october = period_window("month", datetime(2026, 10, 5, tzinfo=UTC))
    found = amounts_in(seats(), october, ())
    assert found is not None
    assert found.billed_nanos == found.effective_nanos == 100_010_000_000
    half = amounts_in(seats(starts_at=october.start + timedelta(days=15, hours=12)), october, ())
    assert half is not None
    assert half.billed_nanos == 50_005_000_000
    assert amounts_in(seats(starts_at=october.end), october, ()) is None


def test_list_contract_and_bill_are_three_amounts() -> None:
    """Each falls back to the next: without a list price the contract, without a contract the bill."""
    october = period_window("month", datetime(2026, 10, 5, tzinfo=UTC))
    found = amounts_in(seats(amount="80", contracted="100", list_price="150"), october, ())
    assert found is not None
    assert (found.list_nanos, found.contracted_nanos, found.billed_nanos) == (150 * 10**9, 100 * 10**9, 80 * 10**9)


@pytest.mark.parametrize(
    "wrong", [{"every": None}, {"ends_at": START}, {"amount": Decimal("NaN")}, {"currency": "eur"}]
)
def test_charges_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    """Once without an end, an end before the start, no number, no currency code."""
    with pytest.raises(ValidationError):
        seats(**wrong)
