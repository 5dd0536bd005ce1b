"""A day is not so many times a morning."""

from datetime import UTC, datetime, timedelta

import pytest

from playbooks.model_pin import ModelPin
from playbooks.models import ALTERNATIVES
from playbooks.outlook import day_over_window
from playbooks.playbook import ProposalFacts
from playbooks.season import PPM, limited_day_over_window
from store.model.usage import RecordTable, UsageRecord, Window
from tests.playbooks.tables import OPUS, PRICES, SONNET, every, finding, table

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
"""A Monday; the reference is the week before it."""
WEEK = Window(start=MONDAY - timedelta(days=7), end=MONDAY)
MORNING = Window(start=MONDAY + timedelta(hours=9), end=MONDAY + timedelta(hours=12))


def _office(days: range) -> list[UsageRecord]:
    """A request a minute from 9 to 17, six an hour in the rest of the day."""
    rows: list[UsageRecord] = []
    for day in days:
        midnight = WEEK.start + timedelta(days=day)
        rows += every(60, 8 * 60, start=midnight + timedelta(hours=9), first=len(rows))
        rows += every(600, 9 * 6, start=midnight, first=len(rows))
        rows += every(600, 7 * 6, start=midnight + timedelta(hours=17), first=len(rows))
    return rows


def _times(reference: RecordTable, window: Window, now: datetime, *, seen: int) -> int | None:
    found = day_over_window(reference, window, now, seen=seen)
    return None if found is None else found.times


def _reference(rows: list[UsageRecord], *, cut: bool = False) -> RecordTable:
    return table(rows, WEEK)._replace(cut=cut)


def test_a_working_day_is_as_many_mornings_as_it_has_requests() -> None:
    """576 requests of a day over 180 of three office hours, not eight times as many."""
    found = _times(_reference(_office(range(5))), MORNING, MORNING.end, seen=180)
    assert found == pytest.approx(576 / 180 * PPM, rel=1e-6)


def test_a_friday_is_followed_by_a_weekend() -> None:
    """Of the next day only the hours of the Friday that are left have traffic."""
    friday = MORNING.shifted(timedelta(days=4))
    rows = _office(range(5))
    found = _times(_reference(rows), friday, friday.end, seen=180)
    assert found == pytest.approx((5 * 60 + 7 * 6) / 180 * PPM, rel=1e-6)


def test_hours_that_a_cut_left_out_are_not_hours_without_traffic() -> None:
    """Of a week whose newest two days were read, only those two count."""
    rows = _office(range(3, 5))
    found = _times(_reference(rows, cut=True), MORNING, MORNING.end, seen=180)
    assert found is not None
    assert found == pytest.approx(576 / 180 * PPM, rel=0.05)


def test_too_little_is_not_a_season() -> None:
    """Nothing, or a handful of requests at such hours, tells nothing."""
    assert _times(_reference([]), MORNING, MORNING.end, seen=180) is None
    few = every(3600, 12, start=WEEK.start + timedelta(hours=9))
    assert _times(_reference(few), MORNING, MORNING.end, seen=180) is None


def test_a_limit_refuses_nothing_at_night() -> None:
    """Three times the traffic against a limit of two a minute: eight office hours instead of the three seen."""
    rows = every(20, 9 * 60, start=MORNING.start)
    found = limited_day_over_window(
        table(rows, MORNING), _reference(_office(range(5))), MORNING, MORNING.end, per_minute=2
    )
    assert found == pytest.approx(8 / 3 * PPM, rel=0.01)


def test_a_limit_that_refused_nothing_tells_nothing_of_a_day() -> None:
    """There is nothing to take times of."""
    rows = every(60, 180, start=MORNING.start)
    assert (
        limited_day_over_window(table(rows, MORNING), _reference(_office(range(5))), MORNING, MORNING.end, per_minute=2)
        is None
    )


def test_a_target_without_a_past_takes_its_applications_season() -> None:
    """A model that is new to the app was never seen before; the app's hours were."""
    facts = ProposalFacts(
        records=table(every(60, 180, start=MORNING.start, model=OPUS), MORNING),
        reference_records=_reference(_office(range(5))),
        prices=PRICES,
        seconds=3 * 3600,
        now=MORNING.end,
        alternatives=ALTERNATIVES,
        gateway=None,
    )
    found = finding("model_switch", facts={"model": OPUS, "previous_model": SONNET})
    draft = ModelPin().propose(found, facts, ModelPin.params())
    assert draft is not None
    assert draft.saving.mid == 180 * 3_000_000 * 576 // 180
    assert "the next day making 3.2 times of it" in draft.saving.assumption


def test_a_fault_that_begins_within_the_window_is_not_spread_over_all_of_it() -> None:
    """Half an hour of the dearer model in a window of three hours is a day of 48 half hours, not of eight windows."""
    rows = [
        *every(60, 150, start=MORNING.start),
        *every(60, 30, start=MORNING.end - timedelta(minutes=30), first=200, model=OPUS),
    ]
    facts = ProposalFacts(
        records=table(rows, MORNING),
        reference_records=_reference([]),
        prices=PRICES,
        seconds=3 * 3600,
        now=MORNING.end,
        alternatives=ALTERNATIVES,
        gateway=None,
    )
    draft = ModelPin().propose(
        finding("model_switch", facts={"model": OPUS, "previous_model": SONNET}), facts, ModelPin.params()
    )
    assert draft is not None
    assert draft.saving.mid == pytest.approx(24 * 60 * 3_000_000, rel=0.04)


def test_chance_in_a_short_window_is_not_carried_into_the_day() -> None:
    """150 instead of 180 may be chance: the day has its usual 576; three times as many are no chance."""
    reference = _reference(_office(range(5)))
    few = _times(reference, MORNING, MORNING.end, seen=150)
    assert few == pytest.approx(576 / 150 * PPM, rel=1e-6)
    many = _times(reference, MORNING, MORNING.end, seen=540)
    assert many == pytest.approx(576 / 180 * PPM, rel=1e-6)


def test_busy_and_quiet_hours_are_chance_where_they_are_usual() -> None:
    """Hours of 20 and of 100 requests in turn: twice the usual in three hours is chance here, and none of 60 each."""
    rows: list[UsageRecord] = []
    for hour in range(5 * 24):
        count = 100 if (hour // 24 + hour) % 2 else 20
        rows += every(30, count, start=WEEK.start + timedelta(hours=hour), first=len(rows))
    restless = _times(_reference(rows), MORNING, MORNING.end, seen=330)
    assert restless is not None
    day = sum(100 if (hour // 24 + hour) % 2 else 20 for hour in range(5 * 24)) / 5
    assert restless == pytest.approx(day / 330 * PPM, rel=0.03)
    even = every(60, 5 * 24 * 60, start=WEEK.start)
    assert _times(_reference(even), MORNING, MORNING.end, seen=330) == pytest.approx(8 * PPM, rel=1e-6)


def test_attempts_of_one_call_come_together_at_quiet_hours_too() -> None:
    """A call of five attempts in a minute is refused two of them at three a minute, by day and by night."""
    rows = [
        call._replace(trace_id=f"call {minute}", attempt=attempt + 1)
        for minute in range(0, 180, 2)
        for attempt, call in enumerate(every(5, 5, start=MORNING.start + timedelta(minutes=minute), first=10 * minute))
    ]
    reference = _reference(_office(range(5)))
    found = limited_day_over_window(table(rows, MORNING), reference, MORNING, MORNING.end, per_minute=3)
    assert found == pytest.approx(576 / 180 * PPM, rel=0.1)
