"""What every usage warehouse must do, whatever engine keeps it: one check a function, over an empty warehouse."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from store.errors import BadInput
from store.model.ports import Warehouse
from store.model.prices import Price, PriceKey, PriceTable, Rates
from store.model.span import Span
from store.model.usage import (
    CUBE_DIMENSIONS,
    CUBE_MEASURES,
    TOTAL,
    Cube,
    Intake,
    Quarantined,
    Scope,
    UsageRecord,
    Window,
    to_us,
)

START = datetime(2026, 11, 2, tzinfo=UTC)
DAY = Window(start=START, end=START + timedelta(days=1))
SEEN_US = to_us(START + timedelta(days=1))

Check = Callable[[Warehouse, Path], None]


def record(record_id: str = "r1", *, minute: float = 0, seen: int = 0, **fields: object) -> UsageRecord:
    """A call of 100 input and 10 output tokens at that minute of the day, observed `seen` microseconds late."""
    plain = UsageRecord(
        record_id=record_id,
        source="gateway",
        observed_us=SEEN_US + seen,
        occurred_us=to_us(START + timedelta(minutes=minute)),
        provider="anthropic",
        model="claude-opus-4-5",
        team="search",
        app="indexer",
        input_uncached=100,
        output=10,
        cost_nanos=750_000,
    )
    return plain._replace(**fields)  # type: ignore[arg-type]  # the caller names fields of the record


def everything(warehouse: Warehouse, seconds: int = 300) -> dict[tuple[object, ...], tuple[int, ...]]:
    """The whole cube as {(bucket, every dimension): every measure}."""
    warehouse.roll_up()
    return as_rows(warehouse.cube(DAY, bucket_seconds=seconds, dims=CUBE_DIMENSIONS))


def as_rows(cube: Cube) -> dict[tuple[object, ...], tuple[int, ...]]:
    """A cube's rows by (bucket, dimension values)."""
    rows = {}
    for at in range(cube.rows):
        key = (int(cube.bucket[at]), *(cube.values[name][cube.codes[name][at]] for name in cube.codes))
        rows[key] = tuple(int(cube.measures[name][at]) for name in CUBE_MEASURES)
    assert len(rows) == cube.rows, "a combination stands in the cube twice"
    return rows


def check_append_is_idempotent(warehouse: Warehouse, _: Path) -> None:
    rows = [record(f"r{at}", minute=at) for at in range(20)]
    assert warehouse.append(rows) == Intake(accepted=20)
    before = everything(warehouse)
    assert warehouse.append(rows) == Intake(duplicate=20)
    assert warehouse.roll_up() is None, "a duplicate made a bucket dirty"
    assert everything(warehouse) == before


def check_newest_version_wins_in_any_order(warehouse: Warehouse, _: Path) -> None:
    old, new = record(output=10), record(output=99, seen=5, minute=7)
    assert warehouse.append([new]) == Intake(accepted=1)
    assert warehouse.append([old]) == Intake(superseded=1)
    assert warehouse.append([old, new, old]) == Intake(duplicate=3)
    found = warehouse.records(DAY)
    assert found.column("output").tolist() == [99]
    late = record(output=5, seen=9, minute=61)
    assert warehouse.append([late]) == Intake(superseded=1)
    warehouse.roll_up()
    cube = warehouse.cube(DAY, bucket_seconds=300, dims=())
    assert cube.bucket.tolist() == [int(START.timestamp()) + 3600], "the bucket that the row left still counts it"
    assert cube.total("output") == 5


def check_known_content_seen_again_later_wins_back(warehouse: Warehouse, _: Path) -> None:
    first, second = record(output=1, seen=1), record(output=2, seen=2)
    warehouse.append([first, second])
    assert warehouse.append([first._replace(observed_us=SEEN_US + 3)]) == Intake(duplicate=1)
    assert warehouse.append([second]) == Intake(duplicate=1)
    assert warehouse.records(DAY).column("output").tolist() == [1]


