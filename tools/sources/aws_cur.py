"""AWS Cost and Usage Reports 2.0 (data exports), read as FOCUS rows: Bedrock's and marketplace models' token charges.

Source: docs.aws.amazon.com, CUR 2.0 table dictionary. `identity_line_item_id` is another in every report, so a row is
told apart by what it charges for. The IAM principal, where the export has it, is the credential that asked.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tools.sources.documents import Object, first
from tools.sources.fields import text
from tools.sources.focus_meters import AI_CATEGORY
from tools.sources.focus_rows import focus_rows
from tools.sources.lines import Unreadable

_NEEDED = (
    *("line_item_unblended_cost", "line_item_currency_code", "line_item_line_item_type", "line_item_usage_type"),
    *("line_item_usage_start_date", "line_item_usage_end_date", "line_item_usage_amount", "line_item_product_code"),
)
_NAMES = {
    "bill_payer_account_id": "BillingAccountId",
    "bill_billing_period_start_date": "BillingPeriodStart",
    "bill_billing_period_end_date": "BillingPeriodEnd",
    "line_item_currency_code": "BillingCurrency",
    "line_item_usage_account_id": "SubAccountId",
    "line_item_usage_start_date": "ChargePeriodStart",
    "line_item_usage_end_date": "ChargePeriodEnd",
    "line_item_usage_amount": "ConsumedQuantity",
    "pricing_unit": "ConsumedUnit",
    "line_item_usage_type": "SkuMeter",
    "line_item_line_item_description": "ChargeDescription",
    "line_item_resource_id": "ResourceId",
    "line_item_iam_principal": "CredentialId",
    "line_item_operation": "x_Operation",
    "product_region_code": "RegionId",
}
_USAGE = frozenset({"Usage", "DiscountedUsage", "SavingsPlanCoveredUsage"})
_CATEGORIES = {
    "Tax": "Tax",
    "Credit": "Credit",
    "Refund": "Credit",
    "Fee": "Purchase",
    "RIFee": "Purchase",
    "SavingsPlanRecurringFee": "Purchase",
    "SavingsPlanUpfrontFee": "Purchase",
}
_BEDROCK = {"ServiceCategory": AI_CATEGORY, "ServiceSubcategory": "Generative AI"}
_ANY_SERVICE = {"ServiceCategory": "Other"}
_PRODUCT = ("line_item_product_code", "product_servicecode", "product_product_name", "product_name")
_EDITION = re.compile(r"\s*\(Amazon Bedrock Edition\)\s*$", re.IGNORECASE)


def cur_rows(path: Path) -> Iterator[Object | Unreadable]:
    """The rows of a report, with FOCUS's names.

    Raises:
        BadInput: another suffix, no CUR 2.0, or a file that cannot be read on.
    """
    for row in focus_rows(path, needed=_NEEDED, what="an AWS CUR 2.0 report"):
        yield row if isinstance(row, Unreadable) else _as_focus(row)


def _as_focus(row: Object) -> Object:
    kind = text(row.get("line_item_line_item_type"))
    product = _map(row.get("product"))
    named = [text(first({**product, **row}, (name,))) for name in (*_PRODUCT, "servicecode")]
    found = {new: row[old] for old, new in _NAMES.items() if row.get(old) is not None}
    found |= {
        # The net amount is after private rates; a report has it where there are any.
        "BilledCost": first(row, ("line_item_net_unblended_cost", "line_item_unblended_cost")),
        "ChargeCategory": "Usage" if kind in _USAGE else _CATEGORIES.get(kind, "Adjustment"),
        "ProviderName": "AWS",
        **(_BEDROCK if any("bedrock" in name.lower() for name in named) else _ANY_SERVICE),
        "Tags": {name.removeprefix("user_"): value for name, value in sorted(_map(row.get("resource_tags")).items())},
    }
    if kind == "SavingsPlanCoveredUsage":
        found["PricingCategory"] = "Committed"
    edition = next((name for name in named if _EDITION.search(name)), None)
    if edition:  # a marketplace model: its meters count tokens and do not say whose
        found["x_Model"] = _EDITION.sub("", edition)
    return found


def _map(value: object) -> Object:
    """A map column, which CSV has as JSON text."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (ValueError, RecursionError):
            return {}
    return {str(name): one for name, one in value.items()} if isinstance(value, dict) else {}
