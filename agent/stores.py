"""How the two stores are opened, as the configuration says; beside agent.app the only room that knows which."""

from pathlib import Path

from agent.settings import Settings
from store.errors import StorageFailed
from store.ledger.ledger import Ledger, open_ledger
from store.model.ports import Clock, Warehouse
from store.usage.duckdb import open_duckdb


def open_stored_ledger(settings: Settings, *, clock: Clock) -> Ledger:
    """The ledger that the configuration names; the data directory is made where it is missing."""
    _make(settings.data_dir)
    return open_ledger(settings.ledger_url, clock=clock)


def open_warehouse(settings: Settings, *, clock: Clock) -> Warehouse:
    """The warehouse of the data directory.

    Raises:
        Busy: another process holds it.
    """
    _make(settings.data_dir)
    return open_warehouse_at(settings.data_dir / "usage.duckdb", clock=clock)


def open_warehouse_at(path: Path | None, *, clock: Clock) -> Warehouse:
    """A warehouse in that file; None: in memory."""
    return open_duckdb(path, clock=clock)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"{folder}: cannot be made ({error.strerror}); name another with --data-dir") from error