def check_versions_within_one_batch(warehouse: Warehouse, _: Path) -> None:
    batch = [record(output=1, seen=1), record(output=2, seen=2), record(output=1, seen=1), record("r2")]
    assert warehouse.append(batch) == Intake(accepted=2, superseded=1, duplicate=1)
    assert warehouse.records(DAY).column("output").tolist() == [2, 10]


def check_reference_rows_stay_apart(warehouse: Warehouse, _: Path) -> None:
    warehouse.append([record()])
    assert warehouse.append([record(output=77)], role="reference") == Intake(accepted=1)
    warehouse.roll_up()
    metered = warehouse.cube(DAY, bucket_seconds=3600, dims=("team",))
    reference = warehouse.cube(DAY, bucket_seconds=3600, dims=("team",), role="reference")
    assert metered.total("output") == 10
    assert reference.total("output") == 77
    assert warehouse.records(DAY).rows == 1
    assert warehouse.records(DAY, role="reference").column("output").tolist() == [77]
    assert [(one.source, one.role, one.records) for one in warehouse.sources()] == [
        ("gateway", "metered", 1),
        ("gateway", "reference", 1),
    ]


def check_measures(warehouse: Warehouse, _: Path) -> None:
    warehouse.append(
        [
            record("ok", billed_nanos=5, latency_ms=100),
            record("failed", status="error", cost_nanos=None, input_uncached=0, output=0, attempt=2),
            record("refused", status="refused", cost_nanos=0, input_uncached=0, output=0),
            record("seat", billing_mode="included", cost_nanos=7),
            record("unknown", cost_nanos=None, requests=3),
        ]
    )
    warehouse.roll_up()
    cube = warehouse.cube(DAY, bucket_seconds=300, dims=())
    assert {name: cube.total(name) for name in CUBE_MEASURES} == {
        "requests": 7,
        "errors": 1,
        "refused": 1,
        "retries": 1,
        "input_uncached": 300,
        "cache_read": 0,
        "cache_write_5m": 0,
        "cache_write_1h": 0,
        "output": 30,
        "reasoning": 0,
        "cost_nanos": 750_007,
        "cash_nanos": 750_000,
        "billed_nanos": 5,
        "unpriced": 3,
        "latency_ms": 100,
    }
    assert cube.measures["cost_nanos"].dtype == np.int64
    assert warehouse.unpriced(DAY) == [("anthropic", "claude-opus-4-5", 1, 110)]


def check_buckets_and_windows(warehouse: Warehouse, _: Path) -> None:
    warehouse.append([record(f"r{minute}", minute=minute) for minute in (0, 4.99, 5, 59, 60, 1439)])
    assert warehouse.roll_up() == DAY
    assert warehouse.roll_up() is None
    first = int(START.timestamp())

    def counts(window: Window, seconds: int) -> dict[int, int]:
        cube = warehouse.cube(window, bucket_seconds=seconds, dims=())
        rows = zip(cube.bucket.tolist(), cube.measures["requests"].tolist(), strict=True)
        return {bucket - first: requests for bucket, requests in rows}

    assert counts(DAY, 60) == {0: 1, 240: 1, 300: 1, 3540: 1, 3600: 1, 86340: 1}
    assert counts(DAY, 300) == {0: 2, 300: 1, 3300: 1, 3600: 1, 86100: 1}
    assert counts(DAY, 3600) == {0: 4, 3600: 1, 82800: 1}
    assert counts(DAY, 86400) == {0: 6}
    within = Window(start=START + timedelta(minutes=1), end=START + timedelta(minutes=60))
    assert counts(within, 300) == {300: 1, 3300: 1}, "only buckets that start in the window"
    assert counts(within, 3600) == {}


