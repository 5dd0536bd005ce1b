"""Once a day what is older than its retention is dropped, whatever restarts come between."""

import logging
from datetime import timedelta

from agent.bursar import Bursar
from store.model.usage import Expired, floor_to

KIND = "retention"
LEASE_SECONDS = 600
_DAY = 86_400

log = logging.getLogger("bursar.retention")


def drop_what_is_old(bursar: Bursar) -> Expired | None:
    """Drop old records and roll-ups, once each UTC day; None where that was done or is being done.

    The window row keeps two services from doing it twice; after a crash it is done again, which changes nothing.
    """
    now, keep = bursar.clock(), bursar.settings.retention
    start = floor_to(now, _DAY)
    if bursar.ledger.last_window(KIND, "") == start:
        return None
    if not bursar.ledger.claim_window(KIND, "", start, owner=bursar.owner, lease_seconds=LEASE_SECONDS):
        return None
    expired = bursar.warehouse.expire(
        records_before=start - timedelta(days=keep.records_days),
        fine_before=start - timedelta(days=keep.fine_rollups_days),
        coarse_before=start - timedelta(days=keep.rollups_days),
    )
    dropped = {"records": expired.records, "fine": expired.fine, "coarse": expired.coarse}
    bursar.ledger.finish_window(KIND, "", start, owner=bursar.owner, result=dropped)
    if any(dropped.values()):
        log.info("retention: dropped %d records, %d 5-minute and %d hourly roll-up cells", *dropped.values())
    return expired
