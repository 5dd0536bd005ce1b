"""Restated periods end in the last truth, whatever the order in which statements come (I34)."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.model.statement import Offer, RowsDigest, Statement
from store.model.usage import Intake, UsageRecord, Window, from_us, to_us
from store.usage.duckdb import DuckDBWarehouse, open_duckdb
from tests.checks.check_warehouse import everything, record

_START = to_us(datetime(2026, 11, 2, tzinfo=UTC))
_HOUR = 3_600 * 10**6
_NOW = datetime(2026, 11, 3, tzinfo=UTC)

Said = tuple[Offer, tuple[UsageRecord, ...]]


def _clock() -> datetime:
    return _NOW


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    opened = open_duckdb(None, clock=_clock)
    yield opened
    opened.close()


def said(hour: int, version: int, outputs: dict[int, int]) -> Said:
    """A statement of one hour: {row: its output tokens}."""
    version_us = _START + version * 60 * 10**6
    rows = tuple(
        record(f"{hour}-{n}", minute=60 * hour + 5 * n, output=output)._replace(observed_us=version_us, source="bill")
        for n, output in sorted(outputs.items())
    )
    told = RowsDigest()
    told.add(rows)
    at = _START + hour * _HOUR
    return Offer(Statement("bill", "acme", at, at + _HOUR, version_us), told.text), rows


def take(warehouse: DuckDBWarehouse, *sayings: Said) -> Intake:
    """What became of the rows of some statements that came together."""
    rows = [(offer.statement.slot, row) for offer, some in sayings for row in some]
    parts = [rows] if len(rows) < 4 else [rows[0::2], rows[1::2]]
    batches = [([slot for slot, _ in part], [row for _, row in part]) for part in parts]
    return warehouse.restate([offer for offer, _ in sayings], batches)


def outputs(warehouse: DuckDBWarehouse) -> dict[str, int]:
    found = warehouse.records(Window(start=from_us(_START), end=_NOW), columns=["record_id", "output"])
    return dict(zip(found.column("record_id").tolist(), found.column("output").tolist(), strict=True))


def test_an_open_hour_pulled_five_times_ends_in_the_last(warehouse: DuckDBWarehouse) -> None:
    """Rows grow, come, and vanish; the sums are the last pull's, each row is counted once more or less."""
    pulls = [{0: 5}, {0: 7, 1: 1}, {0: 7, 1: 2}, {1: 3}, {1: 3, 2: 4}]
    counts = []
    for version, rows in enumerate(pulls):
        counts.append(take(warehouse, said(3, version, rows)))
        warehouse.roll_up()
    assert outputs(warehouse) == {"3-1": 3, "3-2": 4}
    cube = warehouse.cube(Window(start=from_us(_START), end=_NOW), bucket_seconds=3600, dims=("source",))
    assert (cube.total("output"), cube.total("requests")) == (7, 2)
    assert counts[1:] == [
        Intake(accepted=1, superseded=1),
        Intake(superseded=1, duplicate=1),
        Intake(superseded=1),
        Intake(accepted=1, duplicate=1),
    ]
    [state] = warehouse.statements()
    assert (state.periods, state.provisional, state.withdrawn) == (1, 1, 1)
    assert (state.provisional_from, state.newest_at) == (from_us(_START + 3 * _HOUR), from_us(_START + 4 * 60 * 10**6))


def test_an_older_statement_that_comes_later_loses_whole(warehouse: DuckDBWarehouse) -> None:
    """Also the rows that only it has; and a statement with no rows takes all of them back."""
    take(warehouse, said(0, 2, {0: 5}))
    assert take(warehouse, said(0, 1, {0: 9, 1: 9})) == Intake(accepted=1, superseded=1)
    assert outputs(warehouse) == {"0-0": 5}
    assert take(warehouse, said(0, 3, {})) == Intake()
    assert outputs(warehouse) == {}
    assert take(warehouse, said(0, 2, {0: 5}), said(1, 0, {0: 1})) == Intake(accepted=1, duplicate=1)
    assert outputs(warehouse) == {"1-0": 1}
    assert warehouse.roll_up() is not None
    assert everything(warehouse, 3600)


def test_the_same_statement_again_changes_nothing(warehouse: DuckDBWarehouse) -> None:
    """Only that it was made later: then it holds against what was made between."""
    take(warehouse, said(0, 1, {0: 5, 1: 6}))
    warehouse.roll_up()
    assert take(warehouse, said(0, 3, {0: 5, 1: 6})) == Intake(duplicate=2)
    assert warehouse.roll_up() is None, "nothing was marked as changed"
    assert take(warehouse, said(0, 2, {0: 7})) == Intake(superseded=1)
    assert outputs(warehouse) == {"0-0": 5, "0-1": 6}


