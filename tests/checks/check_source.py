"""What every source of usage must do: one check a function, over a case that says how its JSON lines look."""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from agent.steps.collect import collect
from store.errors import BadInput
from store.model.ports import Clock, Source
from store.model.span import Span
from store.model.usage import Intake, Quarantined, UsageRecord, Window
from store.prices import PriceBook
from store.usage.duckdb import DuckDBWarehouse, open_duckdb

NOW = datetime(2026, 11, 20, tzinfo=UTC)
EVER = Window(start=datetime(2015, 1, 1, tzinfo=UTC), end=datetime(2027, 1, 1, tzinfo=UTC))

Row = dict[str, object]


class SourceCase(NamedTuple):
    """How a source's rows look."""

    name: str
    open: Callable[[Clock], Source]
    good: Callable[[int], Row]
    """The n-th good row; every n is another call, and its output tokens are n."""
    set_output: Callable[[Row, object], Row]
    """The same call with other output tokens, be they right or not."""
    set_time: Callable[[Row, float], Row]
    """The same call at that time, in epoch seconds."""
    put: Callable[[Row, str, object], Row] = lambda row, name, value: {**row, name: value}
    """The same call with any value in one of its fields."""
    fields: Callable[[Row], list[str]] = sorted
    """The names of the fields that `put` knows, for a row that is not flat."""
    place: str = "app"
    """The dimension that takes the text "PLACE" of a good row."""
    versions_in_one_file: bool = True
    """False where rows of one file are never versions of each other, but parts of a sum."""

    def __str__(self) -> str:
        """For test ids."""
        return self.name


def at(seconds: float = 0) -> Clock:
    """A clock that stands still."""
    return lambda: datetime.fromtimestamp(NOW.timestamp() + seconds, UTC)


def written(path: Path, rows: list[Row]) -> Path:
    """The rows as JSON lines, gzipped where the name says so."""
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def taken(case: SourceCase, *paths: Path, seconds: float = 0, into: DuckDBWarehouse | None = None) -> Intake:
    """What became of the rows in a warehouse, a new one unless one is given."""
    warehouse = into or open_duckdb(None, clock=at())
    try:
        return collect(source=case.open(at(seconds)), paths=paths, warehouse=warehouse, prices=PriceBook())
    finally:
        if into is None:
            warehouse.close()


def check_reading_again_adds_nothing(case: SourceCase, folder: Path) -> None:
    path = written(folder / "usage.jsonl", [case.good(n) for n in range(1, 30)])
    warehouse = open_duckdb(None, clock=at())
    assert taken(case, path, into=warehouse) == Intake(accepted=29)
    assert taken(case, path, seconds=60, into=warehouse) == Intake(duplicate=29)
    assert warehouse.records(EVER).column("output").sum() == sum(range(1, 30))
    warehouse.close()


def check_order_of_files_and_rows_does_not_matter(case: SourceCase, folder: Path) -> None:
    rows = [case.good(n) for n in range(1, 40)] + [case.set_output(case.good(n), 1_000) for n in range(1, 5)]
    whole = [rows] if case.versions_in_one_file else [rows[:39], rows[39:]]
    one = [written(folder / f"one{n}.jsonl", some) for n, some in enumerate(whole)]
    mixed = random.Random(7)
    parts = []
    for version, some in enumerate(whole):
        mixed.shuffle(some)
        parts += [written(folder / f"part{n}-{version}.jsonl", some[n::3]) for n in range(3)]
    mixed.shuffle(parts)
    first, second = open_duckdb(None, clock=at()), open_duckdb(None, clock=at())
    assert taken(case, *one, into=first) == taken(case, *parts, into=second) == Intake(accepted=39, superseded=4)
    columns = ["record_id", "output", "cost_nanos"]
    left, right = first.records(EVER, columns=columns), second.records(EVER, columns=columns)
    assert [left.column(name).tolist() for name in columns] == [right.column(name).tolist() for name in columns]
    first.close()
    second.close()


def check_a_later_report_of_a_call_wins(case: SourceCase, folder: Path) -> None:
    old = written(folder / "old.jsonl", [case.good(3)])
    new = written(folder / "new.jsonl", [case.set_output(case.good(3), 9)])
    for order in ((old, new), (new, old)):
        warehouse = open_duckdb(None, clock=at())
        for path in order:
            taken(case, path, seconds=60 if path == new else 0, into=warehouse)
        assert warehouse.records(EVER).column("output").tolist() == [9]
        warehouse.close()


