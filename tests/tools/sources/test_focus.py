"""FOCUS in: which rows are token charges, what they measure, and how a newer export replaces an older one."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agent.steps.collect import collect
from store.errors import BadInput
from store.model.usage import NONE, Intake, Quarantined, UsageRecord
from store.prices import PriceBook
from store.usage.duckdb import open_duckdb
from tests.checks.check_source import EVER, NOW, Row, at
from tools.sources.focus import FocusSource

_SAMPLE = Path(__file__).parents[3] / ".." / "shared" / "data" / "focus" / "focus_1_0_sample.parquet"


def _row(**columns: object) -> Row:
    return {
        "BilledCost": "1.25",
        "BillingAccountId": "123",
        "BillingCurrency": "USD",
        "BillingPeriodStart": "2026-11-01T00:00:00Z",
        "BillingPeriodEnd": "2026-12-01T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargePeriodStart": "2026-11-10T00:00:00Z",
        "ChargePeriodEnd": "2026-11-11T00:00:00Z",
        "ConsumedQuantity": "1000",
        "ConsumedUnit": "Tokens",
        "ProviderName": "AWS",
        "RegionId": "us-east-1",
        "ServiceCategory": "AI and Machine Learning",
        "SkuId": "sku-1",
        "SubAccountId": "acct-7",
        "Tags": json.dumps({"team": "search", "app": "ranker", "env": "prod"}),
        **columns,
    }


def _details(**keys: str) -> str:
    return json.dumps({"ModelId": "claude-opus-4-5", **keys})


def _write(path: Path, rows: list[Row]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _read(path: Path) -> list[UsageRecord]:
    found = list(FocusSource(name="focus", clock=at()).read([path]))
    assert not [one for one in found if isinstance(one, Quarantined)], found
    return [one for one in found if isinstance(one, UsageRecord)]


def _one(folder: Path, **columns: object) -> UsageRecord:
    (found,) = _read(_write(folder / "focus.jsonl", [_row(**columns)]))
    return found


@pytest.mark.parametrize(
    ("details", "token_class"),
    [
        ({"TokenDirection": "Input", "TokenCacheAction": "Uncached"}, "input_uncached"),
        ({"TokenDirection": "Input", "TokenCacheAction": "Read"}, "cache_read"),
        ({"TokenDirection": "Input", "TokenCacheAction": "Write"}, "cache_write_5m"),
        ({"TokenDirection": "Input", "TokenCacheAction": "Write", "x_CacheTtl": "1h"}, "cache_write_1h"),
        ({"TokenDirection": "Input"}, "input_uncached"),
        ({"TokenDirection": "Output"}, "output"),
    ],
)
def test_the_drafts_keys_say_what_is_counted(details: dict[str, str], token_class: str, tmp_path: Path) -> None:
    """SkuPriceDetails of the 1.5 draft: direction and cache action give the class, ModelId the model."""
    found = _one(tmp_path, SkuPriceDetails=_details(**details))
    assert (getattr(found, token_class), found.model) == (1_000, "claude-opus-4-5")
    assert found.input_uncached + found.cache_read + found.cache_write_5m + found.cache_write_1h + found.output == 1_000


@pytest.mark.parametrize(
    ("meter", "unit", "token_class", "tokens", "model"),
    [
        ("USE1-Claude4.5Sonnet-input-tokens", "1K tokens", "input_uncached", 1_000_000, "Claude4.5Sonnet"),
        ("USE1-Claude4.5Sonnet-cache-read-input-token-count", "1K tokens", "cache_read", 1_000_000, "Claude4.5Sonnet"),
        (
            "USE1-Claude4.5Sonnet-cache-write-input-token-count",
            "1K tokens",
            "cache_write_5m",
            1_000_000,
            "Claude4.5Sonnet",
        ),
        ("gpt 4o 0806 Outp glbl Tokens", "1K", "output", 1_000_000, "gpt 4o 0806"),
        ("gpt 4o 0806 cchd Inp glbl Tokens", "1M", "cache_read", 1_000_000_000, "gpt 4o 0806"),
        ("Gemini 2.5 Pro Text Input", "1,000 Tokens", "input_uncached", 1_000_000, "Gemini 2.5 Pro"),
        ("Gemini 2.5 Pro Text Output", "Tokens", "output", 1_000, "Gemini 2.5 Pro"),
        ("EUW2-claude-opus-4-5-batch-output-tokens", "1K tokens", "output", 1_000_000, "claude-opus-4-5"),
    ],
)
def test_the_clouds_meter_names(
    meter: str, unit: str, token_class: str, tokens: int, model: str, tmp_path: Path
) -> None:
    """Without the draft's keys the meter's name gives model and class, and its unit the scale."""
    found = _one(tmp_path, SkuMeter=meter, ConsumedUnit=unit)
    assert (getattr(found, token_class), found.model) == (tokens, model)
    assert (found.service_tier, dict(found.tags)["meter"]) == ("batch" if "batch" in meter else "standard", meter)


def test_a_row_fills_a_bucket(tmp_path: Path) -> None:
    """A charge period is a bucket; tags, credential and consumer are who; the money is BilledCost."""
    who = {"CredentialId": "key-1", "ConsumerId": "tenant-9"}
    found = _one(tmp_path, SkuPriceDetails=_details(TokenDirection="Output"), **who)
    assert (found.period_seconds, found.requests, found.billed_nanos) == (86_400, 1, 1_250_000_000)
    assert (found.team, found.app, found.environment) == ("search", "ranker", "prod")
    assert (found.provider, found.region, found.api_key_id, found.end_user) == (
        "bedrock",
        "us-east-1",
        "key-1",
        "tenant-9",
    )
    assert dict(found.tags) == {"billing_account": "123", "sub_account": "acct-7"}


def test_another_currency_is_kept_and_not_counted_as_usd(tmp_path: Path) -> None:
    """Euro need a dated rate: the amount is kept as text, the billed USD stay unknown."""
    found = _one(tmp_path, BillingCurrency="EUR", SkuPriceDetails=_details(TokenDirection="Output"))
    assert (found.billed_nanos, found.output) == (None, 1_000)
    assert {"billing_currency": "EUR", "billed_cost": "1.25"}.items() <= dict(found.tags).items()


def test_money_without_a_token_class_is_kept(tmp_path: Path) -> None:
    """Tokens of no known kind are in no class, provisioned hours are no tokens; the money of both counts."""
    unknown = _one(tmp_path, SkuMeter="Model units")
    assert dict(unknown.tags)["unclassified_tokens"] == "1000"
    hours = _one(tmp_path, ConsumedUnit="Hours", ServiceSubcategory="Generative AI", CapacityReservationId="cr-1")
    for found in (unknown, hours):
        assert (found.billed_nanos, found.input_uncached, found.output) == (1_250_000_000, 0, 0)
    assert hours.billing_mode == "provisioned"
    assert _one(tmp_path, CommitmentDiscountId="cd-1").billing_mode == "prepaid"


def test_a_large_bucket_is_not_one_long_request(tmp_path: Path) -> None:
    """FOCUS counts no requests: as many are assumed as keep the average in the base context tier."""
    details = _details(TokenDirection="Input", TokenCacheAction="Uncached")
    assert _one(tmp_path, ConsumedQuantity="1000001", SkuPriceDetails=details).requests == 6


def test_other_rows_are_counted_with_their_reason(tmp_path: Path) -> None:
    """What is no token charge is passed over, and says why."""
    others = [
        _row(ChargeCategory="Tax"),
        _row(ChargeCategory="Purchase"),
        _row(ChargeClass="Correction"),
        _row(ServiceCategory="Compute"),
        _row(ConsumedUnit="Hours"),
    ]
    source = FocusSource(name="focus", clock=at())
    assert list(source.read([_write(tmp_path / "focus.jsonl", others)])) == []
    assert set(source.skipped.values()) == {1}
    assert len(source.skipped) == 5


@pytest.mark.skipif(not _SAMPLE.exists(), reason="needs the FOCUS sample beside the repository, ../shared/data/focus")
def test_the_real_sample_has_no_token_rows(tmp_path: Path) -> None:
    """500 published rows, as Parquet and as CSV: all are accounted for, none is a token charge."""
    rows = pq.read_table(_SAMPLE).to_pylist()
    for path in (_SAMPLE, _write(tmp_path / "focus.csv", rows)):
        source = FocusSource(name="focus", clock=at())
        assert list(source.read([path])) == []
        assert source.skipped == {
            "ServiceCategory other than AI and Machine Learning": 495,
            "AI and Machine Learning that is not measured in tokens": 3,
            "ChargeCategory Credit: money that is no usage": 1,
            "ChargeCategory Adjustment: money that is no usage": 1,
        }


def test_every_form_of_file_gives_the_same_records(tmp_path: Path) -> None:
    """CSV text, JSON and Parquet of one row are one charge with one id."""
    rows = [_row(SkuPriceDetails=_details(TokenDirection="Output"), InvoiceId=None, x_Team="search")]
    found = [_read(_write(tmp_path / f"focus.{kind}", rows)) for kind in ("csv", "jsonl", "parquet")]
    assert found[0] == found[1] == found[2]
    typed = {
        "ConsumedQuantity": 1000.0,
        "ChargePeriodStart": NOW.replace(day=10),
        "ChargePeriodEnd": NOW.replace(day=11),
    }
    (stamped,) = _read(_write(tmp_path / "typed.parquet", [{**rows[0], **typed}]))
    assert stamped == found[0][0]


def test_a_restated_month_replaces_what_was_said_before(tmp_path: Path) -> None:
    """A newer export's amounts win row by row; rows that differ in amounts only are a sum, not versions."""
    row = _row(SkuPriceDetails=_details(TokenDirection="Output"))
    before = _write(tmp_path / "before.csv", [row, {**row, "ConsumedQuantity": "500", "BilledCost": "0.75"}])
    after = _write(tmp_path / "after.csv", [{**row, "ConsumedQuantity": "40"}, {**row, "ConsumedQuantity": "7"}])
    warehouse = open_duckdb(None, clock=at())

    def take(path: Path, seconds: float) -> Intake:
        source = FocusSource(name="focus", clock=at(seconds))
        return collect(source=source, paths=[path], warehouse=warehouse, prices=PriceBook())

    assert take(before, 0) == Intake(accepted=2)
    assert sorted(warehouse.records(EVER).column("output").tolist()) == [500, 1_000]
    assert take(after, 60) == Intake(superseded=2)
    assert take(after, 120) == Intake(duplicate=2)
    assert sorted(warehouse.records(EVER).column("output").tolist()) == [7, 40]
    warehouse.close()


def test_a_file_that_is_no_focus_dataset(tmp_path: Path) -> None:
    """A wrong suffix or a table without FOCUS columns is told, with what it has."""
    source = FocusSource(name="focus", clock=at())
    with pytest.raises(BadInput, match="not a FOCUS dataset: no column BillingCurrency"):
        list(source.read([_write(tmp_path / "other.csv", [{"BilledCost": 1, "a": 2}])]))
    with pytest.raises(BadInput, match="not a FOCUS dataset"):
        list(source.read([_write(tmp_path / "other.parquet", [{"a": 2}])]))
    with pytest.raises(BadInput, match=r"ends in \.csv"):
        list(source.read([tmp_path / "focus.xlsx"]))


@pytest.mark.parametrize("tags", ["[" * 100_000, '{"team": "\\ud800', "{", "null"])
def test_tags_that_are_no_object_cost_no_row(tmp_path: Path, tags: str) -> None:
    """Whoever writes tags cannot stop a bill from being read."""
    assert _one(tmp_path, Tags=tags).team == NONE
