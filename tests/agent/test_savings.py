"""What remedies saved, booked once for each hour and each team, and what estimates came to."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.savings import History, Realised, by_team, histories, realised, record_text, track_record
from store.ledger.ledger import open_ledger
from store.model.remedy import Saving, Verification, VerificationOutcome
from store.model.usage import Scope, Window
from tests.store.ledger.examples import T0, a_proposal, an_incident, claimed, moved, walked_to

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
USD = 10**9
A_DAY = Saving(low=12 * USD, mid=24 * USD, high=36 * USD, cash_mid=24 * USD, assumption="as replayed")


def check(start: float, end: float, saved: float, outcome: VerificationOutcome = "worked") -> Verification:
    """So many dollars saved between two hours; judged at the second one."""
    nanos = round(saved * USD)
    return Verification(
        remedy_id="rem-1",
        revision=1,
        window=Window(start=START + timedelta(hours=start), end=START + timedelta(hours=end)),
        outcome=outcome,
        actual_nanos=0,
        counterfactual_nanos=nanos,
        saved_low_nanos=nanos - USD,
        saved_mid_nanos=nanos,
        saved_high_nanos=nanos + USD,
        cash_saved_mid_nanos=nanos // 2,
        says="",
        at=START + timedelta(hours=end),
    )


def history(*checks: Verification, playbook: str = "rate_limit", team: str = "search") -> History:
    """A remedy that should save a dollar an hour."""
    plan = a_proposal().model_copy(update={"saving": A_DAY, "playbook": playbook, "scope": Scope.of(team=team)})
    return History(plan, checks, team)


def test_an_hour_that_was_measured_again_is_booked_once() -> None:
    """An inconclusive window grows until it can be judged: only the last look at each hour counts."""
    found = realised(history(check(0, 1, 5, "inconclusive"), check(0, 2, 8), check(2, 3, 4)))
    assert found == Realised(
        low=10 * USD, mid=12 * USD, high=14 * USD, cash_mid=6 * USD, seconds=3 * 3600, expected=3 * USD
    )


def test_savings_are_booked_for_each_team() -> None:
    """They add up, with their intervals; a remedy that nobody has measured is in no book."""
    found = by_team(
        [
            history(check(0, 1, 2)),
            history(check(0, 2, 3), playbook="session_cap"),
            history(check(0, 1, 9), team="ads"),
            history(team="idle"),
        ]
    )
    assert list(found) == ["ads", "search"]
    search = found["search"]
    assert (search.low, search.mid, search.high) == (3 * USD, 5 * USD, 7 * USD)
    assert (search.seconds, search.expected) == (3 * 3600, 3 * USD)


@pytest.mark.parametrize(
    ("checks", "came_true"),
    [
        ([check(0, 1, 0.5)], 0.5),
        ([check(0, 1, 7)], 1.0),
        ([check(0, 1, 0.5), check(1, 9, 0, "no_effect")], 0.5),
        ([check(0, 1, 0, "no_effect")], 0.0),
        ([check(0, 1, 0.9), check(1, 2, 0.9, "harmed")], 0.0),
    ],
)
def test_an_estimate_comes_true_by_what_was_saved_while_it_worked(checks: list[Verification], came_true: float) -> None:
    """At most wholly; a spike that is over takes nothing from it, harm takes all."""
    [record] = track_record([history(*checks)]).values()
    assert record.judged == 1
    assert record.came_true == pytest.approx(came_true)
    assert f"{came_true:.0%} (remedies: 1)" in record_text(record)


def test_what_cannot_be_judged_is_no_record() -> None:
    """Not measured, or never conclusively."""
    assert track_record([history(), history(check(0, 1, 5, "inconclusive"))]) == {}


@given(st.lists(st.floats(min_value=-5, max_value=5), max_size=30))
@settings(deadline=None)
def test_a_record_only_lowers_what_is_believed(savings: list[float]) -> None:
    """Whatever came before, the next estimate is believed by at most all of it, and never wholly dismissed."""
    for record in track_record([history(check(0, 1, one)) for one in savings]).values():
        assert 0 < record.reliability <= 1
        if record.judged >= 10 and record.came_true < 0.1:
            assert record.reliability < 0.4


def test_the_books_are_read_from_the_ledger() -> None:
    """Remedies that were in force; where a scope names no team it is the incident's."""
    ledger = open_ledger("sqlite://", clock=lambda: T0)
    ledger.save_incident(an_incident())
    walked_to(ledger, "kept")
    assert histories(ledger) == []
    claim, remedy = claimed(ledger)
    found = check(0, 1, 3)
    assert ledger.conclude(claim, moved(remedy, applied_at=T0), verification=found)
    [one] = histories(ledger)
    assert (one.verifications, one.team) == ((found,), "search")
    ledger.close()
