"""The engine's connection: how it is opened, how work on it is made one transaction, what its errors mean here."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from store.errors import BadInput, Busy, StorageFailed
from store.model.ports import Clock
from store.model.usage import to_us
from store.usage.known_ids import forget
from store.usage.migrations import migrate
from store.usage.schema import DDL, META, SCHEMA_VERSION

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # Text in records is hostile: no SQL of ours may reach files or the network, whatever it is made to say.
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    # What an append leaves behind is given back to the system, instead of growing with each.
    "allocator_background_threads": "true",
}


def connect(path: Path | None, clock: Clock) -> duckdb.DuckDBPyConnection:
    """Open the database and create what is missing in it; None opens one in memory.

    Raises:
        Busy: another process holds the file.
        BadInput: the file was written by a newer Bursar.
        StorageFailed: the file is not a database, or the disk failed.
    """
    try:
        connection = duckdb.connect(str(path) if path else ":memory:", config=_CONFIG)
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise Busy(
                f"{path}: another process has the usage warehouse open; DuckDB lets one process write. Send the work "
                "to the running `bursar serve`, or stop it first"
            ) from error
        raise StorageFailed(f"{path}: the usage warehouse cannot be opened: {_first_line(error)}") from error
    except duckdb.Error as error:
        raise StorageFailed(f"{path}: the usage warehouse cannot be opened: {_first_line(error)}") from error
    try:
        # A bar would stand on stdout, in the middle of somebody's JSON document.
        connection.execute("SET enable_progress_bar = false")
        _prepare(connection, path, clock)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection, doing: str) -> Iterator[None]:
    """All of the block, or nothing of it.

    Raises:
        StorageFailed: the engine failed; the transaction was rolled back.
    """
    with reporting(doing):
        connection.begin()
        try:
            yield
            connection.commit()
        except BaseException:
            forget(connection)
            # After a fatal error of the engine there is no transaction left to roll back; the first error says more.
            with suppress(duckdb.Error):
                connection.rollback()
            raise


@contextmanager
def reporting(doing: str) -> Iterator[None]:
    """Turn the engine's errors into StorageFailed that says what was being done."""
    try:
        yield
    except duckdb.Error as error:
        raise StorageFailed(
            f"usage warehouse: {doing} failed, nothing was half-written: {_first_line(error)}"
        ) from error


def _prepare(connection: duckdb.DuckDBPyConnection, path: Path | None, clock: Clock) -> None:
    with transaction(connection, "creating the tables"):
        connection.execute(META)
        found = connection.execute("SELECT version FROM meta").fetchall()
        if not found:
            connection.execute("INSERT INTO meta VALUES (?, ?)", [SCHEMA_VERSION, to_us(clock())])
        elif found[0][0] > SCHEMA_VERSION:
            raise BadInput(
                f"{path}: the usage warehouse has schema {found[0][0]}, this Bursar knows {SCHEMA_VERSION}; use the "
                "version of Bursar that wrote it, or another data directory"
            )
        elif found[0][0] < SCHEMA_VERSION:
            migrate(connection, found=found[0][0], wanted=SCHEMA_VERSION)
        for statement in DDL:
            connection.execute(statement)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
