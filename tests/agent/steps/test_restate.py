"""Months of a cloud bill that are restated by files: by parts, versions, folders, and beside the service."""

import csv
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.feeds import collect_all, open_feeds
from agent.settings import SourceSettings
from agent.steps.restate import restate
from store.errors import BadInput
from store.model.usage import Intake, Window
from store.prices import PriceBook
from store.usage.duckdb import DuckDBWarehouse, open_duckdb
from tools.sources.focus import FocusSource

NOW = datetime(2026, 12, 9, tzinfo=UTC)
EVER = Window(start=datetime(2026, 1, 1, tzinfo=UTC), end=NOW)
NOVEMBER, DECEMBER = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"), ("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
Row = dict[str, object]


def charge(day: int, deployment: str, tokens: int, month: tuple[str, str] = NOVEMBER, **more: object) -> Row:
    """A day's output tokens of one deployment, at a cent for a thousand."""
    start = datetime.fromisoformat(month[0]) + timedelta(days=day - 1)
    return {
        "BilledCost": tokens / 100_000,
        "BillingAccountId": "acme",
        "BillingCurrency": "USD",
        "BillingPeriodStart": month[0],
        "BillingPeriodEnd": month[1],
        "ChargeCategory": "Usage",
        "ChargePeriodStart": start.isoformat(),
        "ChargePeriodEnd": (start + timedelta(days=1)).isoformat(),
        "ConsumedQuantity": tokens,
        "ConsumedUnit": "Tokens",
        "ProviderName": "Anthropic",
        "ResourceId": deployment,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "SkuPriceDetails": '{"ModelId": "claude-opus-4-5", "TokenDirection": "Output"}',
        **more,
    }


def written(path: Path, rows: list[Row], *, at: datetime) -> Path:
    """The rows as a CSV file that was written at that time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(charge(1, "a", 1)))
        table.writeheader()
        table.writerows(rows)
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    opened = open_duckdb(None, clock=lambda: NOW)
    yield opened
    opened.close()


def taken(warehouse: DuckDBWarehouse, *paths: Path) -> Intake:
    source = FocusSource(name="bill", clock=lambda: NOW)
    return restate(source=source, paths=paths, warehouse=warehouse, prices=PriceBook())


def tokens(warehouse: DuckDBWarehouse) -> int:
    """The output tokens, from records and from the cube alike."""
    warehouse.roll_up()
    cube = warehouse.cube(EVER, bucket_seconds=86_400, dims=())
    assert cube.total("output") == warehouse.records(EVER).column("output").sum()
    assert cube.total("billed_nanos") == cube.total("output") * 10_000
    return cube.total("output")


def days(count: int) -> datetime:
    return datetime(2026, 11, 20, tzinfo=UTC) + timedelta(days=count)


def test_a_month_restated_three_times_ends_in_the_last_truth(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """Rows change, come and vanish; an older file that is read later changes nothing; the month closes."""
    first = written(tmp_path / "1.csv", [charge(1, "a", 100), charge(1, "b", 10)], at=days(0))
    second = written(tmp_path / "v2" / "1.csv", [charge(1, "a", 120), charge(2, "c", 1)], at=days(5))
    third = written(tmp_path / "v3" / "1.csv", [charge(1, "a", 120)], at=days(14))
    assert taken(warehouse, first) == Intake(accepted=2)
    assert warehouse.statements()[0].provisional == 1
    assert taken(warehouse, third) == Intake(superseded=1)
    assert taken(warehouse, second) == Intake(accepted=1, duplicate=1)
    assert taken(warehouse, first, second, third) == Intake(duplicate=5)
    assert tokens(warehouse) == 120
    [state] = warehouse.statements()
    assert (state.account, state.periods, state.provisional, state.withdrawn) == ("acme", 1, 0, 2)
    assert state.newest_at == days(14)


def test_parts_of_a_month_lie_in_one_folder(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """They add up; a row that two of them have counts once, as the newest file has it; a part that is gone is gone."""
    one = written(tmp_path / "part-1.csv", [charge(1, "a", 100), charge(2, "a", 5)], at=days(0))
    two = written(tmp_path / "part-2.csv", [charge(2, "a", 7), charge(3, "a", 1)], at=days(1))
    assert taken(warehouse, one, two) == Intake(accepted=3, superseded=1)
    assert tokens(warehouse) == 108
    written(two, [charge(3, "a", 2)], at=days(2))
    taken(warehouse, one, two)
    assert tokens(warehouse) == 107


def test_accounts_and_months_are_restated_apart(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """A file of one account says nothing of another's, or of another month; equal charges of two months are two."""
    both = [charge(1, "a", 100), charge(1, "a", 10, BillingAccountId="beta"), charge(1, "a", 1, DECEMBER)]
    late = {**charge(30, "a", 1_000, DECEMBER), **{name: charge(30, "a", 1)[name] for name in _PERIOD}}
    taken(warehouse, written(tmp_path / "all.csv", [*both, charge(30, "a", 1_000), late], at=days(0)))
    assert tokens(warehouse) == 2_111
    taken(warehouse, written(tmp_path / "new" / "all.csv", [charge(1, "a", 50)], at=days(1)))
    assert tokens(warehouse) == 1_061
    assert [(one.account, one.periods) for one in warehouse.statements()] == [("acme", 2), ("beta", 1)]


