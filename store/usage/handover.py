"""What travels in a snapshot beside its rows: statements that hold, how far pulls have come, how late calls came."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from store.model.statement import Offer
from store.model.usage import Arrival, Intake, Role
from store.usage import arrivals, manifests, snapshots, spans
from store.usage.retention import append_recent, restate_recent


class _Notes(NamedTuple):
    statements: list[tuple[Role, Offer]]
    pulls: list[tuple[str, str]]
    withdrawn: list[tuple[Role, str, str]]
    """(role, slot, record id) of rows that were said and hold no longer."""
    arrivals: list[Arrival]


_WITHDRAWN = """
SELECT role, slot, record_id FROM stated s
WHERE NOT EXISTS (SELECT 1 FROM records r WHERE r.role = s.role AND r.record_id = s.record_id)
"""
_KEEP_WITHDRAWN = """
INSERT INTO stated SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), unnest(?::VARCHAR[])
EXCEPT SELECT role, slot, record_id FROM stated
"""


def notes(connection: duckdb.DuckDBPyConnection) -> bytes:
    """The notes of a snapshot that is written now."""
    pulls = connection.execute("SELECT source, body FROM pulls ORDER BY source").fetchall()
    withdrawn = connection.execute(_WITHDRAWN).fetchall()
    return msgspec.json.encode(_Notes(manifests.held(connection), pulls, withdrawn, arrivals.newest(connection)))


def load(connection: duckdb.DuckDBPyConnection, path: Path) -> Intake:
    """Take in a snapshot inside the caller's transaction: its statements as such, all else row by row, and its spans.

    How far a pull has come is taken over only by a warehouse that has not pulled that source itself, how late calls
    came only by one that was empty.

    Raises:
        BadInput: the file is not a snapshot, or is damaged.
    """
    brought = msgspec.json.decode(snapshots.notes_of(path), type=_Notes)
    intake, empty = Intake(), not connection.execute("SELECT 1 FROM records LIMIT 1").fetchall()
    for role, slots, rows in snapshots.read(path):
        plain = pa.array([slot is None for slot in slots])
        intake += append_recent(connection, rows.filter(plain), role)
    roles: tuple[Role, ...] = ("metered", "reference")
    for role in roles:
        offers = [offer for of, offer in brought.statements if of == role]
        if offers:
            intake += restate_recent(connection, offers, _stated(path, role), role=role)
    if brought.withdrawn:
        connection.execute(_KEEP_WITHDRAWN, [list(column) for column in zip(*brought.withdrawn, strict=True)])
    if empty:
        arrivals.replace(connection, brought.arrivals)
    for found in snapshots.read_spans(path):
        spans.append(connection, found)
    for source, body in brought.pulls:
        connection.execute("INSERT INTO pulls VALUES (?, ?) ON CONFLICT DO NOTHING", [source, body])
    return intake


def _stated(path: Path, role: Role) -> Iterator[manifests.Rows]:
    for of, slots, rows in snapshots.read(path):
        if of == role:
            stated = pa.array(slots, pa.string())
            keep = pc.is_valid(stated)
            yield stated.filter(keep).to_pylist(), rows.filter(keep)