def test_a_period_is_provisional_until_it_has_ended(warehouse: DuckDBWarehouse) -> None:
    """By the time at which the statement was made."""
    take(warehouse, said(0, 59, {0: 1}))
    assert warehouse.statements()[0].provisional == 1
    take(warehouse, said(0, 60, {0: 1}))
    assert warehouse.statements()[0].provisional == 0
    assert warehouse.statements()[0].provisional_from is None


def test_a_role_has_its_own_statements(warehouse: DuckDBWarehouse) -> None:
    """What is only compared with does not touch what is counted."""
    offer, rows = said(0, 1, {0: 5})
    slots = [offer.statement.slot] * len(rows)
    assert warehouse.restate([offer], [(slots, rows)], role="reference") == Intake(accepted=1)
    assert outputs(warehouse) == {}
    assert take(warehouse, (offer, rows)) == Intake(accepted=1)
    assert warehouse.restate([said(0, 2, {})[0]], [], role="reference") == Intake()
    assert outputs(warehouse) == {"0-0": 5}


def test_a_snapshot_carries_the_statements(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """What `bursar ingest` hands to the service restates there; a copy knows what is provisional."""
    take(warehouse, said(0, 2, {0: 5}), said(1, 2, {}))
    warehouse.append([record("plain", minute=30)])
    warehouse.keep_pull("bill", "{}")
    path = warehouse.snapshot(Window(start=from_us(_START), end=_NOW), tmp_path)
    copy = open_duckdb(None, clock=_clock)
    assert copy.load_snapshot(path) == Intake(accepted=2)
    assert (copy.statements(), copy.pulls()) == (warehouse.statements(), {"bill": "{}"})
    other = open_duckdb(None, clock=_clock)
    take(other, said(0, 1, {0: 4, 1: 4}), said(1, 1, {0: 8}))
    other.keep_pull("bill", '{"further": 1}')
    assert other.load_snapshot(path) == Intake(accepted=1, superseded=1)
    assert outputs(other) == {"0-0": 5, "plain": outputs(warehouse)["plain"]}
    assert other.pulls() == {"bill": '{"further": 1}'}, "its own pulls have come as far as its own rows"
    copy.close()
    other.close()


_SAYINGS = st.lists(
    st.builds(
        said,
        st.integers(0, 1),
        st.integers(0, 3),
        st.dictionaries(st.integers(0, 3), st.integers(0, 2), max_size=4),
    ),
    min_size=1,
    max_size=5,
)


def _ends_in_the_last_truth(sayings: list[Said], seed: int) -> None:
    """In order, and shuffled with repetitions and roll-ups between: the same records, cubes and counts."""
    plain = record("plain", minute=90)
    mixed = random.Random(seed)
    again = sayings + mixed.sample(sayings, mixed.randint(0, len(sayings)))
    mixed.shuffle(again)
    first, second = open_duckdb(None, clock=_clock), open_duckdb(None, clock=_clock)
    counts = first.append([plain]) + sum((take(first, one) for one in sayings), Intake())
    for at, one in enumerate(again):
        if at == len(again) // 2:
            second.append([plain])
        take(second, one)
        if mixed.random() < 0.3:
            second.roll_up()
    best: dict[str, Said] = {}
    for one in sayings:
        offer = one[0]
        held = best.get(offer.statement.slot)
        if held is None or (offer.statement.version_us, offer.digest) > (held[0].statement.version_us, held[0].digest):
            best[offer.statement.slot] = one
    truth = {row.record_id: row.output for _, rows in best.values() for row in rows}
    assert outputs(first) == outputs(second) == {**truth, "plain": plain.output}
    assert everything(first) == everything(second)
    assert everything(first, 3600) == everything(second, 3600)
    # What was said: every id once, every further content of an id once, and the rest again.
    contents = {(row.record_id, row.output) for _, rows in sayings for row in rows} | {("plain", 0)}
    ids = {name for name, _ in contents}
    repeated = sum(len(rows) for _, rows in again) - sum(len(rows) for _, rows in sayings)
    said_rows = 1 + sum(len(rows) for _, rows in sayings)
    expected = Intake(accepted=len(ids), superseded=len(contents) - len(ids), duplicate=said_rows - len(contents))
    assert counts == first.taken() == expected
    assert second.taken() == expected + Intake(duplicate=repeated)
    first.close()
    second.close()


@settings(max_examples=12, deadline=None)
@given(sayings=_SAYINGS, seed=st.integers(0, 2**16))
def test_any_order_ends_in_the_last_truth(sayings: list[Said], seed: int) -> None:
    """I34 for statements: older and newer ones, ties, repetitions, vanished rows, in any order."""
    _ends_in_the_last_truth(sayings, seed)


@pytest.mark.exam
@settings(max_examples=5_000, deadline=None)
@given(sayings=_SAYINGS, seed=st.integers(0, 2**16))
def test_any_order_ends_in_the_last_truth_at_length(sayings: list[Said], seed: int) -> None:
    """The same at the length that I34 asks for."""
    _ends_in_the_last_truth(sayings, seed)
