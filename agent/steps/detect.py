"""detect: the series that spend more than they should."""

from datetime import datetime, timedelta

from agent.detectors.detect import detect as judge_all
from agent.detectors.learned import Learned
from agent.detectors.sessions import COLUMNS
from agent.detectors.settings import DetectorSettings
from store.model.incident import Spike
from store.model.ports import Warehouse
from store.model.usage import Window, floor_to


def detect(
    *, warehouse: Warehouse, now: datetime, settings: DetectorSettings, learned: Learned | None = None
) -> list[Spike]:
    """Judge all whole buckets that ended by `now`; the caller has subtracted the delay of the sources.

    `learned`, kept by the caller from look to look, saves time only.
    """
    until = floor_to(now, settings.bucket_seconds)
    start = floor_to(until, 86_400) - timedelta(days=settings.history_days)
    cube = warehouse.cube(Window(start=start, end=until), bucket_seconds=settings.bucket_seconds, dims=settings.dims)
    recent = Window(start=until - timedelta(hours=settings.session_hours), end=until)
    records = warehouse.records(recent, columns=COLUMNS)
    return judge_all(cube, until=until, settings=settings, records=records, learned=learned)
