"""Draw: the chart that an incident's thread shows, from the usage warehouse."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from agent.report.incident_chart import incident_png
from store.model.incident import Incident
from store.model.ports import Warehouse
from store.model.summary import SpendPoint
from store.model.usage import CUBE_DIMENSIONS, Cube, Scope, Window, floor_to, from_us

BEFORE = timedelta(hours=12)
"""How much of the time before the incident is shown, at least."""
FINE_UP_TO = timedelta(hours=12)
"""Shorter incidents are drawn by 5 minutes, where the source is that fine."""


def draw(*, incident: Incident, warehouse: Warehouse, zone: ZoneInfo) -> bytes | None:
    """A PNG, or None where there is no usage to show.

    Dimensions of the scope that rollups do not have (a session, an end user) are left out: the chart shows the
    traffic around them.
    """
    scope = Scope.of({name: value for name, value in incident.scope.dims if name in CUBE_DIMENSIONS})
    length = incident.window.end - incident.window.start
    for width in (300, 3600) if length <= FINE_UP_TO else (3600,):
        cube = warehouse.cube(_shown(incident.window, width), bucket_seconds=width, dims=(), scope=scope)
        if cube.rows:
            return incident_png(_points(cube, incident), incident.window, bucket_seconds=width, zone=zone)
    return None


def _shown(ran: Window, width: int) -> Window:
    """The incident and the time before it, in whole buckets."""
    before = max(BEFORE, 2 * (ran.end - ran.start))
    end = floor_to(ran.end - timedelta(seconds=1), width) + timedelta(seconds=width)
    return Window(start=floor_to(ran.start - before, width), end=end)


def _points(cube: Cube, incident: Incident) -> list[SpendPoint]:
    """One point a bucket. Expected is the incident's baseline, spread evenly over its time."""
    spent = dict(zip(cube.bucket.tolist(), cube.measures["cost_nanos"].tolist(), strict=True))
    seconds = incident.window.seconds
    expected = round(incident.baseline_nanos * cube.bucket_seconds / seconds) if seconds else 0
    first, last = cube.window.start_us // 10**6, cube.window.end_us // 10**6
    return [
        SpendPoint(at=from_us(at * 10**6), actual_nanos=spent.get(at, 0), baseline_nanos=expected)
        for at in range(first, last, cube.bucket_seconds)
    ]
