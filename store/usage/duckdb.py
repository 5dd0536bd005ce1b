"""The usage warehouse in DuckDB: the embedded default. One process opens the file; threads take turns."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from threading import RLock

import duckdb

from store.model.ports import Clock
from store.model.prices import PriceKey, PriceTable
from store.model.span import Span
from store.model.statement import Offer, StatementState
from store.model.usage import (
    TOTAL,
    Arrival,
    Cube,
    Expired,
    Intake,
    Quarantined,
    RecordTable,
    Role,
    Scope,
    SourceState,
    UsageRecord,
    Window,
    to_us,
)
from store.model.usage_batch import UsageBatch, batch_of
from store.usage import arrivals, handover, manifests, quarantine, reads, reprice, retention, rollups, snapshots, spans
from store.usage import columns as convert
from store.usage.connection import connect, reporting, transaction


def open_duckdb(path: Path | None, *, clock: Clock) -> "DuckDBWarehouse":
    """Open or create the warehouse in that file; None keeps it in memory.

    Raises:
        Busy: another process holds the file.
        BadInput: the file was written by a newer Bursar.
        StorageFailed: the file is not a database, or the disk failed.
    """
    return DuckDBWarehouse(connect(path, clock))


class DuckDBWarehouse:
    """Implements store.model.ports.Warehouse; every method may raise StorageFailed, and then has changed nothing."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._lock = RLock()

    def append(self, records: Sequence[UsageRecord] | UsageBatch, *, role: Role = "metered") -> Intake:
        """Add records; idempotent and order-free by (role, record_id). See store.usage.append for the counts."""
        batch = records if isinstance(records, UsageBatch) else batch_of(records)
        rows = convert.to_arrow(convert.coded(batch))
        with self._lock, transaction(self._connection, "appending records"):
            return retention.append_recent(self._connection, rows, role)

    def restate(
        self,
        offers: Sequence[Offer],
        batches: Iterable[tuple[Sequence[str], Sequence[UsageRecord]]],
        *,
        role: Role = "metered",
    ) -> Intake:
        """Take in whole statements; order-free by slot. `batches`: the slot of each row, and the rows.

        See store.usage.manifests for which statement holds and for the counts.
        """
        rows = ((slots, convert.to_arrow(convert.coded(batch_of(records)))) for slots, records in batches)
        with self._lock, transaction(self._connection, "restating a period"):
            return retention.restate_recent(self._connection, offers, rows, role=role)

    def statements(self) -> list[StatementState]:
        """The statements that hold, by source and account; provisional ones are counted."""
        with self._lock, reporting("reading statements"):
            return manifests.states(self._connection)

    def pulls(self) -> dict[str, str]:
        """How far the scheduled pull of each source has come, as it was kept."""
        with self._lock, reporting("reading the pulls"):
            return dict(self._connection.execute("SELECT source, body FROM pulls ORDER BY source").fetchall())

    def keep_pull(self, source: str, body: str) -> None:
        """Keep how far a pull has come, in place of what was kept before."""
        with self._lock, transaction(self._connection, "keeping how far a pull has come"):
            self._connection.execute("INSERT OR REPLACE INTO pulls VALUES (?, ?)", [source, body])

    def quarantine(self, rows: Sequence[Quarantined]) -> None:
        """Keep rows that cannot be right; the same (source, reason, raw) twice is kept once."""
        with self._lock, transaction(self._connection, "keeping quarantined rows"):
            quarantine.keep(self._connection, rows)

    def append_spans(self, found: Sequence[Span]) -> None:
        """Keep what ran in traces; idempotent and order-free by (trace_id, span_id)."""
        with self._lock, transaction(self._connection, "keeping spans"):
            spans.append(self._connection, found)

    def spans(self, window: Window, *, scope: Scope = TOTAL, limit: int) -> list[Span]:
        """The newest spans of the window in the traces of a scope's calls, oldest first; see store.usage.spans.

        Raises:
            BadInput: an unknown dimension.
        """
        filters, params = reads.scope_filters(scope)
        with self._lock, reporting("reading spans"):
            return spans.read(self._connection, window, filters, params, limit)

    def roll_up(self) -> Window | None:
        """Recompute all dirty buckets in one transaction; the whole hours that they lie in, or None."""
        with self._lock, transaction(self._connection, "rolling up"):
            retention.forget_dropped(self._connection)
            return rollups.roll_up(self._connection)

    def expire(self, *, records_before: datetime, fine_before: datetime, coarse_before: datetime) -> Expired:
        """Drop what is older, and give the space back; see store.usage.retention."""
        times = {"records_us": to_us(records_before), "fine_us": to_us(fine_before), "coarse_us": to_us(coarse_before)}
        with self._lock:
            with transaction(self._connection, "dropping old records"):
                expired = retention.expire(self._connection, **times)
            with reporting("giving space back"):
                self._connection.execute("CHECKPOINT")
            return expired

    def reprice(self, table_for: Callable[[Iterable[PriceKey]], PriceTable]) -> int:
        """Price the rows that had no price and whose model is known by now; how many rows got one."""
        with self._lock, transaction(self._connection, "pricing records again"):
            return reprice.reprice(self._connection, table_for)

    def cube(
        self,
        window: Window,
        *,
        bucket_seconds: int,
        dims: Sequence[str],
        scope: Scope = TOTAL,
        role: Role = "metered",
    ) -> Cube:
        """Rows of buckets that start in the window, as of the last roll-up; sums over all other dimensions.

        Raises:
            BadInput: an unknown dimension or bucket width.
        """
        with self._lock, reporting("reading a cube"):
            return reads.cube(
                self._connection, window, bucket_seconds=bucket_seconds, dims=dims, scope=scope, role=role
            )

    def records(
        self,
        window: Window,
        *,
        scope: Scope = TOTAL,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        role: Role = "metered",
    ) -> RecordTable:
        """Records of the window, oldest first; `limit` keeps the newest. `columns` may name "unpriced" too.

        Raises:
            BadInput: an unknown column.
        """
        with self._lock, reporting("reading records"):
            return reads.records(self._connection, window, scope=scope, columns=columns, limit=limit, role=role)

    def sources(self) -> list[SourceState]:
        """How far each source has come, one row per (source, role)."""
        with self._lock, reporting("reading the sources' state"):
            return reads.sources(self._connection)

    def arrivals(self, window: Window) -> list[Arrival]:
        """How late the calls of the window's hours were first known, as far as its end; see store.usage.arrivals."""
        with self._lock, reporting("reading arrivals"):
            return arrivals.read(self._connection, window)

    def taken(self) -> Intake:
        """What became of every row that ever came in, rows read again among them."""
        with self._lock, reporting("reading the intake"):
            return reads.taken(self._connection)

    def unpriced(self, window: Window) -> list[tuple[str, str, int, int]]:
        """(provider, model, records, tokens) of metered rows that have tokens and no price; most tokens first."""
        with self._lock, reporting("reading unpriced models"):
            return reads.unpriced(self._connection, window)

    def quarantined(self, *, limit: int = 100) -> list[Quarantined]:
        """The newest quarantined rows."""
        with self._lock, reporting("reading quarantined rows"):
            return reads.quarantined(self._connection, limit)

    def snapshot(self, window: Window, folder: Path) -> Path:
        """Write the records of the window, both roles, to one Parquet file in the folder; its path."""
        with self._lock, reporting("writing a snapshot"):
            return snapshots.write(self._connection, window, folder, notes=handover.notes(self._connection))

    def load_snapshot(self, path: Path) -> Intake:
        """Append the records of a snapshot; all of them or none.

        Raises:
            BadInput: the file is not a snapshot, or is damaged.
        """
        with self._lock, transaction(self._connection, "loading a snapshot"):
            return handover.load(self._connection, path)

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        with self._lock:
            self._connection.close()