def check_coarse_rows_only_in_coarse_cubes(warehouse: Warehouse, _: Path) -> None:
    long = [record("hour", period_seconds=3600, requests=50), record("five", period_seconds=300, requests=7)]
    warehouse.append([*long, record("call")])
    warehouse.roll_up()
    assert warehouse.cube(DAY, bucket_seconds=60, dims=()).total("requests") == 1
    assert warehouse.cube(DAY, bucket_seconds=300, dims=()).total("requests") == 8
    assert warehouse.cube(DAY, bucket_seconds=3600, dims=()).total("requests") == 58


def check_scopes(warehouse: Warehouse, _: Path) -> None:
    hostile = "x' OR 1=1 --"
    warehouse.append(
        [
            record("a", team=hostile, session_id="s1", tags=(("k", "v"), ("odd'\"]key", "w"))),
            record("b", app="other", session_id="s2", tags=(("k", "u"),)),
        ]
    )
    warehouse.roll_up()

    def ids(scope: Scope) -> list[str]:
        return list(warehouse.records(DAY, scope=scope, columns=["record_id"]).column("record_id"))

    assert ids(TOTAL) == ["a", "b"]
    assert ids(Scope.of(team=hostile)) == ["a"]
    assert ids(Scope.of({"tags.k": "v"})) == ["a"]
    assert ids(Scope.of({"tags.odd'\"]key": "w"})) == ["a"]
    assert ids(Scope.of({"tags.none": "(none)"})) == ["a", "b"]
    assert ids(Scope.of(session_id="s2", app="other")) == ["b"]
    by_team = as_rows(warehouse.cube(DAY, bucket_seconds=3600, dims=("team",), scope=Scope.of(team=hostile)))
    assert [key[1] for key in by_team] == [hostile]
    by_tag = warehouse.cube(DAY, bucket_seconds=3600, dims=("tags.k",))
    assert sorted(by_tag.values["tags.k"]) == ["u", "v"]
    with pytest.raises(BadInput, match="no such dimension"):
        warehouse.cube(DAY, bucket_seconds=3600, dims=("team; DROP TABLE records",))
    with pytest.raises(BadInput, match="no such record column"):
        warehouse.records(DAY, columns=["1; DROP TABLE records"])
    with pytest.raises(BadInput, match="300, 3600"):
        warehouse.cube(DAY, bucket_seconds=90, dims=())


def check_records_as_columns(warehouse: Warehouse, _: Path) -> None:
    warehouse.append([record(f"r{at}", minute=9 - at, cost_nanos=None if at else 4) for at in range(9)])
    found = warehouse.records(DAY, limit=3)
    assert found.cut
    assert found.column("record_id").tolist() == ["r2", "r1", "r0"], "the newest, oldest first"
    assert found.column("cost_nanos").tolist() == [0, 0, 4]
    assert found.column("unpriced").tolist() == [True, True, False]
    assert found.column("occurred_us").dtype == np.int64
    assert found.column("tags").tolist() == [(), (), ()]
    whole = warehouse.records(DAY, columns=["output"], limit=9)
    assert not whole.cut
    assert set(whole.columns) == {"output"}
    empty = warehouse.records(DAY.shifted(timedelta(days=9)))
    assert empty.rows == 0
    assert "team" in empty.columns
    assert warehouse.cube(DAY.shifted(timedelta(days=9)), bucket_seconds=300, dims=("team",)).rows == 0


def check_a_price_that_is_known_later(warehouse: Warehouse, _: Path) -> None:
    rates = Rates(input_uncached=10**9, cache_read=0, cache_write_5m=0, cache_write_1h=0, output=2 * 10**9)
    known = Price(effective_from=START, rates=rates)
    rows = [record("a", cost_nanos=None, billed_nanos=None), record("b", cost_nanos=None, model="nobody-knows")]
    warehouse.append(rows)
    warehouse.roll_up()
    key = PriceKey("anthropic", "claude-opus-4-5")
    assert warehouse.reprice(lambda _: PriceTable(prices={key: (known,)})) == 1
    assert warehouse.reprice(lambda _: PriceTable(prices={key: (known,)})) == 0
    assert warehouse.roll_up() is not None
    cube = warehouse.cube(DAY, bucket_seconds=300, dims=())
    assert cube.total("cost_nanos") == 100 * 1000 + 10 * 2000
    assert cube.total("unpriced") == 1
    assert warehouse.append(rows) == Intake(duplicate=2), "a price made another version of the call"
    assert warehouse.records(DAY).column("cost_nanos").tolist() == [120_000, 0]


