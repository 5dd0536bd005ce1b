"""group: spikes become incidents, new ones or more of those that are known."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agent.detectors.grouping import group as regroup
from agent.detectors.settings import DetectorSettings, PlannedEvent
from store.ledger.ledger import Ledger
from store.model.incident import Incident, Spike
from store.model.ports import Warehouse
from store.model.usage import Window, floor_to


def group(
    *, ledger: Ledger, warehouse: Warehouse, spikes: Sequence[Spike], now: datetime, settings: DetectorSettings
) -> list[Incident]:
    """The incidents that this look made or changed; nothing is written.

    What the ledger's calendar expects holds an incident back as the configuration's own events do.
    """
    reach = timedelta(days=settings.horizon_days, hours=settings.reopen_hours)
    known = {incident.id: incident for incident in ledger.incidents(window=Window(start=now - reach, end=now))}
    known.update((incident.id, incident) for incident in ledger.incidents(status="open"))
    if not spikes and not known:
        return []
    until = floor_to(now, settings.bucket_seconds)
    start = floor_to(until, 86_400) - timedelta(days=settings.history_days)
    dims = sorted({*settings.dims, *(name for incident in known.values() for name, _ in incident.scope.dims)})
    cube = warehouse.cube(Window(start=start, end=until), bucket_seconds=settings.bucket_seconds, dims=dims)
    calendar = [PlannedEvent(name=e.name, scope=e.scope, window=e.window, owner=e.owner) for e in ledger.expected()]
    planned = settings.model_copy(update={"planned": (*settings.planned, *calendar)})
    return regroup(spikes, cube=cube, open_incidents=list(known.values()), now=now, settings=planned)