_PERIOD = ("ChargePeriodStart", "ChargePeriodEnd")


def test_a_month_without_token_charges_takes_them_back(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """The account is still spoken of by its other services."""
    taken(warehouse, written(tmp_path / "1.csv", [charge(1, "a", 100)], at=days(0)))
    storage = charge(1, "a", 9, ServiceCategory="Storage")
    assert taken(warehouse, written(tmp_path / "2" / "1.csv", [storage], at=days(1))) == Intake()
    assert tokens(warehouse) == 0


def test_a_file_that_is_cut_off_restates_nothing(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """A row that is missing must not count as withdrawn."""
    taken(warehouse, written(tmp_path / "1.csv", [charge(n, "a", 1) for n in range(1, 9)], at=days(0)))
    cut = written(tmp_path / "2" / "1.csv", [charge(1, "a", 5)], at=days(1))
    cut.write_bytes(cut.read_bytes() + b'"never closed')
    with pytest.raises(BadInput, match=r"1\.csv: the file is cut off.*nothing of the periods"):
        taken(warehouse, cut)
    assert tokens(warehouse) == 8
    with pytest.raises(BadInput, match=r"none\.csv: the file cannot be opened"):
        taken(warehouse, tmp_path / "none.csv")


def test_a_feed_reads_the_parts_of_a_folder_together(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """One part that changed does not make the others look withdrawn."""
    one = written(tmp_path / "11" / "part-1.csv", [charge(1, "a", 100)], at=days(0))
    two = written(tmp_path / "11" / "part-2.csv", [charge(2, "a", 10)], at=days(0))
    other = written(tmp_path / "12" / "part-1.csv", [charge(1, "a", 1, DECEMBER)], at=days(0))
    feeds = open_feeds([SourceSettings(name="bill", format="focus", paths=(f"{tmp_path}/*/*.csv",))], clock=lambda: NOW)
    heard: list[str] = []

    def look() -> Intake:
        return collect_all(feeds, warehouse=warehouse, prices=PriceBook(), say=heard.append)

    assert look() == Intake(accepted=3)
    assert look() == Intake()
    written(two, [charge(2, "a", 20)], at=days(1))
    assert look() == Intake(superseded=1, duplicate=1)
    assert tokens(warehouse) == 121
    assert (one.exists(), other.exists(), heard) == (True, True, [])


_MONTHS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 3), max_size=3), min_size=3, max_size=3
)


@settings(max_examples=8, deadline=None)
@given(months=_MONTHS, seed=st.integers(0, 2**16))
def test_any_order_of_files_ends_in_the_newest(
    tmp_path_factory: pytest.TempPathFactory, months: list[dict[str, int]], seed: int
) -> None:
    """I34: three versions of a month, each read twice, in any order."""
    folder, mixed = tmp_path_factory.mktemp("months"), random.Random(seed)
    storage = charge(1, "x", 9, ServiceCategory="Storage")
    files = [
        written(
            folder / str(version) / "11.csv",
            [storage, *(charge(1, name, n) for name, n in rows.items())],
            at=days(version),
        )
        for version, rows in enumerate(months)
    ]
    order = files * 2
    mixed.shuffle(order)
    warehouse = open_duckdb(None, clock=lambda: NOW)
    for path in order:
        taken(warehouse, path)
        if mixed.random() < 0.5:
            warehouse.roll_up()
    assert tokens(warehouse) == sum(months[-1].values())
    said = {(name, n) for rows in months for name, n in rows.items()}
    ids = {name for name, _ in said}
    assert warehouse.taken().accepted == len(ids)
    assert warehouse.taken().superseded == len(said) - len(ids)
    assert warehouse.taken().total == 2 * sum(len(rows) for rows in months)
    warehouse.close()
