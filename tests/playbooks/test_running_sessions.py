"""A loop goes on: what a cap on its session saves is what it would do from then on."""

from math import log

import pytest

from playbooks.replay.limits import replay_session_cap
from playbooks.running_sessions import running_sessions
from store.model.usage import NONE, UsageRecord
from tests.playbooks.tables import START, WINDOW, every, table

CALLS = 1080
"""One each ten seconds, for the three hours of the window."""
FULL = 3_000_000
"""What a thousand input tokens cost, nano-USD."""


def _loop(*, tokens: int = 1000, growth: int = 0, session: str = "loop") -> list[UsageRecord]:
    """Calls of one session whose context has `growth` tokens more at each."""
    rows = every(10, CALLS, session_id=session)
    return [
        row._replace(input_uncached=tokens + growth * i, output=0, cost_nanos=(tokens + growth * i) * FULL // 1000)
        for i, row in enumerate(rows)
    ]


def _day(rows: list[UsageRecord], cap: int = 20) -> tuple[int, int, int] | None:
    records = table(rows)
    day = running_sessions(records, replay_session_cap(records, max_calls=cap), max_calls=cap, window=WINDOW)
    return None if day is None else (day.low, day.mid, day.high)


def test_a_steady_loop_is_refused_all_day_but_for_its_first_calls() -> None:
    """8,640 calls a day at a price that stays, of which the cap lets twenty pass; who begins anew saves nothing."""
    day = _day(_loop())
    assert day is not None
    assert day == pytest.approx((0, (8640 - 20) * FULL, (8640 - 20) * FULL), rel=1e-3)


def test_a_context_that_grows_has_more_room_the_longer_it_is() -> None:
    """Of c tokens and g more a second, c ln(1 + g s / c) more are expected after s seconds, until the day's end."""
    rows = _loop(tokens=5000, growth=5)
    context, a_second = 5000 + 5 * CALLS, 0.5
    expected = sum(context + context * log(1 + a_second * (10 * n) / context) for n in range(20, 8640))
    day = _day(rows)
    assert day is not None
    low, mid, high = day
    assert mid == pytest.approx(expected * FULL / 1000, rel=0.01)
    assert low == 0
    assert mid < high <= 8640 * 10 * context * FULL // 1000


def test_growth_that_ended_is_not_carried_on() -> None:
    """What grew in the first hour and has stood still since is at its limit."""
    rows = [
        row._replace(input_uncached=min(row.input_uncached, 5000), cost_nanos=min(row.cost_nanos or 0, 5 * FULL))
        for row in _loop(tokens=1000, growth=20)
    ]
    day = _day(rows)
    assert day is not None
    assert day[1] == day[2] == pytest.approx((8640 - 20) * 5 * FULL, rel=1e-3)


def test_a_session_that_stopped_does_not_run_on() -> None:
    """Its last call is longer ago than it ever paused; calls without a session are nobody's loop."""
    assert _day([row for row in _loop() if row.occurred_us < WINDOW.start_us + 3600 * 10**6]) is None
    assert _day(_loop(session=NONE)) is None


def test_sessions_that_stopped_come_again_as_often() -> None:
    """Beside one that runs on, another made its 120 calls in the first hour: a day has eight like it."""
    other = [row._replace(record_id=f"o{row.record_id}") for row in every(10, 120, start=START, session_id="other")]
    alone, both = _day(_loop()), _day(_loop() + other)
    assert alone is not None
    assert both is not None
    assert both[1] - alone[1] == 100 * 8 * (other[0].cost_nanos or 0)
