"""Real usage, where the data lie beside the repository: what the README says came out of it."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.backtest import Backtest, backtest
from agent.detectors.settings import DetectorSettings
from agent.settings import Settings
from agent.steps.collect import collect
from agent.stores import open_warehouse_at
from store.model.ports import Warehouse
from store.model.usage import Window
from store.prices import PriceBook
from tools.sources.registry import SourceOptions, open_source

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the reference data do not lie beside the repository")


def now() -> datetime:
    """After all of the data."""
    return datetime(2026, 11, 25, tzinfo=UTC)


def read(mapping: str, path: Path) -> Warehouse:
    """A warehouse in memory with one file of the reference data."""
    warehouse = open_warehouse_at(None, clock=now)
    source = open_source("tabular", SourceOptions(clock=now, mapping=Path(mapping)))
    collect(source=source, paths=[path], warehouse=warehouse, prices=PriceBook())
    warehouse.roll_up()
    return warehouse


@pytest.fixture(scope="module")
def aider() -> Iterator[Warehouse]:
    """One developer's calls, with the cost of each."""
    warehouse = read("aider", DATA / "aider" / "message_send.parquet")
    yield warehouse
    warehouse.close()


def look_back(
    warehouse: Warehouse, start: datetime, end: datetime, *, min_excess_usd: float, hours: int = 1
) -> Backtest:
    """The shipped service over a part of the history, an hour or more at a time."""
    return backtest(
        warehouse=warehouse,
        settings=Settings(detectors=DetectorSettings(min_excess_usd=min_excess_usd)),
        window=Window(start=start, end=end),
        step_seconds=hours * 3600,
        progress=lambda _at, _n: None,
    )


def test_the_great_prompt_is_in_an_incident(aider: Warehouse) -> None:
    """The 913,414-token prompt of 2024-12-13 20:30 is seen at a threshold that fits so small a bill."""
    found = look_back(aider, datetime(2024, 12, 10, tzinfo=UTC), datetime(2024, 12, 15, tzinfo=UTC), min_excess_usd=1)
    at = datetime(2024, 12, 13, 20, 30, tzinfo=UTC)
    holding = [one for one in found.incidents if one.started_at <= at < (one.ended_at or one.seen_until)]
    assert len(holding) == 1
    finding = found.findings[holding[0].id]
    assert sum(share.nanos for share in finding.drivers) == holding[0].excess_nanos


def test_what_was_billed_is_what_was_read(aider: Warehouse) -> None:
    """All calls came in, and their billed amounts add up to the published 66.00 USD."""
    assert aider.taken().accepted == 2329
    span = Window(start=datetime(2024, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 1, tzinfo=UTC))
    cube = aider.cube(span, bucket_seconds=3600, dims=())
    assert round(cube.total("billed_nanos") / 10**9, 2) == 66.00


def test_no_two_incidents_in_one_scope_overlap() -> None:
    """On real tenants, what was spent once is in one incident of a scope at most."""
    warehouse = read("servegen", DATA / "servegen" / "client_windows.parquet")
    found = look_back(
        warehouse,
        datetime(2026, 11, 3, 10, tzinfo=UTC),
        datetime(2026, 11, 5, 6, tzinfo=UTC),
        min_excess_usd=500,
        hours=2,
    )
    warehouse.close()
    assert len(found.incidents) >= 5
    spans: dict[str, list[tuple[datetime, datetime]]] = {}
    for one in found.incidents:
        spans.setdefault(one.scope.text, []).append((one.started_at, one.ended_at or one.seen_until))
    for several in spans.values():
        ordered = sorted(several)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(ordered))
