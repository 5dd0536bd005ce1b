"""Each weekly summary is made exactly once, at its local hour, whatever the clocks do."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.app import assemble
from agent.entrypoints.weekly import MOST, due_at, make_due_summaries, weeks_due
from agent.report.week import week_window
from agent.settings import Settings, WeeklySettings
from store.model.budget import Budget
from store.model.incident import TrustNote
from store.model.usage import TOTAL, Scope

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "Australia/Sydney",
    "America/Santiago",
    "Africa/Cairo",
]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("hour", [0, 2, 9])
def test_no_week_is_missed_or_doubled_in_a_year(zone: str, hour: int) -> None:
    """Looking every hour through 2026, all changes of the clocks included, makes each of its weeks once, in order."""
    when = WeeklySettings(time_zone=zone, weekday=0, hour=hour)
    now, made, last = datetime(2026, 1, 12, tzinfo=UTC), list[str](), week_window("2026-W01", zone).start
    while now < datetime(2027, 1, 4, tzinfo=UTC):
        for week in weeks_due(now, when, last=last):
            made.append(week)
            last = week_window(week, zone).start
        now += timedelta(hours=1)
    expected = [f"2026-W{number:02d}" for number in range(2, 53)]
    assert made[: len(expected)] == expected
    assert len(made) == len(set(made))


def test_it_is_due_at_the_local_hour() -> None:
    """Monday 09:00 in Berlin is 08:00 UTC in winter and 07:00 UTC in summer."""
    when = WeeklySettings(time_zone="Europe/Berlin", weekday=0, hour=9)
    assert due_at(week_window("2026-W47", "Europe/Berlin").end, when) == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert due_at(week_window("2026-W26", "Europe/Berlin").end, when) == datetime(2026, 6, 29, 7, tzinfo=UTC)


def test_a_long_stop_is_caught_up_within_bounds() -> None:
    """After ten weeks without a service the last four are made, oldest first."""
    when = WeeklySettings()
    last = week_window("2026-W30", "UTC").start
    due = weeks_due(datetime(2026, 10, 5, 10, tzinfo=UTC), when, last=last)
    assert due == ["2026-W37", "2026-W38", "2026-W39", "2026-W40"]
    assert len(due) == MOST


def test_the_service_says_what_was_in_doubt_and_how_the_budgets_stand(tmp_path: Path) -> None:
    """The summary that the service makes has the week's doubts, ended ones too, and the budgets."""
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    budget = Budget(name="everything", scope=TOTAL, period="month", usd_nanos=5 * 10**9)
    settings = Settings(data_dir=tmp_path, budgets=(budget,))
    bursar = assemble(settings, clock=lambda: now, owner="me", checkpointed=False)
    doubt = TrustNote(scope=Scope.of(source="gateway"), kind="silent_source", says="nothing since Tuesday")
    bursar.ledger.save_trust([doubt], at=datetime(2026, 11, 17, tzinfo=UTC))
    bursar.ledger.save_trust([], at=datetime(2026, 11, 18, tzinfo=UTC))
    (markdown,) = make_due_summaries(bursar)
    bursar.close()
    text = markdown.read_text()
    assert "nothing since Tuesday" in text
    assert "everything: $0.00 of $5.00 this month" in text


def test_a_restart_does_not_make_doubtful_data_sound(tmp_path: Path) -> None:
    """Until the new service has looked itself, rulings read what the last one noted."""
    settings = Settings(data_dir=tmp_path)
    doubt = TrustNote(scope=Scope.of(source="gateway"), kind="silent_source", says="nothing since Tuesday")
    first = assemble(settings, clock=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC), owner="a", checkpointed=False)
    first.ledger.save_trust([doubt], at=datetime(2026, 11, 23, 11, tzinfo=UTC))
    first.close()
    second = assemble(settings, clock=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC), owner="b", checkpointed=False)
    assert [(one.kind, one.scope) for one in second.trust_notes] == [("silent_source", doubt.scope)]
    second.watch()
    assert second.ledger.trust() == [], "an empty warehouse has no silent source"
    second.close()
