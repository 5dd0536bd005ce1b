"""The clockwork: one UTC interval tick on a memory store. Which windows are due is read from the ledger."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

log = logging.getLogger("bursar.schedule")


def start_ticking(tick: Callable[[], None], *, seconds: int) -> BackgroundScheduler:
    """Call `tick` every so many seconds until the scheduler is shut down; never two at once, missed ones as one.

    No cron, no local zone, no jitter, no shared job store: each of them loses or doubles runs (RELIABILITY 4.2).
    """
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_job(
        tick,
        IntervalTrigger(seconds=seconds, timezone=UTC),
        id="tick",
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,
        next_run_time=datetime.now(UTC),
    )
    scheduler.add_listener(_report, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
    scheduler.start()
    return scheduler


def _report(event: JobExecutionEvent) -> None:
    if event.code == EVENT_JOB_ERROR:
        log.error("the tick failed and will be tried again: %s", event.exception)
    else:
        log.warning("a tick was skipped: the one before is still running")
