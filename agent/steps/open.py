"""open: incidents are kept, and those that need a case are named."""

from collections.abc import Sequence

from store.ledger.ledger import Ledger
from store.model.incident import Incident


def open_incidents(*, ledger: Ledger, incidents: Sequence[Incident]) -> list[tuple[str, int]]:
    """Save what has changed; (incident id, revision) of each new incident or risen revision, in order.

    An incident that a planned event explains is kept and shown, and needs no case.
    """
    due = []
    for incident in incidents:
        before = ledger.incident(incident.id)
        ledger.save_incident(incident)
        if incident.planned is None and (before is None or before.revision < incident.revision):
            due.append((incident.id, incident.revision))
    return due