def check_quarantine(warehouse: Warehouse, _: Path) -> None:
    row = Quarantined("gateway", SEEN_US, "endTime is negative", '{"endTime": -1}')
    warehouse.quarantine([row, row._replace(observed_us=SEEN_US + 1)])
    warehouse.quarantine([row, row._replace(raw="x" * 9_000, observed_us=SEEN_US - 1)])
    found = warehouse.quarantined()
    assert [(one.observed_us - SEEN_US, len(one.raw)) for one in found] == [(1, 15), (-1, 4000)]
    assert len(warehouse.quarantined(limit=1)) == 1
    warehouse.append([record("a"), record("a"), record("a", output=3)])
    assert warehouse.taken() == Intake(accepted=1, duplicate=1, superseded=1, quarantined=4), "in = the sum of the four"


def check_snapshot(warehouse: Warehouse, folder: Path) -> None:
    rows = [record("a", tags=(("k", "v"),), cost_nanos=None), record("b", minute=30), record("c", minute=2000)]
    warehouse.append(rows)
    warehouse.append([record("a", output=3)], role="reference")
    path = warehouse.snapshot(DAY, folder)
    assert list(folder.iterdir()) == [path]
    assert warehouse.load_snapshot(path) == Intake(duplicate=3)
    (folder / "other.parquet").write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadInput, match="cannot be read"):
        warehouse.load_snapshot(folder / "other.parquet")


def check_spans(warehouse: Warehouse, folder: Path) -> None:
    at_us = DAY.start_us + 10**6

    def one(key: str, trace: str = "t", seen: int = 0, name: str = "search", **fields: Any) -> Span:
        return Span(trace, key, "spans", at_us + seen, at_us - 1, at_us, "tool", name, **fields)

    versions = [one("a", name="new", seen=9), one("a"), one("a", name="old", seen=1)]
    for order in permutations(versions):
        for each in order:
            warehouse.append_spans([each])
        warehouse.append_spans(order)
    assert warehouse.spans(DAY, limit=9) == [], "a trace without a call of the scope"
    warehouse.append([record("r", trace_id="t", team="x"), record("s", trace_id="of the gateway")])
    assert warehouse.spans(DAY, limit=9) == [versions[0]]
    warehouse.append_spans([one("b", "u", record_id="s"), one("c", "u"), one("d", "v")])
    everything_ = warehouse.spans(DAY, limit=9)
    assert [span.span_id for span in everything_] == ["c", "b", "a"], (
        "the answer's id joins a gateway's call to its trace"
    )
    assert warehouse.spans(DAY, scope=Scope.of(team="x"), limit=9) == [versions[0]]
    assert warehouse.spans(DAY, limit=2) == everything_[1:]
    assert warehouse.spans(Window(start=DAY.end, end=DAY.end + timedelta(days=1)), limit=9) == []
    with pytest.raises(BadInput, match="no such dimension"):
        warehouse.spans(DAY, scope=Scope.model_construct(dims=(("x", "y"),)), limit=9)
    path = warehouse.snapshot(DAY, folder)
    warehouse.append_spans([one("a", name="newest", seen=10)])
    newest = warehouse.spans(DAY, scope=Scope.of(team="x"), limit=9)
    warehouse.load_snapshot(path)
    assert warehouse.spans(DAY, scope=Scope.of(team="x"), limit=9) == newest != [versions[0]]


CHECKS: tuple[Check, ...] = tuple(check for name, check in sorted(globals().items()) if name.startswith("check_"))
