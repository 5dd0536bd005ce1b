"""The shipped detector on a labelled world, through the door of `bursar detect FILE`."""

from datetime import datetime

from agent.detectors.lab import Alert, detect_table
from evals.bench.detect_score import Raised
from evals.bench.series_world import START, World, name_of, table_of
from evals.bench.series_world_shapes import HOURS


def bursar_alerts(world: World) -> list[Raised]:
    """What the detector as shipped, with its default settings, raises on these series."""
    row_of = {name_of(row): row for row in range(len(world.cost))}
    found = detect_table(table_of(world), bucket_seconds=3600)
    return [_raised(alert, row_of[alert.series]) for alert in found.alerts]


def _raised(alert: Alert, row: int) -> Raised:
    end = HOURS if alert.ended_at is None else _hour(alert.ended_at)
    return Raised(row, _hour(alert.opened_at) - 1, max(end, _hour(alert.opened_at)))


def _hour(moment: datetime) -> int:
    return round((moment - START).total_seconds() / 3600)
