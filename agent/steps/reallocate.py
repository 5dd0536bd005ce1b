"""reallocate: bring stored usage in line with today's allocation rules and currency rates."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from store.model.amendment import Amendment
from store.model.ports import Warehouse
from store.model.usage import Intake, Role, UsageRecord, Window
from store.usage.columns import from_arrow
from store.usage.snapshots import read


def reallocate(*, warehouse: Warehouse, window: Window, amendment: Amendment, keep: bool = True) -> int:
    """How many records of the window were (or with `keep` false: would be) changed; the caller rolls up.

    Doing it again changes nothing.
    """
    changed = 0
    with tempfile.TemporaryDirectory() as folder:
        for role, new in reallocated(snapshot=warehouse.snapshot(window, Path(folder)), amendment=amendment):
            changed += len(new)
            if keep and new:
                taken = warehouse.append(new, role=role)
                assert taken == Intake(superseded=len(new)), taken
    return changed


def reallocated(*, snapshot: Path, amendment: Amendment) -> Iterator[tuple[Role, list[UsageRecord]]]:
    """The records of a snapshot that today's rules and rates change, as they are to be; in batches.

    A changed record is a newer version of the same call, observed a microsecond after the one it replaces, so reading
    its source again later still wins. What a rule had set before is not undone: rules look at keys, projects and tags,
    which no rule changes.
    """
    for role, _, rows in read(snapshot):
        records = from_arrow(rows)
        yield (
            role,
            [
                after._replace(observed_us=before.observed_us + 1)
                for before, after in zip(records, amendment.records(records), strict=True)
                if after != before
            ],
        )
