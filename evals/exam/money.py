"""What may be wrong with the money of a model while its traffic stays as it is."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from evals.world.faults.fault import hit
from store.errors import BadInput
from store.model.money import NANOS_PER_USD
from store.model.prices import PriceKey, PriceTable
from store.model.usage import UsageRecord, to_us
from store.price_overrides import Override, UsdPerMillion
from store.prices import PriceBook


def dearer(key: PriceKey, onset: datetime, factor: float) -> Override:
    """A new list price of the model from the onset on, every rate of it `factor` times the old one.

    Raises:
        BadInput: the model has no list price.
    """
    price = PriceBook().table_for([key]).price_at(key, to_us(onset))
    if price is None:
        raise BadInput(f"{key.model} has no list price that could rise; give the pattern another app")
    old = price.rates
    rates = UsdPerMillion(
        input=_usd(old.input_uncached, factor),
        output=_usd(old.output, factor),
        cache_read=_usd(old.cache_read, factor),
        cache_write_5m=_usd(old.cache_write_5m, factor),
        cache_write_1h=_usd(old.cache_write_1h, factor),
    )
    return Override(provider=key.provider, model=key.model, effective_from=onset, usd_per_million=rates)


def priced(records: Sequence[UsageRecord], table: PriceTable) -> list[UsageRecord]:
    """The records at the prices of the table."""
    return [record._replace(cost_nanos=table.cost(record)) for record in records]


def partly_free(records: Sequence[UsageRecord], model: str, share: float) -> list[UsageRecord]:
    """A `share` of the model's calls reported to cost nothing."""
    return [
        record._replace(cost_nanos=0) if record.model == model and hit(record, share) else record for record in records
    ]


def billed(records: Sequence[UsageRecord]) -> list[UsageRecord]:
    """The records with a bill that agrees with their cost."""
    return [record._replace(billed_nanos=record.cost_nanos) for record in records]


def inflated(records: Sequence[UsageRecord], model: str, factor: float) -> list[UsageRecord]:
    """The model's cost `factor` times what it was; the bill stays."""
    return [
        record._replace(cost_nanos=round(record.cost_nanos * factor))
        if record.model == model and record.cost_nanos is not None
        else record
        for record in records
    ]


def _usd(nanos: int, factor: float) -> Decimal:
    return Decimal(nanos) * Decimal(str(factor)) / NANOS_PER_USD
