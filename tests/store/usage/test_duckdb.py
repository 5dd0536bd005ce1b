"""DuckDB keeps what every warehouse promises, in memory and in a file, and what only a file can promise."""

import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.errors import StorageFailed
from store.model.ports import Warehouse
from store.model.usage import Intake, UsageRecord
from store.usage.duckdb import open_duckdb
from tests.checks.check_warehouse import CHECKS, DAY, Check, everything, record

_ROOT = Path(__file__).parents[3]


def _clock() -> datetime:
    return datetime(2026, 11, 3, tzinfo=UTC)


@pytest.fixture(params=["memory", "file"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    opened = open_duckdb(tmp_path / "usage.duckdb" if request.param == "file" else None, clock=_clock)
    yield opened
    opened.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_promises_of_a_warehouse(check: Check, warehouse: Warehouse, tmp_path: Path) -> None:
    """Each shared check holds."""
    folder = tmp_path / "folder"
    folder.mkdir()
    check(warehouse, folder)


_VERSIONS = st.builds(
    record,
    record_id=st.sampled_from(["a", "b", "c", "d"]),
    minute=st.integers(0, 1439),
    seen=st.integers(0, 3),
    output=st.integers(0, 3),
    team=st.sampled_from(["search", "ads"]),
    cost_nanos=st.one_of(st.none(), st.integers(0, 3)),
)


_ROWS = st.lists(_VERSIONS, min_size=1, max_size=12)


def _order_free(rows: list[UsageRecord], seed: int, cut: int) -> None:
    whole, split = open_duckdb(None, clock=_clock), open_duckdb(None, clock=_clock)
    counts = whole.append(rows)
    assert counts.total == len(rows)
    assert counts.accepted == len({row.record_id for row in rows})
    shuffled = rows.copy()
    random.Random(seed).shuffle(shuffled)
    intake = Intake()
    for at in range(0, len(shuffled), cut):
        intake += split.append(shuffled[at : at + cut])
        split.roll_up()
    assert intake == counts
    assert everything(split) == everything(whole)
    assert everything(split, 3600) == everything(whole, 3600)
    assert split.append(rows) == Intake(duplicate=len(rows))
    assert everything(split) == everything(whole)
    whole.close()
    split.close()


@settings(max_examples=6, deadline=None)
@given(rows=_ROWS, seed=st.integers(0, 2**16), cut=st.integers(1, 6))
def test_order_split_and_repetition_change_nothing(rows: list[UsageRecord], seed: int, cut: int) -> None:
    """I34: the same rows shuffled, split, rolled up in between and repeated give the same counts and cubes."""
    _order_free(rows, seed, cut)


@pytest.mark.exam
@settings(max_examples=5_000, deadline=None)
@given(rows=_ROWS, seed=st.integers(0, 2**16), cut=st.integers(1, 6))
def test_order_split_and_repetition_change_nothing_at_length(rows: list[UsageRecord], seed: int, cut: int) -> None:
    """I34 at the length that it asks for."""
    _order_free(rows, seed, cut)


def test_a_file_keeps_its_records(tmp_path: Path) -> None:
    """What was appended is there after the file was closed and opened again."""
    path = tmp_path / "usage.duckdb"
    first = open_duckdb(path, clock=_clock)
    first.append([record()])
    first.close()
    first.close()
    second = open_duckdb(path, clock=_clock)
    assert second.append([record()]) == Intake(duplicate=1)
    assert second.roll_up() is not None, "the dirty bucket was forgotten"
    second.close()
    with pytest.raises(StorageFailed, match="nothing was half-written"):
        second.sources()


def test_a_snapshot_makes_the_same_warehouse(tmp_path: Path) -> None:
    """Loaded into an empty warehouse, a snapshot gives the same cube, tags and absent prices."""
    rows = [record("a", tags=(("k", "v"),), cost_nanos=None), record("b", minute=700, billed_nanos=0)]
    first, second = open_duckdb(None, clock=_clock), open_duckdb(None, clock=_clock)
    first.append(rows)
    assert second.load_snapshot(first.snapshot(DAY, tmp_path)) == Intake(accepted=2)
    assert everything(second) == everything(first)
    assert second.append(rows) == Intake(duplicate=2)
    first.close()
    second.close()


def test_a_second_process_is_told_who_is_busy(tmp_path: Path) -> None:
    """Another process that opens the same file gets Busy with what to do."""
    path = tmp_path / "usage.duckdb"
    first = open_duckdb(path, clock=_clock)
    code = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path; from store.errors import Busy\n"
        "from store.usage.duckdb import open_duckdb\n"
        "try: open_duckdb(Path(sys.argv[1]), clock=lambda: datetime(2026, 11, 3, tzinfo=UTC))\n"
        "except Busy as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    first.close()
    assert "another process has the usage warehouse open" in done.stdout


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """A foreign file is refused and not overwritten."""
    path = tmp_path / "usage.duckdb"
    path.write_bytes(b"these are somebody's notes" * 1000)
    with pytest.raises(StorageFailed, match="cannot be opened"):
        open_duckdb(path, clock=_clock)
    assert path.read_bytes().startswith(b"these are")


def test_a_full_disk_leaves_the_last_whole_batch(tmp_path: Path) -> None:
    """When the file cannot grow, the append fails as StorageFailed and the reopened file holds whole batches only."""
    path = tmp_path / "usage.duckdb"
    code = (
        "import resource, sys; from pathlib import Path; from store.errors import StorageFailed\n"
        "from tests.checks.check_warehouse import record; from tests.store.usage.test_duckdb import _clock\n"
        "from store.usage.duckdb import open_duckdb\n"
        "warehouse, whole = open_duckdb(Path(sys.argv[1]), clock=_clock), 0\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))\n"
        "try:\n"
        "    for batch in range(60):\n"
        "        warehouse.append([record(f'{batch}-{at}-' + 'x' * 200) for at in range(2_000)]); whole += 2_000\n"
        "except StorageFailed as error: print(whole)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip(), done.stderr
    whole = int(done.stdout)
    reopened = open_duckdb(path, clock=_clock)
    kept = reopened.records(DAY, columns=["record_id"]).rows
    reopened.close()
    assert kept == whole > 0
