"""Restatement: of the statements of one slot the greatest (version, digest) holds whole, in whatever order they come.

Every row that comes in is counted as in store.usage.append, and equally free of order:

- accepted: the id was never said before, be it by a statement that holds or by one that does not.
- superseded: the id was said before, the content was not.
- duplicate: this content was said before under this id.

So accepted counts every row that was ever said; those that no statement in force has any more are `withdrawn`.
A statement that does not hold is appended as if observed at the epoch, so that it wins nowhere, and what it alone has
is withdrawn at once.
"""

# ruff: noqa: S608 - SQL fragments come from the fixed maps of store.usage.schema only; values are bound parameters.

from collections.abc import Callable, Iterable, Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from store.model.statement import Offer, Statement, StatementState
from store.model.usage import Intake, Role, from_us
from store.usage.schema import CONTENT, FINE_SECONDS, bucket_of_record

Rows = tuple[Sequence[str], pa.Table]
"""The slot of each row, and the rows with the columns of RECORD_SCHEMA."""

_COLUMNS = ["role", "slot", "source", "account", "start_us", "end_us", "version_us", "digest"]
_NOWHERE = -1
"""Observed before everything: the time of a row that may not win."""

_LIVE = "role = ? AND record_id IN (SELECT record_id FROM leaving)"
_KEEP_CONTENTS = f"""
INSERT INTO earlier_versions SELECT role, record_id, {CONTENT} FROM records WHERE {_LIVE}
EXCEPT SELECT role, record_id, content FROM earlier_versions
"""
_MARK_DIRTY = f"""
INSERT INTO dirty SELECT {bucket_of_record(FINE_SECONDS)} FROM records WHERE {_LIVE} EXCEPT SELECT bucket FROM dirty
"""
_RETURNING = """
SELECT record_id FROM coming WHERE record_id IN (SELECT record_id FROM stated WHERE role = ?)
EXCEPT SELECT record_id FROM records WHERE role = ? AND record_id IN (SELECT record_id FROM coming)
"""
_COMING_BACK = f"""
CREATE OR REPLACE TEMP TABLE coming_back AS
SELECT place, record_id, observed_us, cost_nanos, {CONTENT} AS content FROM back
"""
_NOT_SAID = """
SELECT record_id, content FROM coming_back EXCEPT SELECT record_id, content FROM earlier_versions WHERE role = ?
"""
_FRESH = f"SELECT count(*) FROM ({_NOT_SAID})"
_KEEP_FRESH = f"INSERT INTO earlier_versions SELECT ?, record_id, content FROM ({_NOT_SAID})"
_BEST = """
SELECT place FROM coming_back QUALIFY row_number() OVER (
    PARTITION BY record_id ORDER BY observed_us DESC, content DESC, coalesce(cost_nanos, -1) DESC) = 1
"""
_REGISTER = """
INSERT INTO stated SELECT ? AS role, slot, record_id FROM coming
EXCEPT SELECT role, slot, record_id FROM stated WHERE slot IN (SELECT slot FROM coming)
"""


def restate(
    connection: duckdb.DuckDBPyConnection,
    offers: Sequence[Offer],
    batches: Iterable[Rows],
    *,
    role: Role,
    add: Callable[[pa.Table], Intake],
) -> Intake:
    """Take in statements of different slots with all their rows, inside the caller's transaction.

    `add` appends rows under the role as they are.
    """
    offered = {offer.statement.slot: offer for offer in offers}
    found = connection.execute(
        "SELECT slot, version_us, digest FROM statements WHERE role = ? AND slot IN (SELECT unnest(?::VARCHAR[]))",
        [role, list(offered)],
    ).fetchall()
    before = {slot: (version_us, said) for slot, version_us, said in found}
    same = {slot for slot, offer in offered.items() if slot in before and before[slot][1] == offer.digest}
    wins = {
        slot
        for slot, offer in offered.items()
        if slot not in before or (slot not in same and (offer.statement.version_us, offer.digest) > before[slot])
    }
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE leaving AS "
        "SELECT record_id FROM stated WHERE role = ? AND slot IN (SELECT unnest(?::VARCHAR[]))",
        [role, sorted(wins)],
    )
    _withdraw(connection, role)
    intake = Intake()
    for slots, rows in batches:
        fate = np.array([2 if slot in same else 1 if slot in wins else 0 for slot in slots], dtype=np.int8)
        intake += _repeat(connection, int((fate == 2).sum()))
        intake += _bring(connection, *_only(slots, rows, fate == 1), role=role, add=add)
        intake += _lose(connection, *_only(slots, rows, fate == 0), role=role, add=add)
    _hold(connection, [offered[slot] for slot in sorted(wins | same)], role)
    return intake


def _only(slots: Sequence[str], rows: pa.Table, keep: npt.NDArray[np.bool_]) -> Rows:
    return [slot for slot, kept in zip(slots, keep, strict=True) if kept], rows.filter(pa.array(keep))


def _repeat(connection: duckdb.DuckDBPyConnection, rows: int) -> Intake:
    """Rows of a statement that says what is said already."""
    if rows:
        connection.execute("INSERT INTO taken VALUES (0, ?, 0, 0)", [rows])
    return Intake(duplicate=rows)


