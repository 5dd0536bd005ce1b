"""One engine, two kinds of transaction, and whose clock judges a lease.

Writers go one at a time on both engines: SQLite by BEGIN IMMEDIATE, PostgreSQL by a row lock on the audit's head,
taken first. So a transaction sees every earlier one, the chain has one writer, and no lock order can deadlock.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import StaticPool

from store.errors import BadInput, Busy, StorageFailed
from store.ledger import tables
from store.model.ports import Clock
from store.model.usage import to_us

_POSTGRES_NOW_US = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)")
_STUCK_TRANSACTION_MS = 30_000
"""PostgreSQL ends a transaction whose client sleeps this long, so that a stopped process cannot hold up the others."""


@dataclass(frozen=True)
class Transaction:
    """One open transaction; `now` is the business clock, read once after the lock was got."""

    conn: Connection
    now: datetime
    lease_now_us: Callable[[], int]

    @property
    def now_us(self) -> int:
        """The business time in microseconds."""
        return to_us(self.now)


class Database:
    """Opens transactions and turns the driver's errors into ours.

    Leases are judged by database time: PostgreSQL's clock_timestamp(). SQLite has one host, so a clock of this
    process does it that never jumps; a memory database lives in one process and mostly in a simulation, so there
    the injected clock does it. `lease_clock` overrides all three.
    """

    def __init__(self, url: str, *, clock: Clock, lease_clock: Clock | None, busy_timeout_seconds: float) -> None:
        self.engine, self._lock = _engine(url, busy_timeout_seconds)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._clock = clock
        in_memory = not isinstance(self._lock, nullcontext)
        self._lease_clock = lease_clock or (clock if in_memory else process_clock() if self.is_sqlite else None)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent look: one snapshot for all its statements, on both engines; it waits for nobody."""
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._open(immediate=False, **options) as conn:
            yield self._transaction(conn)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """The one writer. Commits at the end, rolls back on any error.

        Raises:
            Busy: another writer held the database for longer than the busy timeout.
            StorageFailed: the database failed; nothing was written.
            BadInput: a value cannot be stored as text (NUL, lone surrogate).
        """
        with self._open(immediate=True) as conn:
            if not self.is_sqlite:
                conn.execute(select(tables.audit_head.c.id).with_for_update())
            yield self._transaction(conn)

    @contextmanager
    def bare(self) -> Iterator[Connection]:
        """A write transaction on a database that may have no tables yet; for migrations."""
        with self._open(immediate=True) as conn:
            yield conn

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    @contextmanager
    def _open(self, *, immediate: bool, **options: str) -> Iterator[Connection]:
        with (
            self._lock,
            _our_errors(),
            self.engine.connect().execution_options(immediate=immediate, **options) as conn,
            conn.begin(),
        ):
            yield conn

    def _transaction(self, conn: Connection) -> Transaction:
        return Transaction(conn, self._clock(), lambda: self._lease_now_us(conn))

    def _lease_now_us(self, conn: Connection) -> int:
        if self._lease_clock is not None:
            return to_us(self._lease_clock())
        return int(conn.execute(_POSTGRES_NOW_US).scalar_one())


def process_clock() -> Clock:
    """UTC as the host told it once, advanced by the monotonic clock: later jumps of the host's time do not reach it."""
    started_at, started = datetime.now(UTC), time.monotonic()
    return lambda: started_at + timedelta(seconds=time.monotonic() - started)


def _engine(url: str, busy_timeout_seconds: float) -> "tuple[Engine, threading.RLock | nullcontext[None]]":
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database in (None, "", ":memory:"):
                memory = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
                _prepare_sqlite(memory, busy_timeout_seconds)
                return memory, threading.RLock()
            file = create_engine(url)
            _prepare_sqlite(file, busy_timeout_seconds)
            return file, nullcontext()
        if parsed.get_backend_name() == "postgresql":
            options = (
                f"-c lock_timeout={int(busy_timeout_seconds * 1000)} "
                f"-c idle_in_transaction_session_timeout={_STUCK_TRANSACTION_MS}"
            )
            server = create_engine(
                url, pool_pre_ping=True, isolation_level="READ COMMITTED", connect_args={"options": options}
            )
            return server, nullcontext()
    except (ArgumentError, NoSuchModuleError) as error:
        raise BadInput(f"ledger url: {error}; use sqlite:///PATH or postgresql+psycopg://...") from error
    raise BadInput(f"ledger url: no support for {parsed.get_backend_name()}; use sqlite:///PATH or postgresql+psycopg")


def _prepare_sqlite(engine: Engine, busy_timeout_seconds: float) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # the driver must not open transactions of its own; "begin" below does
        raw.execute(f"PRAGMA busy_timeout = {int(busy_timeout_seconds * 1000)}")
        _turn_to_wal(raw, busy_timeout_seconds)
        for pragma in (
            "synchronous = FULL",  # a committed intent must survive a power cut
            "foreign_keys = ON",
        ):
            raw.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get("immediate") else "BEGIN")


def _turn_to_wal(raw: Any, seconds: float) -> None:
    """Two processes that open a new file at once both want it for themselves, and SQLite does not wait there itself."""
    end = time.monotonic() + seconds
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() >= end:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except (DataError, UnicodeEncodeError) as error:
        raise BadInput(f"ledger: a value cannot be stored: {_cause(error)}") from error
    except DBAPIError as error:
        if _is_busy(error):
            raise Busy(
                "ledger: another writer holds the database and did not let go within the busy timeout; "
                f"try again, or stop the other process ({_cause(error)})"
            ) from error
        raise StorageFailed(
            f"ledger: the database failed, nothing was written: {_cause(error)}; check its disk and log"
        ) from error


def _is_busy(error: DBAPIError) -> bool:
    lock_not_available = getattr(error.orig, "sqlstate", None) == "55P03"
    return lock_not_available or getattr(error.orig, "sqlite_errorname", "").startswith(
        ("SQLITE_BUSY", "SQLITE_LOCKED")
    )


def _cause(error: DBAPIError | UnicodeEncodeError) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error).splitlines()[0]
