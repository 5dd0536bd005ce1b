"""Usage as FOCUS 1.2 rows: one row per UTC day, team, app, environment, provider, model, tier and token class.

Source: FOCUS 1.2 (columns and value lists), the 1.5 draft (keys of SkuPriceDetails), FIELD.md 2. ListCost is what the
price book says, ContractedCost the same under the operator's own prices and discounts. BilledCost and EffectiveCost
are the part of it that is marginal cash: usage that is included in seats or prepaid costs none. Rows carry no invoice:
a provider's own bill stays the bill.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from store.errors import BadInput
from store.model.allocation import SharedCost
from store.model.canonical import canonical_json
from store.model.money import to_usd
from store.model.ports import Warehouse
from store.model.prices import PriceKey, PriceTable
from store.model.usage import NONE, TOKEN_CLASSES, Window, iso, to_us
from tools.focus.costs import PER, Charge, at_list, charges
from tools.focus.costs import shared as shared_out
from tools.focus.groups import Group, groups_of_day
from tools.focus.marks import Mark, marked
from tools.focus.names import METERS, model_details, service_of

_DAY = timedelta(days=1)

TEXTS = (
    *("BillingAccountId", "BillingAccountName", "BillingCurrency", "ChargeCategory", "ChargeClass"),
    *("CommitmentDiscountId", "CommitmentDiscountStatus", "PricingCurrency"),
    *("ChargeDescription", "ChargeFrequency", "ConsumedUnit", "InvoiceId", "InvoiceIssuerName", "PricingCategory"),
    *("PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId"),
    *("SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName", "Tags"),
)
MOMENTS = ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart")
NUMBERS = (
    *("BilledCost", "ConsumedQuantity", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "ListCost"),
    *("ListUnitPrice", "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost"),
    *("PricingCurrencyListUnitPrice", "PricingQuantity"),
)
OUR_OWN = (
    *("x_AllocatedMethodDetails", "x_AllocatedMethodId", "x_AllocatedResourceName"),
    *("x_App", "x_Environment", "x_IncidentId", "x_Provider", "x_RemediationId"),
    *("x_ServiceTier", "x_Speed", "x_Team", "x_Unpriced"),
)
"""x_Allocated*: the split-cost columns of FOCUS 1.3, which 1.2 does not have."""
COLUMNS = (*sorted((*TEXTS, *MOMENTS, *NUMBERS)), *OUR_OWN)
"""FOCUS columns in order of their names, then our own."""

FocusRow = dict[str, str | Decimal | None]


class Marks(NamedTuple):
    """Incidents, and remedies in force, that rows are to name."""

    incidents: Sequence[Mark] = ()
    remedies: Sequence[Mark] = ()


NO_MARKS = Marks()


def focus_rows(
    warehouse: Warehouse,
    window: Window,
    *,
    table_for: Callable[[Iterable[PriceKey]], PriceTable],
    list_table_for: Callable[[Iterable[PriceKey]], PriceTable] | None = None,
    shared: Sequence[SharedCost] = (),
    marks: Marks = NO_MARKS,
) -> Iterator[FocusRow]:
    """The rows of the window, day by day, in one order for equal usage; shared costs come split among their teams.

    Raises:
        BadInput: the window does not start and end at midnight UTC.
    """
    for moment in (window.start, window.end):
        if to_us(moment) % (86_400 * 10**6):
            raise BadInput(f"a FOCUS export is by whole UTC days; {iso(moment)} is not midnight UTC")
    day = window.start
    while day < window.end:
        groups = groups_of_day(warehouse, Window(start=day, end=day + _DAY), shared)
        keys = {_key(group) for group in groups}
        table = table_for(keys)
        list_table = table if list_table_for is None else list_table_for(keys)
        for group in groups:
            known = {
                "x_IncidentId": marked(marks.incidents, group.day, group.dims),
                "x_RemediationId": marked(marks.remedies, group.day, group.dims),
            }
            yield from ({**row, **known} for row in _rows(group, table, list_table))
        day += _DAY


def _key(group: Group) -> PriceKey:
    return PriceKey(group.dims["provider"], group.dims["model"])


def _rows(group: Group, table: PriceTable, list_table: PriceTable) -> Iterator[FocusRow]:
    if not any(group.tokens):
        if group.cost_nanos:
            yield _request_row(group)
        return
    price, listed = (one.price_at(_key(group), group.day.start_us) for one in (table, list_table))
    tier, speed = group.dims["service_tier"], group.dims["speed"]
    found = charges(group.tokens, group.cost_nanos, requests=group.requests, price=price, tier=tier, speed=speed)
    full = at_list(found, group.tokens, price=price, listed=listed, tier=tier, speed=speed)
    amounts = map(_Amounts, found, full, _cash(group, found))
    for name, tokens, amount in zip(TOKEN_CLASSES, group.tokens, amounts, strict=True):
        if tokens:
            yield _token_row(group, name, tokens, amount)


def _cash(group: Group, found: list[Charge]) -> list[Decimal]:
    if group.cash_nanos == group.cost_nanos:
        return [charge.cost for charge in found]
    return [to_usd(nanos) for nanos in shared_out(group.cash_nanos, [charge.cost for charge in found])]


class _Amounts(NamedTuple):
    """What a row costs as contracted, at list, and in marginal cash."""

    contracted: Charge
    listed: Charge
    effective: Decimal


def _token_row(group: Group, token_class: str, tokens: int, amounts: _Amounts) -> FocusRow:
    meter, dims = METERS[token_class], group.dims
    details = {**model_details(dims["model"]), **meter.details}
    sku = f"{dims['provider']}/{dims['model']}/{meter.slug}"
    return {
        **_shared_columns(group),
        "ConsumedQuantity": Decimal(tokens),
        "ConsumedUnit": "Tokens",
        "PricingQuantity": Decimal(tokens) / PER,
        "PricingUnit": f"{PER} Tokens",
        **_money(amounts),
        "ChargeDescription": f"{dims['model']}: {meter.meter}",
        "SkuId": sku,
        "SkuMeter": meter.meter,
        "SkuPriceId": f"{sku}/{dims['service_tier']}/{dims['speed']}",
        "SkuPriceDetails": canonical_json({**details, "x_ServiceTier": dims["service_tier"], "x_Speed": dims["speed"]}),
    }


def _request_row(group: Group) -> FocusRow:
    """Models that are priced by the request alone."""
    dims, cost, cash = group.dims, to_usd(group.cost_nanos), to_usd(group.cash_nanos)
    unit = (cost / group.requests).quantize(Decimal(1).scaleb(-12))
    sku = f"{dims['provider']}/{dims['model']}/request"
    return {
        **_shared_columns(group),
        "ConsumedQuantity": Decimal(group.requests),
        "ConsumedUnit": "Requests",
        "PricingQuantity": Decimal(group.requests),
        "PricingUnit": "Requests",
        **_money(_Amounts(Charge(unit, cost), Charge(unit, cost), cash)),
        "ChargeDescription": f"{dims['model']}: Requests",
        "SkuId": sku,
        "SkuMeter": "Requests",
        "SkuPriceId": f"{sku}/{dims['service_tier']}/{dims['speed']}",
        "SkuPriceDetails": canonical_json(model_details(dims["model"])),
    }


def _money(amounts: _Amounts) -> FocusRow:
    """Priced and billed in USD."""
    contracted, listed, effective = amounts
    return {
        "ListUnitPrice": listed.unit_price,
        "ContractedUnitPrice": contracted.unit_price,
        "PricingCurrencyListUnitPrice": listed.unit_price,
        "PricingCurrencyContractedUnitPrice": contracted.unit_price,
        "ListCost": listed.cost,
        "ContractedCost": contracted.cost,
        "BilledCost": effective,
        "EffectiveCost": effective,
        "PricingCurrencyEffectiveCost": effective,
    }


def _shared_columns(group: Group) -> FocusRow:
    dims, day = group.dims, group.day
    month = day.start.replace(day=1)
    service = service_of(dims["provider"])
    developer = model_details(dims["model"]).get("ModelDeveloper", service.provider)
    tags = {name: dims[name] for name in ("team", "app", "environment") if dims[name] != NONE}
    return {
        "BillingAccountId": dims["provider"],
        "BillingAccountName": service.provider,
        "BillingCurrency": "USD",
        "BillingPeriodStart": iso(month),
        "BillingPeriodEnd": iso((month + timedelta(days=32)).replace(day=1)),
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": iso(day.start),
        "ChargePeriodEnd": iso(day.end),
        "CommitmentDiscountId": None,
        "CommitmentDiscountStatus": None,
        "InvoiceId": None,
        "InvoiceIssuerName": service.provider,
        "PricingCurrency": "USD",
        "PricingCategory": "Other" if group.cost_nanos and not group.cash_nanos else "Standard",
        "ProviderName": service.provider,
        "PublisherName": developer,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": service.service,
        "ServiceSubcategory": "Generative AI",
        "SubAccountId": _named(dims["team"]),
        "SubAccountName": _named(dims["team"]),
        "Tags": canonical_json(tags),
        **_allocated(group.shared),
        "x_App": _named(dims["app"]),
        "x_Environment": _named(dims["environment"]),
        "x_Provider": dims["provider"],
        "x_ServiceTier": dims["service_tier"],
        "x_Speed": dims["speed"],
        "x_Team": _named(dims["team"]),
        "x_Unpriced": "true" if group.unpriced else None,
    }


def _allocated(shared: SharedCost | None) -> FocusRow:
    """How a split row was split; a row that is nobody's share says nothing."""
    if shared is None:
        return {"x_AllocatedMethodDetails": None, "x_AllocatedMethodId": None, "x_AllocatedResourceName": None}
    weights = {team: format(weight, "f") for team, weight in shared.shares.items()}
    details = {"Method": shared.method, "Among": list(shared.targets), **({"Weights": weights} if weights else {})}
    return {
        "x_AllocatedMethodDetails": canonical_json(details),
        "x_AllocatedMethodId": shared.name,
        "x_AllocatedResourceName": shared.scope.text,
    }


def _named(value: str) -> str | None:
    return None if value == NONE else value
