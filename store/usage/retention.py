"""Retention: records live for a while, roll-ups for longer; what was rolled up stays when its records are gone.

The floor is the time before which there are no records. It only rises. A bucket before it is never computed again, and
a row that comes from before it is not taken in: nobody could say any more whether it was counted. Such rows count as
quarantined; of each source and day one line is kept, not every row.
"""

from collections.abc import Iterable, Iterator, Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from store.model.statement import Offer
from store.model.usage import Expired, Intake, Quarantined, Role, from_us
from store.usage import arrivals, known_ids, manifests, quarantine, rollups
from store.usage.append import append
from store.usage.schema import COARSE_SECONDS, FINE_SECONDS, ROLLUPS

_US = 1_000_000
_HOUR_US = COARSE_SECONDS * _US
_DAY_US = 86_400 * _US
_GONE = "occurred_us < ?"
_DROP = (
    f"DELETE FROM stated WHERE (role, record_id) IN (SELECT (role, record_id) FROM records WHERE {_GONE})",  # noqa: S608
    f"DELETE FROM earlier_versions WHERE (role, record_id) IN (SELECT (role, record_id) FROM records WHERE {_GONE})",  # noqa: S608
    f"DELETE FROM records WHERE {_GONE}",  # noqa: S608
    "DELETE FROM quarantine WHERE observed_us < ?",
    "DELETE FROM spans WHERE ended_us < ?",
)
_ONE_COUNT = """
INSERT INTO taken SELECT CAST(sum(accepted) AS BIGINT), CAST(sum(duplicate) AS BIGINT),
CAST(sum(superseded) AS BIGINT), CAST(sum(quarantined) AS BIGINT) FROM counted HAVING count(*) > 0
"""


def expire(connection: duckdb.DuckDBPyConnection, *, records_us: int, fine_us: int, coarse_us: int) -> Expired:
    """Drop records and roll-ups from before those times, inside the caller's transaction.

    The floor is the whole hour of `records_us`. Buckets before it that are still dirty are computed first. 5-minute
    cells live as long as their records at least: an hour in which something changes is added up from them.
    """
    floor_us = max(records_us // _HOUR_US * _HOUR_US, floor_of(connection) or 0)
    if _count(connection, "SELECT count(*) FROM dirty WHERE bucket < ?", floor_us // _US):
        rollups.roll_up(connection)
    gone = _count(connection, f"SELECT count(*) FROM records WHERE {_GONE}", floor_us)  # noqa: S608
    for statement in _DROP:
        connection.execute(statement, [floor_us])
    dropped = {FINE_SECONDS: min(fine_us, floor_us) // _US, COARSE_SECONDS: coarse_us // _US}
    cells = {
        seconds: _count(connection, f"DELETE FROM {ROLLUPS[seconds]} WHERE bucket < ?", before)  # noqa: S608
        for seconds, before in dropped.items()
    }
    arrivals.expire(connection, floor_us)
    if gone:
        known_ids.forget(connection)
    connection.execute("DELETE FROM retention")
    connection.execute("INSERT INTO retention VALUES (?)", [floor_us])
    # One row an append would be the only table that never stops growing.
    connection.execute("CREATE OR REPLACE TEMP TABLE counted AS SELECT * FROM taken")
    connection.execute("DELETE FROM taken")
    connection.execute(_ONE_COUNT)
    return Expired(floor=from_us(floor_us), records=gone, fine=cells[FINE_SECONDS], coarse=cells[COARSE_SECONDS])


def forget_dropped(connection: duckdb.DuckDBPyConnection) -> None:
    """Forget dirty buckets whose records are gone, inside the caller's transaction: they stay as rolled up."""
    floor_us = floor_of(connection)
    if floor_us is not None:
        connection.execute("DELETE FROM dirty WHERE bucket < ?", [floor_us // _US])


def append_recent(connection: duckdb.DuckDBPyConnection, rows: pa.Table, role: Role) -> Intake:
    """Append the rows that are not from before the floor; see store.usage.append."""
    recent = _recent(connection, rows)
    if recent is None:
        return append(connection, rows, role)
    return append(connection, rows.filter(recent), role) + _refuse(connection, rows.filter(pc.invert(recent)))


def restate_recent(
    connection: duckdb.DuckDBPyConnection, offers: Sequence[Offer], batches: Iterable[manifests.Rows], *, role: Role
) -> Intake:
    """Take in the statements' rows that are not from before the floor; see store.usage.manifests."""
    refused: list[Intake] = []

    def only_recent() -> Iterator[manifests.Rows]:
        for slots, rows in batches:
            recent = _recent(connection, rows)
            if recent is None:
                yield slots, rows
                continue
            refused.append(_refuse(connection, rows.filter(pc.invert(recent))))
            kept = [slot for slot, keep in zip(slots, recent.to_pylist(), strict=True) if keep]
            yield kept, rows.filter(recent)

    intake = manifests.restate(
        connection, offers, only_recent(), role=role, add=lambda table: append(connection, table, role)
    )
    return sum(refused, intake)


def floor_of(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The time before which there are no records, in microseconds; None: nothing was ever dropped."""
    found: int | None = connection.execute("SELECT max(floor_us) FROM retention").fetchall()[0][0]
    return found


def _recent(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> pa.Array | None:
    """Which rows are not from before the floor; None: all of them."""
    floor_us = floor_of(connection)
    if floor_us is None or rows.num_rows == 0 or pc.min(rows.column("occurred_us")).as_py() >= floor_us:
        return None
    return pc.greater_equal(rows.column("occurred_us"), floor_us).combine_chunks()


def _refuse(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> Intake:
    days = pc.divide(rows.column("occurred_us"), _DAY_US)
    seen = pa.table({"source": rows.column("source").cast(pa.string()), "day": days, "at": rows.column("observed_us")})
    lines = [
        Quarantined(
            source=line["source"],
            observed_us=line["at_max"],
            reason="older than the retention: records of that time were dropped, its roll-ups stay as they are",
            raw=f"rows of {from_us(line['day'] * _DAY_US):%Y-%m-%d}",
        )
        for line in seen.group_by(["source", "day"]).aggregate([("at", "max")]).to_pylist()
    ]
    quarantine.keep(connection, lines)
    # `keep` counts the lines.
    connection.execute("INSERT INTO taken VALUES (0, 0, 0, ?)", [rows.num_rows - len(lines)])
    return Intake(quarantined=rows.num_rows)


def _count(connection: duckdb.DuckDBPyConnection, statement: str, parameter: int) -> int:
    return int(connection.execute(statement, [parameter]).fetchall()[0][0])
