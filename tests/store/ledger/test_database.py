"""What happens where the database is busy, full, foreign, newer, or not there; and that migrations match the tables."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, insert, inspect, text

from store.errors import BadInput, Busy, StorageFailed
from store.ledger import tables
from store.ledger.database import Database, process_clock
from store.ledger.ledger import Ledger, open_ledger
from store.ledger.migrate import upgrade
from tests.store.ledger.examples import T0, HandClock, a_proposal, a_ruling


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{path}", clock=HandClock(), busy_timeout_seconds=0.05)
    yield opened
    opened.close()


def test_another_writer_is_named_as_the_cause(ledger: Ledger, path: Path) -> None:
    """After the busy timeout: Busy, nothing written; reading goes on; and later all is well."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy, match="another writer holds the database"):
        ledger.set_kill_switch(True, by="ann", reason="fire")
    assert not ledger.kill_switch()
    other.close()
    ledger.set_kill_switch(True, by="ann", reason="fire")
    assert ledger.kill_switch()


def test_another_writer_on_postgresql_is_named_too(postgres_url: str) -> None:
    """The lock timeout ends the wait for a transaction that does not end."""
    ledger = open_ledger(postgres_url, clock=HandClock(), busy_timeout_seconds=0.05)
    engine = create_engine(postgres_url)
    with engine.begin() as other:
        other.execute(text("SELECT * FROM audit_head FOR UPDATE"))
        with pytest.raises(Busy, match="another writer holds the database"):
            ledger.set_kill_switch(True, by="ann", reason="fire")
    ledger.set_kill_switch(True, by="ann", reason="fire")
    engine.dispose()
    ledger.close()


def test_a_full_disk_leaves_nothing_half_written(path: Path) -> None:
    """The filing fails as a whole, and is done as a whole once there is room."""
    database = _database(path)
    upgrade(database)
    ledger = Ledger(database)
    proposal = a_proposal().model_copy(update={"quality_note": "x" * 200_000})
    with database.engine.connect() as conn:  # the pool hands the same connection to the ledger
        pages = conn.execute(text("PRAGMA page_count")).scalar_one()
        conn.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StorageFailed, match="full"):
        ledger.file(proposal, a_ruling(proposal))
    assert ledger.remedies() == []
    assert ledger.outbox_pending() == []
    with database.engine.connect() as conn:
        conn.execute(text("PRAGMA max_page_count = 1000000"))
    assert ledger.file(proposal, a_ruling(proposal)).state == "pending"
    assert ledger.verify_audit().ok
    ledger.close()


def test_a_lost_server_is_reported_and_found_again(postgres_url: str) -> None:
    """A killed connection fails one ping at most; the next transaction gets a new one."""
    ledger = open_ledger(postgres_url, clock=HandClock())
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    ledger.ping()
    engine.dispose()
    ledger.close()


@pytest.mark.parametrize("url", ["not a url", "mysql://host/db", "nosuch+driver://x"])
def test_an_unusable_url_is_bad_input(url: str) -> None:
    """It says what to write instead."""
    with pytest.raises(BadInput, match="sqlite:///PATH"):
        open_ledger(url, clock=HandClock())


def test_a_server_that_is_not_there_fails_clearly() -> None:
    """StorageFailed, not a driver's error."""
    with pytest.raises(StorageFailed, match="the database failed"):
        open_ledger("postgresql+psycopg://postgres@127.0.0.1:1/x", clock=HandClock())


def test_a_missing_folder_or_a_foreign_file_fails_clearly(tmp_path: Path) -> None:
    """StorageFailed, and the foreign file is left as it was."""
    with pytest.raises(StorageFailed, match="unable to open"):
        open_ledger(f"sqlite:///{tmp_path / 'no' / 'ledger.db'}", clock=HandClock())
    foreign = tmp_path / "notes.txt"
    foreign.write_text("not a database, but longer than a header of one" * 20)
    with pytest.raises(StorageFailed, match="not a database"):
        open_ledger(f"sqlite:///{foreign}", clock=HandClock())
    assert foreign.read_text().startswith("not a database")


