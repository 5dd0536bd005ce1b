"""Appending: of the versions of one call the greatest (observed_us, content hash) wins, in whatever order they come.

Every row that comes in is counted once, by what was seen before it under its (role, record_id):

- accepted: the id was new. Over any history this is the number of distinct calls.
- superseded: the id was known, the content was not: one of the two versions loses, whichever it is.
- duplicate: this content was seen before under this id, be it the winner's or a loser's.

So accepted + duplicate + superseded is the number of rows, and each of the three sums is the same for every order and
every split of the same rows. The counting looks at contents only. Who wins looks at the time first, so a known
content that was observed again later can win back, and still counts as a duplicate. Between equal times and contents
the greater cost wins: that is how a row that had no price gets one.

Nearly every id comes once. Rows whose id is new and alone in its batch are inserted as they are, without a look at the
table (store.usage.known_ids); only the others are compared, and only for them contents are computed.
"""

# ruff: noqa: S608 - SQL fragments come from the fixed maps of store.usage.schema only; values are bound parameters.

import duckdb
import pyarrow as pa

from store.model.usage import Intake, Role, UsageRecord
from store.usage import arrivals
from store.usage.known_ids import meet_incoming
from store.usage.schema import CONTENT, FINE_SECONDS, bucket_of_record
from store.usage.series import number_series

_FIELDS = ", ".join((*UsageRecord._fields, "series"))
_BUCKET = bucket_of_record(FINE_SECONDS)

# The ids that must be compared: known ones, and those that come more than once.
_AGAIN = """
CREATE OR REPLACE TEMP TABLE again AS
SELECT record_id FROM suspects GROUP BY record_id HAVING count(*) > 1
UNION
SELECT record_id FROM records WHERE role = ? AND record_id IN (SELECT record_id FROM suspects)
"""
_ALL = "FROM incoming"
_NEW = "FROM incoming WHERE record_id NOT IN (SELECT record_id FROM again)"
_INSERT = f"INSERT INTO records ({_FIELDS}, role) SELECT {_FIELDS}, ? "
_MARK = f"INSERT INTO dirty SELECT DISTINCT {_BUCKET} {{}} EXCEPT SELECT bucket FROM dirty"

_BATCH = f"""
CREATE OR REPLACE TEMP TABLE batch AS
SELECT *, {CONTENT} AS content FROM incoming WHERE record_id IN (SELECT record_id FROM again)
"""

_KNOWN = f"""
CREATE OR REPLACE TEMP TABLE known AS
SELECT rowid AS row_id, record_id, observed_us, {CONTENT} AS content, cost_nanos, occurred_us
FROM records WHERE role = ? AND record_id IN (SELECT record_id FROM again)
"""

_WINNERS = """
CREATE OR REPLACE TEMP TABLE winners AS
SELECT b.row_id, b.record_id, b.observed_us, b.content, b.cost_nanos, b.occurred_us,
       k.record_id IS NULL OR k.content <> b.content OR k.cost_nanos IS DISTINCT FROM b.cost_nanos AS changed
FROM (
    SELECT rowid AS row_id, record_id, observed_us, content, cost_nanos, occurred_us
    FROM batch
    QUALIFY row_number() OVER (
        PARTITION BY record_id ORDER BY observed_us DESC, content DESC, coalesce(cost_nanos, -1) DESC) = 1
) b
LEFT JOIN known k ON k.record_id = b.record_id
WHERE k.record_id IS NULL
   OR b.observed_us > k.observed_us
   OR (b.observed_us = k.observed_us AND b.content > k.content)
   OR (b.observed_us = k.observed_us AND b.content = k.content
       AND coalesce(b.cost_nanos, -1) > coalesce(k.cost_nanos, -1))
"""

_COUNTS = """
WITH fresh AS (
    SELECT record_id, content FROM batch
    EXCEPT SELECT record_id, content FROM known
    EXCEPT SELECT record_id, content FROM earlier_versions WHERE role = ?
)
SELECT (SELECT count(*) FROM batch),
       (SELECT count(*) FROM fresh),
       (SELECT count(DISTINCT record_id) FROM batch) - (SELECT count(*) FROM known)
"""

_KEEP_LOSERS = """
INSERT INTO earlier_versions
SELECT ?, record_id, content FROM (
    (SELECT record_id, content FROM batch UNION SELECT record_id, content FROM known)
    EXCEPT SELECT record_id, content FROM winners
    EXCEPT SELECT record_id, content FROM known WHERE record_id NOT IN (SELECT record_id FROM winners)
    EXCEPT SELECT record_id, content FROM earlier_versions WHERE role = ?
)
"""

_MARK_DIRTY = f"""
INSERT INTO dirty
SELECT {_BUCKET} FROM winners WHERE changed
UNION
SELECT {_BUCKET} FROM known WHERE record_id IN (SELECT record_id FROM winners WHERE changed)
EXCEPT
SELECT bucket FROM dirty
"""

_REMOVE_REPLACED = """
DELETE FROM records
WHERE rowid IN (SELECT row_id FROM known WHERE record_id IN (SELECT record_id FROM winners))
"""

_INSERT_WINNERS = f"""
INSERT INTO records ({_FIELDS}, role) SELECT {_FIELDS}, ? FROM batch WHERE rowid IN (SELECT row_id FROM winners)
"""


def append(connection: duckdb.DuckDBPyConnection, rows: pa.Table, role: Role) -> Intake:
    """Add an Arrow table with the columns of RECORD_SCHEMA inside the caller's transaction; what became of its rows."""
    if rows.num_rows == 0:
        return Intake()
    connection.register("incoming", rows.append_column("series", number_series(connection, rows)))
    try:
        again = _again(connection, rows, role)
        if again:
            connection.execute(_BATCH)
        new = _NEW if again else _ALL
        connection.execute(_INSERT + new, [role])
        if role == "metered":
            connection.execute(_MARK.format(new))
            arrivals.note(connection, new)
    finally:
        connection.unregister("incoming")
    intake = _compare(connection, role) if again else Intake()
    intake += Intake(accepted=rows.num_rows - intake.total)
    connection.execute("INSERT INTO taken VALUES (?, ?, ?, 0)", [intake.accepted, intake.duplicate, intake.superseded])
    return intake


def _again(connection: duckdb.DuckDBPyConnection, rows: pa.Table, role: Role) -> int:
    """How many ids of `incoming` must be compared; they are in `again` where there are any."""
    suspects = meet_incoming(connection, role)
    if not suspects.any():
        return 0
    connection.register("suspects", rows.select(["record_id"]).filter(pa.array(suspects)))
    try:
        return int(connection.execute(_AGAIN, [role]).fetchall()[0][0])
    finally:
        connection.unregister("suspects")


def _compare(connection: duckdb.DuckDBPyConnection, role: Role) -> Intake:
    """Let the rows of `batch` and the known versions of their calls decide who wins."""
    connection.execute(_KNOWN, [role])
    connection.execute(_WINNERS)
    total, fresh, accepted = connection.execute(_COUNTS, [role]).fetchall()[0]
    connection.execute(_KEEP_LOSERS, [role, role])
    connection.execute(_REMOVE_REPLACED)
    if role == "metered":
        connection.execute(_MARK_DIRTY)
    connection.execute(_INSERT_WINNERS, [role])
    return Intake(accepted=accepted, superseded=fresh - accepted, duplicate=total - fresh)
