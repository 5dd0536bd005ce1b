"""The ids that need no look at the table."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.errors import BadInput
from store.model.statement import Offer, Statement
from store.model.usage import Intake, UsageRecord
from store.usage.duckdb import open_duckdb
from store.usage.known_ids import KnownIds

_NOW = datetime(2026, 11, 25, tzinfo=UTC)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=12))
def test_an_id_is_new_once(batches: list[list[int]]) -> None:
    """Whatever the batches: suspects are exactly the ids that came before or come twice."""
    known, before = KnownIds(np.array([], dtype=np.uint64)), set[int]()
    for batch in batches:
        wanted = [one in before or batch.count(one) > 1 for one in batch]
        assert known.meet(np.array(batch, dtype=np.uint64)).tolist() == wanted
        before |= set(batch)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 2**64 - 1), unique=True, min_size=1, max_size=200))
def test_what_was_stored_is_known(stored: list[int]) -> None:
    """The ids that the table had before the first append are all known."""
    assert KnownIds(np.array(stored, dtype=np.uint64)).meet(np.array(stored, dtype=np.uint64)).all()


def test_what_a_rollback_brings_back_is_known(tmp_path: Path) -> None:
    """A restatement that takes a row out and then fails has changed nothing: the row comes again as a duplicate."""
    path = tmp_path / "usage.duckdb"
    warehouse = open_duckdb(path, clock=lambda: _NOW)
    assert warehouse.restate([_offer(1)], [([_SLOT], [_record("a")])]) == Intake(accepted=1)
    warehouse.close()
    # Opened anew, it reads the ids while the row is out.
    warehouse = open_duckdb(path, clock=lambda: _NOW)
    with pytest.raises(BadInput):
        warehouse.restate([_offer(2)], _broken())
    assert warehouse.append([_record("a"), _record("b"), _record("b")]) == Intake(accepted=1, duplicate=2)
    warehouse.close()


def _broken() -> Iterator[tuple[list[str], list[UsageRecord]]]:
    yield [_SLOT], [_record("b")]
    raise BadInput("the file ends here")


def _offer(version_us: int) -> Offer:
    return Offer(Statement("s", "account", 0, 10, version_us), f"digest {version_us}")


_SLOT = _offer(1).statement.slot


def _record(name: str) -> UsageRecord:
    return UsageRecord(
        record_id=name, source="s", observed_us=2 * 10**15, occurred_us=10**15, provider="openai", model="gpt-4o"
    )
