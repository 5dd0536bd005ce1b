"""Usage as FOCUS 1.2 rows: one row per UTC day, team, app, environment, provider, model, tier and token class.

Source: FOCUS 1.2 (columns and value lists), the 1.5 draft (keys of SkuPriceDetails), FIELD.md 2. ListCost and
ContractedCost are what the price book says. BilledCost and EffectiveCost are the part of it that is marginal cash:
usage that is included in seats or prepaid costs none. Rows carry no invoice: a provider's own bill stays the bill.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from store.errors import BadInput
from store.model.canonical import canonical_json
from store.model.money import to_usd
from store.model.ports import Warehouse
from store.model.prices import PriceKey, PriceTable
from store.model.usage import NONE, TOKEN_CLASSES, Cube, Window, iso, to_us
from tools.focus.costs import PER, Charge, charges, shared
from tools.focus.names import METERS, model_details, service_of

DIMENSIONS = ("team", "app", "environment", "provider", "model", "service_tier", "speed")
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
OUR_OWN = ("x_App", "x_Environment", "x_Provider", "x_ServiceTier", "x_Speed", "x_Team", "x_Unpriced")
COLUMNS = (*sorted((*TEXTS, *MOMENTS, *NUMBERS)), *OUR_OWN)
"""FOCUS columns in order of their names, then our own."""

FocusRow = dict[str, str | Decimal | None]


class _Group(NamedTuple):
    """What one day's requests of one combination of DIMENSIONS have in common."""

    day: Window
    dims: dict[str, str]
    tokens: tuple[int, ...]
    cost_nanos: int
    cash_nanos: int
    requests: int
    unpriced: int


def focus_rows(
    warehouse: Warehouse, window: Window, *, table_for: Callable[[Iterable[PriceKey]], PriceTable]
) -> Iterator[FocusRow]:
    """The rows of the window, day by day, in one order for equal usage.

    Raises:
        BadInput: the window does not start and end at midnight UTC.
    """
    for moment in (window.start, window.end):
        if to_us(moment) % (86_400 * 10**6):
            raise BadInput(f"a FOCUS export is by whole UTC days; {iso(moment)} is not midnight UTC")
    day = window.start
    while day < window.end:
        cube = warehouse.cube(
            Window(start=day, end=day + _DAY), bucket_seconds=int(_DAY.total_seconds()), dims=DIMENSIONS
        )
        groups = sorted(_groups(cube), key=lambda group: [group.dims[name] for name in DIMENSIONS])
        table = table_for({_key(group) for group in groups})
        for group in groups:
            yield from _rows(group, table)
        day += _DAY


def _groups(cube: Cube) -> Iterator[_Group]:
    for at in range(cube.rows):
        measures = {name: int(values[at]) for name, values in cube.measures.items()}
        yield _Group(
            day=cube.window,
            dims={name: cube.values[name][cube.codes[name][at]] for name in cube.codes},
            tokens=tuple(measures[name] for name in TOKEN_CLASSES),
            cost_nanos=measures["cost_nanos"],
            cash_nanos=measures["cash_nanos"],
            requests=measures["requests"],
            unpriced=measures["unpriced"],
        )


def _key(group: _Group) -> PriceKey:
    return PriceKey(group.dims["provider"], group.dims["model"])


def _rows(group: _Group, table: PriceTable) -> Iterator[FocusRow]:
    if not any(group.tokens):
        if group.cost_nanos:
            yield _request_row(group)
        return
    found = charges(
        group.tokens,
        group.cost_nanos,
        requests=group.requests,
        price=table.price_at(_key(group), group.day.start_us),
        tier=group.dims["service_tier"],
        speed=group.dims["speed"],
    )
    cash = _cash(group, found)
    for name, tokens, charge, effective in zip(TOKEN_CLASSES, group.tokens, found, cash, strict=True):
        if tokens:
            yield _token_row(group, name, tokens, charge, effective)


def _cash(group: _Group, found: list[Charge]) -> list[Decimal]:
    if group.cash_nanos == group.cost_nanos:
        return [charge.cost for charge in found]
    return [to_usd(nanos) for nanos in shared(group.cash_nanos, [charge.cost for charge in found])]


def _token_row(group: _Group, token_class: str, tokens: int, charge: Charge, effective: Decimal) -> FocusRow:
    meter, dims = METERS[token_class], group.dims
    details = {**model_details(dims["model"]), **meter.details}
    sku = f"{dims['provider']}/{dims['model']}/{meter.slug}"
    return {
        **_shared_columns(group),
        "ConsumedQuantity": Decimal(tokens),
        "ConsumedUnit": "Tokens",
        "PricingQuantity": Decimal(tokens) / PER,
        "PricingUnit": f"{PER} Tokens",
        **_money(charge, effective),
        "ChargeDescription": f"{dims['model']}: {meter.meter}",
        "SkuId": sku,
        "SkuMeter": meter.meter,
        "SkuPriceId": f"{sku}/{dims['service_tier']}/{dims['speed']}",
        "SkuPriceDetails": canonical_json({**details, "x_ServiceTier": dims["service_tier"], "x_Speed": dims["speed"]}),
    }


def _request_row(group: _Group) -> FocusRow:
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
        **_money(Charge(unit, cost), cash),
        "ChargeDescription": f"{dims['model']}: Requests",
        "SkuId": sku,
        "SkuMeter": "Requests",
        "SkuPriceId": f"{sku}/{dims['service_tier']}/{dims['speed']}",
        "SkuPriceDetails": canonical_json(model_details(dims["model"])),
    }


def _money(charge: Charge, effective: Decimal) -> FocusRow:
    """Priced and billed in USD; the price book holds what was agreed, so list and contract are one."""
    return {
        "ListUnitPrice": charge.unit_price,
        "ContractedUnitPrice": charge.unit_price,
        "PricingCurrencyListUnitPrice": charge.unit_price,
        "PricingCurrencyContractedUnitPrice": charge.unit_price,
        "ListCost": charge.cost,
        "ContractedCost": charge.cost,
        "BilledCost": effective,
        "EffectiveCost": effective,
        "PricingCurrencyEffectiveCost": effective,
    }


def _shared_columns(group: _Group) -> FocusRow:
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
        "x_App": _named(dims["app"]),
        "x_Environment": _named(dims["environment"]),
        "x_Provider": dims["provider"],
        "x_ServiceTier": dims["service_tier"],
        "x_Speed": dims["speed"],
        "x_Team": _named(dims["team"]),
        "x_Unpriced": "true" if group.unpriced else None,
    }


def _named(value: str) -> str | None:
    return None if value == NONE else value
