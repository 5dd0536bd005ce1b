"""Which weekly summaries are due, and making each exactly once, whatever restarts or clock changes come between."""

from datetime import datetime, time, timedelta
from pathlib import Path

from agent.agreed import agreed_budgets
from agent.bursar import Bursar
from agent.report.thread import week_payload
from agent.report.week import instant, week_before, week_window, zone_of
from agent.report.write import write
from agent.settings import WeeklySettings
from agent.steps.summarise import summarise

KIND = "weekly"
LEASE_SECONDS = 300
MOST = 4
"""After a long stop so many weeks are caught up."""


def weeks_due(now: datetime, when: WeeklySettings, *, last: datetime | None) -> list[str]:
    """The ISO weeks whose summary is due and not made, oldest first; `last` is the newest week's start that was made.

    A week's summary is due on the first `when.weekday` at `when.hour`, local wall time, after its end.
    """
    due: list[str] = []
    week = week_before(now, when.time_zone)
    for _ in range(MOST + 1):
        window = week_window(week, when.time_zone)
        if due_at(window.end, when) <= now and (last is None or window.start > last):
            due.append(week)
        week = week_before(window.start + timedelta(days=1), when.time_zone)
    return due[MOST - 1 :: -1] if len(due) > MOST else due[::-1]


def due_at(week_end: datetime, when: WeeklySettings) -> datetime:
    """When the summary of the week that ends then is due: a UTC instant."""
    zone = zone_of(when.time_zone)
    day = week_end.astimezone(zone).date() + timedelta(days=when.weekday)
    return instant(datetime.combine(day, time(when.hour)), zone)


def make_due_summaries(bursar: Bursar) -> list[Path]:
    """Write every summary that is due into `reports/` of the data directory; the Markdown files written.

    A fresh installation makes the last week's only. The window row keeps two services from making one twice.
    """
    settings, when = bursar.settings, bursar.settings.schedule.weekly
    last = bursar.ledger.last_window(KIND, "")
    made: list[Path] = []
    for week in weeks_due(bursar.clock(), when, last=last)[-1 if last is None else 0 :]:
        window = week_window(week, when.time_zone)
        start = window.start
        if not bursar.ledger.claim_window(KIND, "", start, owner=bursar.owner, lease_seconds=LEASE_SECONDS):
            continue
        summary = summarise(
            week=week,
            time_zone=when.time_zone,
            ledger=bursar.ledger,
            warehouse=bursar.warehouse,
            mode=settings.policy.mode,
            now=bursar.clock(),
            trust=bursar.ledger.trust_in(window),
            budgets=agreed_budgets(settings, bursar.ledger),
        )
        paths = write(summary, settings.data_dir / "reports" / week)
        told = {"week": week, "markdown": str(paths.markdown), **week_payload(summary)}
        outbox = ("weekly_summary", week, told)
        bursar.ledger.finish_window(KIND, "", start, owner=bursar.owner, outbox=outbox)
        made.append(paths.markdown)
    return made