def test_a_newer_ledger_is_refused(ledger: Ledger, path: Path) -> None:
    """Loudly, and untouched: an older Bursar does not guess."""
    _sql(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(BadInput, match="'9999'"):
        open_ledger(f"sqlite:///{path}", clock=HandClock())
    ledger.ping()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_migrations_make_the_tables_of_the_code(engine: str, path: Path, request: pytest.FixtureRequest) -> None:
    """Table by table, column by column, constraint by constraint."""
    url = f"sqlite:///{path}" if engine == "sqlite" else str(request.getfixturevalue("postgres_url"))
    open_ledger(url, clock=HandClock()).close()
    database = create_engine(url)
    with database.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), tables.METADATA) == []
        found = inspect(conn)
        for table in tables.METADATA.sorted_tables:
            assert found.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]
    database.dispose()


def test_every_connection_is_careful(ledger: Ledger, path: Path) -> None:
    """WAL, whole syncs, and no row without the proposal that it belongs to."""
    database = _database(path)
    orphan = insert(tables.votes).values(remedy_id="x", revision=1, person="eve", choice="approve", at_us=0, body="{}")
    with database.read() as tx:
        pragmas = ("journal_mode", "synchronous", "foreign_keys")
        assert [tx.conn.execute(text(f"PRAGMA {name}")).scalar_one() for name in pragmas] == ["wal", 2, 1]
    with pytest.raises(StorageFailed, match="FOREIGN KEY"), database.write() as tx:
        tx.conn.execute(orphan)
    database.close()


def test_the_decision_is_the_truth(ledger: Ledger, path: Path) -> None:
    """A remedy that waits although it is decided (an old backup) is moved by the next claim, or the next filing."""
    for name in ("rem-1", "rem-2"):
        ledger.file(a_proposal(name), a_ruling(a_proposal(name), "apply"))
    _sql(path, "UPDATE remedies SET state = 'pending', outcome = NULL")
    claimed = ledger.claim("rem-1", owner="w", lease_seconds=60)
    assert claimed is not None
    assert claimed[1].state == "approved"
    newer = a_proposal("rem-2", 2)
    standing = ledger.file(newer, a_ruling(newer))
    assert (standing.revision, standing.state) == (1, "approved")


def test_a_memory_ledger_is_leased_by_the_injected_clock() -> None:
    """So a simulation needs no second clock."""
    clock = HandClock()
    ledger = open_ledger("sqlite://", clock=clock)
    assert ledger.claim_window("tick", "", T0, owner="a", lease_seconds=60)
    clock.turn(seconds=61)
    assert ledger.claim_window("tick", "", T0, owner="b", lease_seconds=60)
    ledger.close()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_jump_of_the_business_clock_ends_no_lease(engine: str, path: Path, request: pytest.FixtureRequest) -> None:
    """Files are leased by the process's clock, PostgreSQL by its own (I12)."""
    url = f"sqlite:///{path}" if engine == "sqlite" else str(request.getfixturevalue("postgres_url"))
    clock = HandClock()
    ledger = open_ledger(url, clock=clock)
    proposal = a_proposal()
    ledger.file(proposal, a_ruling(proposal, "apply"))
    claimed = ledger.claim("rem-1", owner="a", lease_seconds=600)
    assert claimed is not None
    for hours in (1, -2):
        clock.turn(hours=hours)
        assert ledger.holds(claimed[0])
        assert ledger.claim("rem-1", owner="b", lease_seconds=600) is None
        assert ledger.due(clock.now + timedelta(hours=9)) == []
    ledger.close()


def test_the_process_clock_runs_forward() -> None:
    """By the monotonic clock, in UTC."""
    clock = process_clock()
    first, second = clock(), clock()
    assert first <= second
    assert first.utcoffset() == timedelta(0)


def _database(path: Path) -> Database:
    return Database(f"sqlite:///{path}", clock=HandClock(), lease_clock=None, busy_timeout_seconds=1)


def _sql(path: Path, statement: str) -> None:
    conn = sqlite3.connect(path)
    with conn:
        conn.execute(statement)
    conn.close()
