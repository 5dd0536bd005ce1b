"""The global options, and how a command opens what it needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer

from agent.entrypoints.door import ServiceDoor
from agent.settings import Loaded, Settings, load
from agent.stores import open_stored_ledger, open_warehouse, open_warehouse_at
from store.errors import BadInput, Busy
from store.ledger.ledger import Ledger
from store.model.ports import Warehouse
from store.model.usage import Window

ALL_TIME = Window(start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2200, 1, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Options:
    """What stands before the command's name."""

    config: Path | None
    data_dir: Path | None

    def load(self) -> Loaded:
        """The configuration, with where each value came from."""
        return load(self.config, data_dir=self.data_dir)

    @property
    def settings(self) -> Settings:
        """The configuration."""
        return self.load().settings

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger, closed again at the end. SQLite and PostgreSQL both let a command write beside the service."""
        ledger = open_stored_ledger(self.settings, clock=utc_now)
        try:
            yield ledger
        finally:
            ledger.close()

    @contextmanager
    def warehouse(self) -> Iterator[Warehouse]:
        """The warehouse, closed again at the end.

        Raises:
            Busy: another process, such as `bursar serve`, holds it.
        """
        warehouse = open_warehouse(self.settings, clock=utc_now)
        try:
            yield warehouse
        finally:
            warehouse.close()

    @contextmanager
    def reading(self) -> Iterator[Warehouse]:
        """The usage for reading only: the warehouse itself, or a copy of it while the service holds it."""
        try:
            with self.warehouse() as warehouse:
                yield warehouse
                return
        except Busy:
            snapshot = ServiceDoor(self.settings.data_dir).snapshot(ALL_TIME)
        copy = open_warehouse_at(None, clock=utc_now)
        try:
            copy.load_snapshot(snapshot)
            snapshot.unlink()
            copy.roll_up()
            yield copy
        finally:
            copy.close()


def options(context: typer.Context) -> Options:
    """The global options of a command's context."""
    found = context.find_object(Options)
    assert found is not None
    return found


def utc_now() -> datetime:
    """The clock of the command line: now, in UTC."""
    return datetime.now(UTC)


def moment(text: str, *, option: str) -> datetime:
    """An ISO 8601 time given on the command line; without a zone it is UTC.

    Raises:
        BadInput: it is not a time.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{option}: not an ISO 8601 time: {text!r}; write for instance 2026-11-02T00:00:00Z") from error
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