def check_gzip_reads_the_same(case: SourceCase, folder: Path) -> None:
    rows = [case.good(n) for n in range(1, 9)]
    plain, packed = written(folder / "usage.jsonl", rows), written(folder / "usage.jsonl.gz", rows)
    assert list(case.open(at()).read([plain])) == list(case.open(at()).read([packed]))


def check_rows_that_cannot_be_right(case: SourceCase, folder: Path) -> None:
    good = case.good(5)
    wrong: list[tuple[Row, str]] = [
        (case.set_output(good, float("nan")), "not finite"),
        (case.set_output(good, float("inf")), "not finite"),
        (case.set_output(good, -1), "negative"),
        (case.set_output(good, 1e308), "beyond"),
        (case.set_output(good, 10**30), "beyond"),
        (case.set_output(good, "many"), "not a number"),
        (case.set_output(good, True), "not a number"),
        (case.set_output(good, [1]), "not a number"),
        (case.set_time(good, 0), "before 2015"),
        (case.set_time(good, NOW.timestamp() + 2 * 86_400), "in the future"),
        (case.set_time(good, float("nan")), "not finite"),
        (case.set_time(good, 1e300), "absurd"),
    ]
    path = written(folder / "usage.jsonl", [row for row, _ in wrong] + [good])
    found = list(case.open(at()).read([path]))
    reasons = [row.reason for row in found if isinstance(row, Quarantined)]
    assert len(reasons) == len(wrong)
    for reason, (_, says) in zip(reasons, wrong, strict=True):
        assert says in reason
    assert isinstance(found[-1], UsageRecord)
    assert taken(case, path) == Intake(accepted=1, quarantined=len(wrong))


def check_lines_that_are_no_rows(case: SourceCase, folder: Path) -> None:
    path = folder / "usage.jsonl"
    good = json.dumps(case.good(1)).encode()
    path.write_bytes(
        b"\n".join(
            [good, b"{broken", b"[1, 2]", b'"text"', b"\xff\xfe", b'{"a": "\xff"}', b"", b"[" * 5_000, good[:-5]]
        )
    )
    warehouse = open_duckdb(None, clock=at())
    assert taken(case, path, into=warehouse) == Intake(accepted=1, quarantined=7)
    assert all("not a JSON object" in row.reason for row in warehouse.quarantined())
    warehouse.close()


def check_hostile_text_is_kept_as_text(case: SourceCase, folder: Path) -> None:
    path = folder / "usage.jsonl"
    row = json.dumps(case.good(1)).replace('"PLACE"', "\"\\ud800\\u0000'; DROP TABLE records; --" + "x" * 2_000 + '"')
    path.write_text(row)
    warehouse = open_duckdb(None, clock=at())
    assert taken(case, path, into=warehouse) == Intake(accepted=1)
    warehouse.roll_up()
    cube = warehouse.cube(EVER, bucket_seconds=86_400, dims=(case.place,))
    assert "DROP TABLE records" in cube.values[case.place][0]
    assert len(cube.values[case.place][0]) == 512
    warehouse.close()


def check_a_damaged_file_keeps_the_rows_before(case: SourceCase, folder: Path) -> None:
    numbers = random.Random(3)
    rows = [{**case.good(n), "noise": numbers.getrandbits(4_000)} for n in range(1, 400)]
    path = written(folder / "usage.jsonl.gz", rows)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    warehouse = open_duckdb(None, clock=at())
    with pytest.raises(BadInput, match=r"usage\.jsonl\.gz: .*after row (\d+)") as caught:
        taken(case, path, into=warehouse)
    kept = warehouse.records(EVER).rows
    assert f"after row {kept} " in str(caught.value)
    assert 0 < kept < 399
    assert taken(case, written(path, rows), into=warehouse) == Intake(accepted=399 - kept, duplicate=kept)
    warehouse.close()


def check_a_file_that_cannot_be_opened(case: SourceCase, folder: Path) -> None:
    for path in (folder / "none.jsonl", folder / "none.jsonl.gz"):
        with pytest.raises(BadInput, match="cannot be opened"):
            list(case.open(at()).read([path]))


def check_rows_come_lazily(case: SourceCase, folder: Path) -> None:
    path = written(folder / "usage.jsonl", [case.good(n) for n in range(1, 3)])
    rows = case.open(at()).read([path, folder / "none.jsonl"])
    assert isinstance(rows, Iterator)
    assert isinstance(next(rows), UsageRecord | Span)


CHECKS: tuple[Callable[[SourceCase, Path], None], ...] = tuple(
    check for name, check in sorted(globals().items()) if name.startswith("check_")
)
