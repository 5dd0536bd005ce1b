"""A warehouse that an earlier Bursar wrote opens in this one, with the same records and cubes."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from store.errors import BadInput
from store.model.span import Span
from store.model.usage import CUBE_DIMENSIONS, CUBE_MEASURES, Intake, UsageRecord
from store.model.usage_batch import batch_of
from store.usage.columns import to_arrow
from store.usage.duckdb import open_duckdb
from store.usage.schema import CONTENT, SCHEMA_VERSION
from tests.checks.check_warehouse import everything, record

_FIELDS = ", ".join(UsageRecord._fields)
_ROLLUP = "bucket BIGINT, {}, {}".format(
    ", ".join(f"{name} VARCHAR" for name in CUBE_DIMENSIONS), ", ".join(f"{name} BIGINT" for name in CUBE_MEASURES)
)


def _clock() -> datetime:
    return datetime(2026, 11, 3, tzinfo=UTC)


def _write_version_1(path: Path, rows: list[UsageRecord]) -> None:
    """The tables as Bursar 0.1.0 made them: roll-ups by text, a content hash beside each record."""
    connection = duckdb.connect(str(path))
    connection.register("incoming", to_arrow(batch_of(rows)))
    for statement in (
        "CREATE TABLE meta (version BIGINT, created_us BIGINT)",
        "INSERT INTO meta VALUES (1, 0)",
        f"CREATE TABLE records AS SELECT {_FIELDS}, {CONTENT} AS content, 'metered' AS role FROM incoming",
        "CREATE TABLE earlier_versions (role VARCHAR, record_id VARCHAR, content UBIGINT)",
        "CREATE TABLE taken (accepted BIGINT, duplicate BIGINT, superseded BIGINT, quarantined BIGINT)",
        f"INSERT INTO taken VALUES ({len(rows)}, 0, 0, 0)",
        "CREATE TABLE dirty (bucket BIGINT)",
        "CREATE TABLE quarantine (digest VARCHAR PRIMARY KEY, source VARCHAR, observed_us BIGINT, reason VARCHAR, "
        "raw VARCHAR)",
        f"CREATE TABLE rollups_300 ({_ROLLUP})",
        f"CREATE TABLE rollups_3600 ({_ROLLUP})",
    ):
        connection.execute(statement)
    connection.close()


def test_version_1(tmp_path: Path) -> None:
    """Its records are known, its cubes are made again, and it can be opened once more."""
    rows = [record(f"r{at}", minute=at * 7, team=f"team-{at % 3}", tags=(("k", "v"),)) for at in range(30)]
    path = tmp_path / "usage.duckdb"
    _write_version_1(path, rows)
    fresh = open_duckdb(None, clock=_clock)
    fresh.append(rows)
    for _ in range(2):
        old = open_duckdb(path, clock=_clock)
        assert everything(old) == everything(fresh)
        assert everything(old, 3600) == everything(fresh, 3600)
        assert old.append(rows) == Intake(duplicate=30), "a content of then is another one now"
        old.close()
    fresh.close()


def test_version_2(tmp_path: Path) -> None:
    """A warehouse without traces gets its table; the records stay."""
    path = tmp_path / "usage.duckdb"
    old = open_duckdb(path, clock=_clock)
    old.append([record("r")])
    old.close()
    connection = duckdb.connect(str(path))
    connection.execute("DROP TABLE spans")
    connection.execute("UPDATE meta SET version = 2")
    connection.close()
    new = open_duckdb(path, clock=_clock)
    new.append_spans([Span("t", "s", "spans", 1, 1, 2, "tool", "search")])
    assert new.append([record("r")]) == Intake(duplicate=1)
    new.close()


def test_a_newer_one_is_refused(tmp_path: Path) -> None:
    """The message names both versions and what to do."""
    path = tmp_path / "usage.duckdb"
    open_duckdb(path, clock=_clock).close()
    connection = duckdb.connect(str(path))
    connection.execute("UPDATE meta SET version = 99")
    connection.close()
    with pytest.raises(BadInput, match=f"schema 99, this Bursar knows {SCHEMA_VERSION}"):
        open_duckdb(path, clock=_clock)
