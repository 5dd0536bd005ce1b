"""FOCUS out: the column rules of 1.2, money that adds up to what was recorded, and the way back in."""

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from store.errors import BadInput
from store.model.usage import TOKEN_CLASSES, UsageRecord, Window
from store.prices import PriceBook
from store.usage.duckdb import open_duckdb
from tests.tools.focus.usage import SPAN, records, warehouse_of
from tools.focus.export import COLUMNS, MOMENTS, NUMBERS, OUR_OWN, FocusRow, focus_rows
from tools.focus.write import write_focus
from tools.sources.focus import FocusSource

_NOT_NULL = (
    *("BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory"),
    *("ChargePeriodStart", "ChargePeriodEnd", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost"),
    *("ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
)
"""The 16 mandatory columns of 1.2 that may not be null (FIELD.md 2.2)."""
_NULLABLE = ("BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity", "PricingUnit")
_BY_UNIT_PRICE = (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost"))


def _rows(found: list[UsageRecord], window: Window = SPAN) -> list[FocusRow]:
    warehouse = warehouse_of(found)
    try:
        return list(focus_rows(warehouse, window, table_for=PriceBook().table_for))
    finally:
        warehouse.close()


def _sum(rows: list[FocusRow], column: str) -> Decimal:
    return sum((_number(row, column) for row in rows), Decimal(0))


def _number(row: FocusRow, column: str) -> Decimal:
    value = row[column]
    assert isinstance(value, Decimal), (column, value)
    return value


def _text(row: FocusRow, column: str) -> str:
    value = row[column]
    assert isinstance(value, str), (column, value)
    return value


def test_every_row_keeps_the_column_rules() -> None:
    """FOCUS 1.2: presence, nulls, types, value lists, periods, and unit price x quantity = cost."""
    rows = _rows(records())
    assert len(rows) > 300
    for row in rows:
        assert set(row) == set(COLUMNS)
        assert all(row[name] is not None and row[name] != "" for name in _NOT_NULL)
        assert all(isinstance(row[name], Decimal) and _number(row, name) >= 0 for name in NUMBERS)
        assert (row["ChargeCategory"], row["ChargeClass"], row["BillingCurrency"]) == ("Usage", None, "USD")
        assert (row["ServiceCategory"], row["ServiceSubcategory"]) == ("AI and Machine Learning", "Generative AI")
        assert row["PricingCategory"] in ("Standard", "Other")
        assert (row["ConsumedUnit"], row["PricingUnit"]) == ("Tokens", "1000000 Tokens")
        assert _number(row, "PricingQuantity") * 1_000_000 == _number(row, "ConsumedQuantity") > 0
        for unit, cost in _BY_UNIT_PRICE:
            assert abs(_number(row, unit) * _number(row, "PricingQuantity") - _number(row, cost)) <= Decimal("1e-11")
        begun, ended, month, next_month = (
            datetime.fromisoformat(_text(row, name))
            for name in ("ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart", "BillingPeriodEnd")
        )
        assert ended - begun == timedelta(days=1)
        assert month <= begun < ended <= next_month
        assert (month.day, next_month.day) == (1, 1)


def test_the_columns_are_those_of_focus_then_ours() -> None:
    """All mandatory columns are there, custom ones have their prefix and come last."""
    assert set(_NOT_NULL) | set(_NULLABLE) <= set(COLUMNS)
    assert COLUMNS[-len(OUR_OWN) :] == OUR_OWN
    assert [name.startswith("x_") for name in COLUMNS] == [False] * (len(COLUMNS) - len(OUR_OWN)) + [True] * len(
        OUR_OWN
    )


def test_the_drafts_keys_tell_the_token_class() -> None:
    """ModelId and TokenDirection always, TokenCacheAction on input only, the rest of ours with x_; never a null."""
    actions = defaultdict(set)
    for row in _rows(records()):
        details = json.loads(_text(row, "SkuPriceDetails"))
        assert all(isinstance(value, str) and value for value in details.values())
        own = {"ModelDeveloper", "ModelFamily", "ModelId", "ModelVersion", "TokenDirection", "TokenCacheAction"}
        assert all(name in own or name.startswith("x_") for name in details)
        actions[details["TokenDirection"]].add(details.get("TokenCacheAction"))
        if details["ModelId"].startswith("anthropic."):
            assert (details["ModelDeveloper"], details["ModelVersion"]) == ("Anthropic", "20251001")
            assert (row["ProviderName"], row["PublisherName"]) == ("AWS", "Anthropic")
    assert actions == {"Input": {"Uncached", "Read", "Write"}, "Output": {None}}


def test_tokens_and_money_add_up_to_what_was_recorded() -> None:
    """Every token is on one row; costs are the recorded ones to a nano-USD a request; cash leaves included use out."""
    found = records()
    rows = _rows(found)
    assert _sum(rows, "ConsumedQuantity") == sum(sum(getattr(one, name) for name in TOKEN_CLASSES) for one in found)
    warehouse = warehouse_of(found)
    cube = warehouse.cube(SPAN, bucket_seconds=86_400, dims=())
    warehouse.close()
    for column, measure in (("ListCost", "cost_nanos"), ("BilledCost", "cash_nanos"), ("EffectiveCost", "cash_nanos")):
        recorded = Decimal(cube.total(measure)) / 10**9
        assert recorded > 0
        assert abs(_sum(rows, column) - recorded) <= Decimal(len(found)) / 10**9
    assert _sum(rows, "BilledCost") < _sum(rows, "ListCost")


def test_a_model_without_a_price_is_marked_not_free() -> None:
    """Its tokens are there, its cost is 0 and says why."""
    rows = _rows([one for one in records() if one.model == "house-model"])
    assert rows
    assert all(row["x_Unpriced"] == "true" and _number(row, "ListCost") == 0 for row in rows)
    assert not any(row["x_Unpriced"] for row in _rows([one for one in records() if one.model != "house-model"]))


def test_included_use_has_list_value_and_no_cash() -> None:
    """Seats: ListCost shows the value, BilledCost and EffectiveCost are 0, the pricing is "Other"."""
    (one,) = _rows(
        [
            records()[0]._replace(
                model="claude-opus-4-5",
                provider="anthropic",
                billing_mode="included",
                input_uncached=0,
                cache_read=0,
                cache_write_5m=0,
                cache_write_1h=0,
            )
        ]
    )
    assert _number(one, "ListCost") > 0
    assert _number(one, "BilledCost") == _number(one, "EffectiveCost") == 0
    assert one["PricingCategory"] == "Other"


def test_a_model_that_is_priced_by_the_request() -> None:
    """No tokens and a cost: one row of requests, so that no dollar is lost."""
    call = records()[0]._replace(input_uncached=0, cache_read=0, cache_write_5m=0, cache_write_1h=0, output=0)
    warehouse = open_duckdb(None, clock=lambda: SPAN.end)
    # In whole cents, so that the average is one: 3 requests of 10 cents.
    warehouse.append([call._replace(record_id=f"q{n}", cost_nanos=10**8, billing_mode="metered") for n in range(3)])
    warehouse.roll_up()
    (row,) = focus_rows(warehouse, SPAN, table_for=PriceBook().table_for)
    warehouse.close()
    assert (row["ConsumedUnit"], row["PricingUnit"], row["SkuMeter"]) == ("Requests", "Requests", "Requests")
    assert (_number(row, "ConsumedQuantity"), _number(row, "ListUnitPrice")) == (Decimal(3), Decimal("0.1"))
    assert _number(row, "ListCost") == _number(row, "BilledCost") == Decimal("0.3")


def test_only_whole_days_are_exported() -> None:
    """A day is a row's charge period: a window within a day is refused, a day outside is left out."""
    with pytest.raises(BadInput, match="not midnight UTC"):
        _rows([], Window(start=SPAN.start + timedelta(hours=1), end=SPAN.end))
    first = _rows(records(), Window(start=SPAN.start, end=SPAN.start + timedelta(days=1)))
    assert {row["ChargePeriodStart"] for row in first} == {"2026-10-30T00:00:00Z"}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_goes_out_comes_back(kind: str, tmp_path: Path) -> None:
    """The FOCUS source reads the export: the same tokens per team, model and class, the same cash."""
    found = records()
    rows = _rows(found)
    path = tmp_path / f"focus.{kind}"
    assert write_focus(rows, path) == len(rows)
    back = list(FocusSource(name="focus", clock=lambda: SPAN.end).read([path]))
    assert len(back) == len(rows)
    sums: defaultdict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    both: tuple[Sequence[object], ...] = (found, back)
    for side, calls in enumerate(both):
        for one in calls:
            assert isinstance(one, UsageRecord), one
            for name in TOKEN_CLASSES:
                sums[one.team, one.app, f"{one.provider}/{one.model}/{one.service_tier}", name][side] += getattr(
                    one, name
                )
    assert all(ours == theirs for ours, theirs in sums.values())
    billed = sum(one.billed_nanos or 0 for one in back if isinstance(one, UsageRecord))
    assert abs(billed - _sum(rows, "BilledCost") * 10**9) <= len(rows)


def test_the_files_hold_the_rows(tmp_path: Path) -> None:
    """CSV as plain text with quotes where needed, Parquet with exact decimals and UTC times; hostile names are text."""
    rows = _rows(records(60))
    write_focus(rows, tmp_path / "focus.csv")
    with (tmp_path / "focus.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    table = pq.read_table(tmp_path / "focus.parquet") if write_focus(rows, tmp_path / "focus.parquet") else None
    assert table is not None
    assert list(read[0]) == table.column_names == list(COLUMNS)
    for row, cells, typed in zip(rows, read, table.to_pylist(), strict=True):
        for name in COLUMNS:
            if name in NUMBERS:
                assert Decimal(cells[name]) == typed[name] == row[name]
                assert "." in cells[name]
            elif name in MOMENTS:
                assert cells[name] == row[name]
                assert typed[name].isoformat().replace("+00:00", "Z") == row[name]
            else:
                assert (cells[name] or None) == typed[name] == row[name]
    assert 'ads "EU", beta' in {cells["x_Team"] for cells in read}


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """A wrong suffix and a folder that is not there are told; a failing read leaves nothing behind."""
    with pytest.raises(BadInput, match=r"as \.csv or \.parquet"):
        write_focus([], tmp_path / "focus.xlsx")
    with pytest.raises(BadInput, match="cannot be written"):
        write_focus([], tmp_path / "none" / "focus.csv")
    with pytest.raises(KeyError):
        write_focus([{}], tmp_path / "focus.csv")
    assert list(tmp_path.iterdir()) == []
