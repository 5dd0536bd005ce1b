"""AWS CUR 2.0: which rows are token charges, whose they are, and how a month is restated."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agent.steps.restate import restate
from store.errors import BadInput
from store.model.usage import Intake, UsageRecord
from store.prices import PriceBook
from store.usage.duckdb import open_duckdb
from tests.checks.check_source import Row, at
from tools.sources.aws_cur import cur_rows
from tools.sources.focus import FocusSource


def _line(usage_type: str, amount: float, **columns: object) -> Row:
    return {
        "identity_line_item_id": "another-in-every-report",
        "bill_payer_account_id": "123456789012",
        "bill_billing_period_start_date": datetime(2026, 11, 1, tzinfo=UTC),
        "bill_billing_period_end_date": datetime(2026, 12, 1, tzinfo=UTC),
        "line_item_usage_account_id": "210987654321",
        "line_item_line_item_type": "Usage",
        "line_item_product_code": "AmazonBedrock",
        "line_item_usage_type": usage_type,
        "line_item_operation": "InvokeModelInference",
        "line_item_usage_start_date": datetime(2026, 11, 10, 9, tzinfo=UTC),
        "line_item_usage_end_date": datetime(2026, 11, 10, 10, tzinfo=UTC),
        "line_item_usage_amount": amount,
        "line_item_unblended_cost": 0.5,
        "line_item_currency_code": "USD",
        "line_item_iam_principal": "arn:aws:iam::210987654321:role/ranker",
        "pricing_unit": "1K tokens",
        "product_region_code": "us-east-1",
        "resource_tags": json.dumps({"user_team": "search", "user_app": "ranker"}),
        **columns,
    }


def _records(folder: Path, *rows: Row) -> tuple[list[UsageRecord], FocusSource]:
    path = folder / "cur.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    source = FocusSource(name="cur", clock=at(), rows=cur_rows)
    return [row for row in source.read([path]) if isinstance(row, UsageRecord)], source


def test_bedrock_lines_are_token_classes(tmp_path: Path) -> None:
    """In thousands of tokens; account, principal, tags and region say whose they are."""
    kinds = ("input", "output", "cache-read-input", "cache-write-input")
    found, _ = _records(tmp_path, *(_line(f"USE1-Claude4.5Sonnet-{kind}-tokens", 1.5) for kind in kinds))
    assert [(one.input_uncached, one.output, one.cache_read, one.cache_write_5m) for one in found] == [
        (1_500, 0, 0, 0),
        (0, 1_500, 0, 0),
        (0, 0, 1_500, 0),
        (0, 0, 0, 1_500),
    ]
    one = found[0]
    assert (one.provider, one.model, one.region) == ("bedrock", "Claude4.5Sonnet", "us-east-1")
    assert (one.team, one.app, one.api_key_id) == ("search", "ranker", "arn:aws:iam::210987654321:role/ranker")
    assert (one.billed_nanos, one.period_seconds, dict(one.tags)["sub_account"]) == (
        500_000_000,
        3_600,
        "210987654321",
    )
    assert len({one.record_id for one in found}) == 4


def test_a_marketplace_model_is_named_by_its_product(tmp_path: Path) -> None:
    """Its meters say no more than what they count."""
    product = {"product_name": "Claude Sonnet 4.5 (Amazon Bedrock Edition)"}
    columns = {"line_item_product_code": "5d2knpixfdfrm6fyi", "product": json.dumps(product), "pricing_unit": "Tokens"}
    [one], _ = _records(tmp_path, _line("USE1-MP:USE1_OutputTokenCount-Units", 20, **columns))
    assert (one.model, one.output, one.provider) == ("Claude Sonnet 4.5", 20, "bedrock")


def test_other_lines_are_passed_over_by_reason(tmp_path: Path) -> None:
    """Other services, taxes, credits and discounts; the net amount is taken where the report has it."""
    other = _line("BoxUsage:m5", 1, line_item_product_code="AmazonEC2", pricing_unit="Hrs")
    kinds = [
        _line("USE1-x-input-tokens", 1, line_item_line_item_type=kind) for kind in ("Tax", "Credit", "EdpDiscount")
    ]
    net = _line("USE1-x-input-tokens", 1, line_item_net_unblended_cost=0.4)
    [one], source = _records(tmp_path, {**other, "line_item_net_unblended_cost": None}, *kinds, net)
    assert one.billed_nanos == 400_000_000
    assert sum(source.skipped.values()) == 4


def test_a_month_is_restated(tmp_path: Path) -> None:
    """A report that is made again replaces the month, though every line has another id."""
    warehouse = open_duckdb(None, clock=at())
    for version, amounts in enumerate(([1.0, 2.0], [3.0])):
        folder = tmp_path / str(version)
        folder.mkdir()
        rows = [
            _line(
                "USE1-x-output-tokens",
                amount,
                line_item_resource_id=f"profile-{n}",
                identity_line_item_id=f"{version}{n}",
            )
            for n, amount in enumerate(amounts)
        ]
        _records(folder, *rows)
        source = FocusSource(name="cur", clock=at(), rows=cur_rows)
        restate(source=source, paths=[folder / "cur.parquet"], warehouse=warehouse, prices=PriceBook())
    assert warehouse.taken() == Intake(accepted=2, superseded=1)
    assert [one.withdrawn for one in warehouse.statements()] == [1]
    assert warehouse.sources()[0].records == 1
    warehouse.close()


def test_another_table_is_refused(tmp_path: Path) -> None:
    """With what it lacks."""
    path = tmp_path / "cur.csv"
    path.write_text("lineItem/UsageType,lineItem/UnblendedCost\nx,1\n")
    with pytest.raises(BadInput, match=r"not an AWS CUR 2\.0 report: no column line_item_unblended_cost"):
        list(FocusSource(name="cur", clock=at(), rows=cur_rows).read([path]))


@pytest.mark.parametrize("tags", ["[" * 100_000, "{", "null"])
def test_tags_that_are_no_object_cost_no_row(tmp_path: Path, tags: str) -> None:
    """Whoever writes tags cannot stop a bill from being read."""
    found, _ = _records(tmp_path, _line("USE1-Claude4.5Sonnet-input-tokens", 1.5, resource_tags=tags))
    assert [one.input_uncached for one in found] == [1_500]
