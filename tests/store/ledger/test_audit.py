"""The audit chain: append-only, and every kind of tampering is found, on both engines."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DatabaseError

from store.ledger.ledger import Anchor, Ledger, open_ledger
from tests.store.ledger.examples import HandClock

ROWS = 12


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = open_ledger(url, clock=HandClock())
    _write(opened, ROWS)
    yield opened
    opened.close()


@pytest.fixture
def intruder(url: str, ledger: Ledger) -> Iterator[Engine]:
    """Somebody with the database's password."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


def test_an_untouched_chain_verifies(ledger: Ledger) -> None:
    """With and without an anchor, also when rows came after it."""
    anchor = ledger.anchor()
    _write(ledger, 3)
    report = ledger.verify_audit(anchor)
    assert (report.ok, report.rows, report.problem) == (True, ROWS + 3, None)
    assert report.head == ledger.anchor().head == ledger.audit()[-1].hash


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = 'eve' WHERE seq = 3", "DELETE FROM audit WHERE seq = 3"]
)
def test_the_database_refuses_to_change_a_row(intruder: Engine, statement: str) -> None:
    """By trigger, whoever asks."""
    with intruder.connect() as conn, pytest.raises(DatabaseError, match="append-only"):
        conn.execute(text(statement))


def test_postgresql_refuses_to_empty_the_table(postgres_url: str) -> None:
    """TRUNCATE is a change too."""
    open_ledger(postgres_url, clock=HandClock()).close()
    engine = create_engine(postgres_url)
    with engine.connect() as conn, pytest.raises(DatabaseError, match="append-only"):
        conn.execute(text("TRUNCATE audit"))
    engine.dispose()


def test_bytes_in_the_place_of_text_are_found(tmp_path: Path) -> None:
    """SQLite stores any type in any column; the walk reports it and does not fall over."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger, engine = open_ledger(url, clock=HandClock()), create_engine(url)
    _write(ledger, 2)
    _tamper(engine, ["UPDATE audit SET payload = x'00ff', actor = x'00ff' WHERE seq = 1"])
    assert ledger.verify_audit().problem == "the payload of row 1 was changed"
    with engine.begin() as conn:
        conn.execute(
            text("UPDATE audit SET payload = :body WHERE seq = 1"),
            {"body": '{"by":"ann","on":true,"reason":"drill 0"}'},
        )
    assert ledger.verify_audit().problem == "row 1 was changed"
    engine.dispose()
    ledger.close()


@pytest.mark.parametrize(
    "column", ["at_us", "actor", "action", "subject", "payload", "payload_hash", "prev_hash", "hash"]
)
@pytest.mark.parametrize("seq", [7, ROWS])
def test_an_edit_of_any_column_is_found(ledger: Ledger, intruder: Engine, column: str, seq: int) -> None:
    """In a middle and in the last row."""
    value = f"{column} || 'x'"
    if column == "at_us":
        value = "at_us + 1"
    elif column.endswith("hash"):
        value = f"'{'e' * 64}'"
    _tamper(intruder, [f"UPDATE audit SET {column} = {value} WHERE seq = {seq}"])
    report = ledger.verify_audit()
    assert not report.ok
    assert report.rows == seq - 1
    assert report.problem is not None


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (["DELETE FROM audit WHERE seq = 5"], "row 5 is missing"),
        (["DELETE FROM audit WHERE seq = 5", "UPDATE audit SET seq = seq - 1 WHERE seq > 5"], "row 5"),
        (
            [
                "UPDATE audit SET seq = -5 WHERE seq = 5",
                "UPDATE audit SET seq = 5 WHERE seq = 6",
                "UPDATE audit SET seq = 6 WHERE seq = -5",
            ],
            "row 5 does not continue row 4",
        ),
        (
            [
                "INSERT INTO audit SELECT 13, at_us, 'eve', action, subject, payload, payload_hash, hash, hash "
                "FROM audit WHERE seq = 12"
            ],
            "row 13 was changed",
        ),
        (["DELETE FROM audit WHERE seq > 9"], "the last rows are missing"),
        (["DELETE FROM audit"], "the last rows are missing"),
        (["DELETE FROM audit_head"], "the last rows are missing"),
    ],
    ids=["deletion", "deletion renumbered", "reordering", "insertion", "truncation", "emptied", "head removed"],
)
def test_a_missing_moved_or_added_row_is_found(
    ledger: Ledger, intruder: Engine, statements: Sequence[str], says: str
) -> None:
    """Without any anchor."""
    _tamper(intruder, statements)
    report = ledger.verify_audit()
    assert not report.ok
    assert report.problem is not None
    assert says in report.problem


def test_a_clean_truncation_needs_the_anchor(ledger: Ledger, intruder: Engine) -> None:
    """Rows and head cut off together look fine; an anchor above the cut tells."""
    anchor, cut_head = ledger.anchor(), ledger.audit()[8].hash
    _tamper(intruder, ["DELETE FROM audit WHERE seq > 9", f"UPDATE audit_head SET seq = 9, hash = '{cut_head}'"])
    assert ledger.verify_audit().ok
    report = ledger.verify_audit(anchor)
    assert not report.ok
    assert report.problem is not None
    assert "cut off" in report.problem


def test_a_chain_written_anew_needs_the_anchor(ledger: Ledger, intruder: Engine) -> None:
    """Same length, other words, all hashes right: only the anchor, also an old one, tells."""
    anchors = [ledger.anchor(), _anchor_at(ledger, 4)]
    _tamper(intruder, ["DELETE FROM audit", f"UPDATE audit_head SET seq = 0, hash = '{'0' * 64}'"])
    _write(ledger, ROWS + 2, by="eve")
    assert ledger.verify_audit().ok
    for anchor in anchors:
        report = ledger.verify_audit(anchor)
        assert not report.ok
        assert report.rows == anchor.seq - 1
        assert report.problem is not None
        assert "written anew" in report.problem


def test_pages_of_the_audit_follow_each_other(ledger: Ledger) -> None:
    """`after` and `limit` walk the chain without gap."""
    pages = [row.seq for start in (0, 5, 10) for row in ledger.audit(after=start, limit=5)]
    assert pages == list(range(1, ROWS + 1))


def _write(ledger: Ledger, rows: int, *, by: str = "ann") -> None:
    for number in range(rows):
        ledger.set_kill_switch(number % 2 == 0, by=by, reason=f"drill {number}")


def _anchor_at(ledger: Ledger, seq: int) -> Anchor:
    return ledger.anchor().model_copy(update={"seq": seq, "head": ledger.audit()[seq - 1].hash, "count": seq})


def _tamper(intruder: Engine, statements: Sequence[str]) -> None:
    """First the triggers go, then the rows change."""
    if intruder.dialect.name == "sqlite":
        disarm = ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"]
    else:
        disarm = ["DROP TRIGGER audit_no_change ON audit"]
    with intruder.begin() as conn:
        for statement in (*disarm, *statements):
            conn.execute(text(statement))
