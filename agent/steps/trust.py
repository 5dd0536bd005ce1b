"""trust: whether the usage of late may be believed."""

from datetime import datetime, timedelta

from agent.detectors.late import LOOK_BACK, late_notes
from agent.detectors.settings import DetectorSettings
from agent.detectors.trust import (
    DIMS,
    PRICED_BY,
    disagreement_notes,
    missing_cost_notes,
    reported_twice_notes,
    silent_notes,
    token_notes,
    unpriced_notes,
    zero_cost_notes,
)
from store.model.incident import TrustNote
from store.model.ports import Warehouse
from store.model.usage import Window, floor_to

_HISTORY = timedelta(days=14)
_RECENT = timedelta(days=1)


def trust(*, warehouse: Warehouse, now: datetime, settings: DetectorSettings) -> list[TrustNote]:
    """Every reason not to believe the data of some scope, judged up to `now`."""
    until = floor_to(now, 3600)
    history, recent = Window(start=until - _HISTORY, end=until), Window(start=until - _RECENT, end=until)
    whole = warehouse.cube(history, bucket_seconds=3600, dims=tuple(dict.fromkeys((*DIMS, *PRICED_BY))))
    metered = whole.over(DIMS)
    reference = warehouse.cube(history, bucket_seconds=3600, dims=DIMS, role="reference")
    money = disagreement_notes(metered, reference, share=settings.disagreement_share)
    in_doubt = {note.scope.get("provider") for note in money}
    tokens = token_notes(metered, reference, share=settings.disagreement_share)
    return [
        *unpriced_notes(warehouse.unpriced(recent)),
        *zero_cost_notes(metered.within(recent)),
        *missing_cost_notes(whole.over(PRICED_BY), since=recent.start),
        *silent_notes(metered, until=until),
        *late_notes(warehouse.arrivals(Window(start=until - LOOK_BACK, end=until)), until_s=int(until.timestamp())),
        *money,
        # Where a whole provider is in doubt, its models are.
        *(note for note in tokens if note.scope.get("provider") not in in_doubt),
        *reported_twice_notes(metered.within(recent)),
    ]
