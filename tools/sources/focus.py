"""FOCUS 1.0 to 1.4, as CSV (also gzipped), Parquet or JSON lines: the token charges of a cost and usage dataset.

Source: focus.finops.org, columns of 1.0 to 1.4 and the 1.5 draft's SkuPriceDetails keys (FIELD.md 2). A row is one
meter of one charge period, so a record has tokens of one class. `billed` is BilledCost where BillingCurrency is USD;
other currencies need a dated rate and stay without a billed amount (tags billing_currency, billed_cost).

A row has no id in FOCUS. Rows are told apart by all columns that hold no measured amount, and where a file repeats
these, by their order in that file. A billing account and billing period are restated as a whole (`statements`): a file
was made when it was last written.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from store.model.canonical import digest
from store.model.ports import Clock
from store.model.statement import Said, Statement
from store.model.usage import NONE, BillingMode, Quarantined, UsageRecord, to_us
from tools.sources.buckets import bucket_id, least_requests, span_of, tags_of
from tools.sources.documents import Object, Skipped, first
from tools.sources.fields import Faulty, amount, count, number, reject, text, vet
from tools.sources.focus_meters import AI_CATEGORY, Meter, is_batch, is_language_model, meter_of
from tools.sources.focus_periods import billing_start, statement_of, written_us
from tools.sources.focus_rows import focus_rows
from tools.sources.lines import Unreadable
from tools.sources.otel_spans import provider_name

MEASURED = frozenset(
    {
        *("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "ConsumedQuantity", "PricingQuantity"),
        *("ListUnitPrice", "ContractedUnitPrice", "CommitmentDiscountQuantity", "PricingCurrencyEffectiveCost"),
        *("PricingCurrencyListUnitPrice", "PricingCurrencyContractedUnitPrice", "InvoiceId", "InvoiceDetailId"),
        "x_Unpriced",
    }
)
"""Columns that a restatement may change; all others together tell a row from every other."""

_TIMES = frozenset({"ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart", "BillingPeriodEnd"})
_PROVIDERS = {
    "aws": "bedrock",
    "amazon web services": "bedrock",
    "microsoft": "azure",
    "microsoft azure": "azure",
    "google": "vertex_ai",
    "google cloud": "vertex_ai",
    "google cloud platform": "vertex_ai",
}
_HOST = ("x_Provider", "ServiceProviderName", "ProviderName", "HostProviderName")
_TEAM = ("x_Team", "Tags.team", "Tags.Team")
_APP = ("x_App", "Tags.app", "Tags.App", "Tags.application", "Tags.Application")
_ENVIRONMENT = ("x_Environment", "Tags.environment", "Tags.Environment", "Tags.env")
_CREDENTIAL = ("CredentialId", "x_CredentialId", "x_ApiKeyId")


class FocusSource:
    """Reads FOCUS datasets, or what `rows` makes of another bill.

    `skipped` counts the rows that are no token charges, by reason.
    """

    def __init__(
        self, *, name: str, clock: Clock, rows: Callable[[Path], Iterator[Object | Unreadable]] = focus_rows
    ) -> None:
        self.skipped: Counter[str] = Counter()
        self._rows = rows
        self._name = name
        self._clock = clock

    def read(self, paths: Iterable[Path]) -> Iterator[UsageRecord | Quarantined]:
        """Records in file order, lazily; memory holds one number for each token charge of a file.

        Raises:
            BadInput: a file has another suffix, is no FOCUS dataset, cannot be opened, or is damaged from some row on;
                the rows before it were yielded.
        """
        observed_us = to_us(self._clock())
        for path in paths:
            repeated: Counter[str] = Counter()
            for row in self._rows(path):
                found = self._judge(row, observed_us, repeated)
                if isinstance(found, Skipped):
                    self.skipped[found.reason] += 1
                else:
                    yield found

    def statements(self, paths: Iterable[Path]) -> Iterator[Said | Quarantined]:
        """The same rows, each with the statement of its billing account and period, made when its file was written.

        Where files repeat a row, the newest file's counts.

        Raises:
            BadInput: as `read` does.
        """
        observed_us = to_us(self._clock())
        for path in paths:
            version_us = written_us(path)
            known: set[Statement] = set()
            repeated: Counter[str] = Counter()
            for row in self._rows(path):
                found = self._judge(row, observed_us, repeated)
                if isinstance(found, Quarantined):
                    yield found
                    continue
                assert isinstance(row, dict), "what cannot be read was rejected"
                statement = statement_of(row, self._name, version_us)
                if isinstance(found, UsageRecord):
                    yield statement, found._replace(observed_us=version_us)
                else:
                    self.skipped[found.reason] += 1
                    if statement not in known:
                        yield statement, None
                known.add(statement)

    def _judge(
        self, row: Object | Unreadable, observed_us: int, repeated: Counter[str]
    ) -> UsageRecord | Quarantined | Skipped:
        if isinstance(row, Unreadable):
            return reject(self._name, observed_us, row.reason, row.raw)
        try:
            passed_over = _no_token_charge(row)
            if passed_over:
                return Skipped(passed_over)
            record = _record(row, self._name, observed_us)
            identity = _identity(row, record)
            repeated[identity] += 1
            return vet(record._replace(record_id=bucket_id(self._name, identity, repeated[identity])))
        except Faulty as error:
            return reject(self._name, observed_us, str(error), row)


def _no_token_charge(row: Object) -> str | None:
    category = text(row.get("ChargeCategory"))
    if category in ("Purchase", "Tax", "Credit", "Adjustment"):
        return f"ChargeCategory {category}: money that is no usage"
    if text(row.get("ChargeClass")) == "Correction":
        return "ChargeClass Correction: a correction of an invoiced period"
    if text(row.get("ServiceCategory")) != AI_CATEGORY:
        return f"ServiceCategory other than {AI_CATEGORY}"
    if not is_language_model(row):
        return f"{AI_CATEGORY} that is not measured in tokens"
    return None


def _identity(row: Object, record: UsageRecord) -> str:
    # Times are compared as moments: CSV has them as text, Parquet perhaps as timestamps.
    columns = [name for name in sorted(row) if row[name] is not None and name not in MEASURED | _TIMES]
    when = [record.occurred_us, record.period_seconds, *billing_start(row)]
    return digest([*when, *([name, text(row[name])] for name in columns)])


def _record(row: Object, source: str, observed_us: int) -> UsageRecord:
    occurred, seconds = span_of(
        row.get("ChargePeriodStart"), row.get("ChargePeriodEnd"), ("ChargePeriodStart", "ChargePeriodEnd")
    )
    details, tags = _json(row.get("SkuPriceDetails")), _json(row.get("Tags"))
    flat = {**row, **{f"Tags.{name}": value for name, value in tags.items()}}
    meter = meter_of(row, details)
    tokens = _tokens(row, meter)
    whole = sum(n for name, n in tokens.items() if name != "output")
    return UsageRecord(
        record_id=NONE,
        source=source,
        observed_us=observed_us,
        occurred_us=occurred,
        provider=_provider(row),
        model=meter.model,
        requested_model=meter.model,
        service_tier=text(first({**row, **details}, ("x_ServiceTier",)) or ("batch" if is_batch(row) else "standard")),
        speed=text(first({**row, **details}, ("x_Speed",)) or "standard"),
        region=text(row.get("RegionId")),
        requests=least_requests(whole),
        period_seconds=seconds,
        team=text(first(flat, _TEAM)),
        app=text(first(flat, _APP)),
        environment=text(first(flat, _ENVIRONMENT)),
        api_key_id=text(first(flat, _CREDENTIAL)),
        end_user=text(row.get("ConsumerId")),
        tags=tuple(
            sorted(
                (
                    *_accounts(row),
                    *tags_of([("meter", row.get("SkuMeter"))]),
                    *_foreign(row),
                    *_unclassified(row, meter),
                )
            )
        ),
        input_uncached=tokens.get("input_uncached", 0),
        cache_read=tokens.get("cache_read", 0),
        cache_write_5m=tokens.get("cache_write_5m", 0),
        cache_write_1h=tokens.get("cache_write_1h", 0),
        output=tokens.get("output", 0),
        billed_nanos=_billed(row),
        billing_mode=_billing_mode(row),
    )


def _tokens(row: Object, meter: Meter) -> dict[str, int]:
    if meter.token_class is None or meter.tokens_per_unit is None:
        return {}
    quantity = number(first(row, ("ConsumedQuantity", "PricingQuantity")), "ConsumedQuantity")
    return {meter.token_class: count(quantity * meter.tokens_per_unit, "ConsumedQuantity")}


def _unclassified(row: Object, meter: Meter) -> tuple[tuple[str, str], ...]:
    """Tokens of a meter that does not say which kind it counts: its money is kept, its tokens are in no class."""
    if meter.tokens_per_unit is None or meter.token_class is not None:
        return ()
    return tags_of([("unclassified_tokens", first(row, ("ConsumedQuantity", "PricingQuantity")))])


def _provider(row: Object) -> str:
    named = text(first(row, _HOST))
    return _PROVIDERS.get(named.lower(), provider_name(named))


def _billed(row: Object) -> int | None:
    number(row.get("BilledCost"), "BilledCost")
    return amount(row.get("BilledCost"), "BilledCost") if _currency(row) == "USD" else None


def _foreign(row: Object) -> tuple[tuple[str, str], ...]:
    """What is billed in another currency, as the decimal text that the row has."""
    if _currency(row) == "USD":
        return ()
    return tags_of([("billing_currency", _currency(row)), ("billed_cost", row.get("BilledCost"))])


def _currency(row: Object) -> str:
    return text(row.get("BillingCurrency")).upper()


def _accounts(row: Object) -> tuple[tuple[str, str], ...]:
    return tags_of([("billing_account", row.get("BillingAccountId")), ("sub_account", row.get("SubAccountId"))])


def _billing_mode(row: Object) -> BillingMode:
    if text(row.get("CapacityReservationId")) != NONE:
        return "provisioned"
    committed = text(row.get("CommitmentDiscountId")) != NONE or text(row.get("PricingCategory")) == "Committed"
    return "prepaid" if committed else "metered"


def _json(value: object) -> Object:
    """A JSON column, which CSV has as text; what is no object has nothing for us."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}