def _bring(
    connection: duckdb.DuckDBPyConnection,
    slots: Sequence[str],
    rows: pa.Table,
    *,
    role: Role,
    add: Callable[[pa.Table], Intake],
) -> Intake:
    """Append rows; ids that were withdrawn and come again are not new."""
    if not slots:
        return Intake()
    coming = pa.table({"slot": pa.array(slots, pa.string()), "record_id": rows.column("record_id")})
    connection.register("arriving", coming)
    try:
        connection.execute("CREATE OR REPLACE TEMP TABLE coming AS SELECT DISTINCT slot, record_id FROM arriving")
    finally:
        connection.unregister("arriving")
    returning = connection.sql(_RETURNING, params=[role, role]).to_arrow_table().column("record_id")
    connection.execute(_REGISTER, [role])
    again = pc.is_in(rows.column("record_id").cast(pa.string()), returning)
    return add(rows.filter(pc.invert(again))) + _bring_back(connection, rows.filter(again), role=role, add=add)


def _bring_back(
    connection: duckdb.DuckDBPyConnection, rows: pa.Table, *, role: Role, add: Callable[[pa.Table], Intake]
) -> Intake:
    """Append rows whose ids are known and not live, and count them as what they are."""
    if rows.num_rows == 0:
        return Intake()
    connection.register("back", rows.append_column("place", pa.array(np.arange(rows.num_rows))))
    try:
        connection.execute(_COMING_BACK)
        fresh = connection.execute(_FRESH, [role]).fetchall()[0][0]
        connection.execute(_KEEP_FRESH, [role, role])
        best = connection.sql(_BEST).to_arrow_table().column("place")
    finally:
        connection.unregister("back")
    counted, said = add(rows.take(best)), Intake(superseded=fresh, duplicate=rows.num_rows - fresh)
    connection.execute(
        "INSERT INTO taken VALUES (?, ?, ?, 0)",
        [-counted.accepted, said.duplicate - counted.duplicate, said.superseded - counted.superseded],
    )
    return said


def _lose(
    connection: duckdb.DuckDBPyConnection,
    slots: Sequence[str],
    rows: pa.Table,
    *,
    role: Role,
    add: Callable[[pa.Table], Intake],
) -> Intake:
    """Count rows of a statement that does not hold; none of them stays."""
    if not slots:
        return Intake()
    at = rows.schema.get_field_index("observed_us")
    unseen = rows.set_column(at, rows.schema.field(at), pa.array(np.full(rows.num_rows, _NOWHERE, dtype=np.int64)))
    intake = _bring(connection, slots, unseen, role=role, add=add)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE leaving AS SELECT record_id FROM records "
        "WHERE role = ? AND observed_us = ? AND record_id IN (SELECT record_id FROM coming)",
        [role, _NOWHERE],
    )
    _withdraw(connection, role)
    return intake


def _withdraw(connection: duckdb.DuckDBPyConnection, role: Role) -> None:
    """Take the records of `leaving` out; their contents are remembered, so that the counts stay free of order."""
    connection.execute(_KEEP_CONTENTS, [role])
    if role == "metered":
        connection.execute(_MARK_DIRTY, [role])
    connection.execute(f"DELETE FROM records WHERE {_LIVE}", [role])


def _hold(connection: duckdb.DuckDBPyConnection, offers: Sequence[Offer], role: Role) -> None:
    """These hold from now on; the same statement made later is known as the later one."""
    if not offers:
        return
    rows = [(role, offer.statement.slot, *offer.statement, offer.digest) for offer in offers]
    connection.register("holding", pa.Table.from_arrays([pa.array(c) for c in zip(*rows, strict=True)], _COLUMNS))
    try:
        connection.execute(
            f"INSERT INTO statements SELECT {', '.join(_COLUMNS)} FROM holding ON CONFLICT (role, slot) DO UPDATE "
            "SET version_us = greatest(version_us, excluded.version_us), digest = excluded.digest"
        )
    finally:
        connection.unregister("holding")


def held(connection: duckdb.DuckDBPyConnection) -> list[tuple[Role, Offer]]:
    """Every statement that holds."""
    rows = connection.execute(
        "SELECT role, source, account, start_us, end_us, version_us, digest FROM statements ORDER BY role, slot"
    ).fetchall()
    return [(role, Offer(Statement(*statement), said)) for role, *statement, said in rows]


def states(connection: duckdb.DuckDBPyConnection) -> list[StatementState]:
    """The statements that hold, by source and account."""
    found = connection.execute(
        "SELECT source, account, count(*), count(*) FILTER (WHERE end_us > version_us), "
        "min(start_us) FILTER (WHERE end_us > version_us), max(version_us), "
        "CAST(sum((SELECT count(*) FROM stated d WHERE d.role = s.role AND d.slot = s.slot AND NOT EXISTS "
        "(SELECT 1 FROM records r WHERE r.role = d.role AND r.record_id = d.record_id))) AS BIGINT) "
        "FROM statements s GROUP BY source, account ORDER BY source, account"
    ).fetchall()
    return [
        StatementState(
            source=source,
            account=account,
            periods=periods,
            provisional=provisional,
            provisional_from=None if first is None else from_us(first),
            newest_at=from_us(newest),
            withdrawn=withdrawn,
        )
        for source, account, periods, provisional, first, newest, withdrawn in found
    ]
