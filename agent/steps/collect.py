"""collect: read a source's files, amend and price the records, append them; keep spans and what cannot be right."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from store.errors import BadInput
from store.model.amendment import AS_SAID, Amendment
from store.model.ports import ColumnSource, Source, Warehouse
from store.model.span import SourceRow, Span
from store.model.usage import Intake, Quarantined, Role, UsageRecord
from store.model.usage_batch import ROW_GROUP, Delivery, UsageBatch, batch_of
from store.price_batch import batch_keys, price_batch
from store.prices import PriceBook
from store.usage.columns import coded

Progress = Callable[[Intake, int], None]
"""Hears, after each batch that was kept, the counts so far and how many bytes of the files were read (0: not known)."""


def collect(
    *,
    source: Source,
    paths: Iterable[Path],
    warehouse: Warehouse,
    prices: PriceBook,
    role: Role = "metered",
    amendment: Amendment = AS_SAID,
    progress: Progress | None = None,
) -> Intake:
    """Take in all files; what became of every row. While a batch is kept the next one is read.

    Doing it again changes nothing: the same rows count as duplicates. Interrupted, it keeps whole batches.

    Raises:
        BadInput: a file cannot be read (on); the rows before that point were kept.
    """
    found = source.deliveries(paths) if isinstance(source, ColumnSource) else _by_rows(source.read(paths))
    intake = Intake()
    pending: Future[Intake] | None = None
    keep = partial(_keep, warehouse=warehouse, prices=prices, role=role, amendment=amendment)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="collect") as worker:
        kept_to = 0

        def settle() -> None:
            nonlocal intake, pending
            if pending is not None:
                last, pending = pending, None
                intake += last.result()
                if progress:
                    progress(intake, kept_to)

        try:
            for delivery in found:
                settle()
                pending, kept_to = worker.submit(keep, delivery), delivery.bytes_read
        finally:
            settle()
    return intake


def take_in(
    *,
    rows: Iterable[SourceRow],
    warehouse: Warehouse,
    prices: PriceBook,
    role: Role = "metered",
    amendment: Amendment = AS_SAID,
) -> Intake:
    """Amend, price and append what a source made of rows that are at hand, whichever door they came by."""
    keep = partial(_keep, warehouse=warehouse, prices=prices, role=role, amendment=amendment)
    return sum(map(keep, _by_rows(rows)), Intake())


def _by_rows(rows: Iterable[SourceRow]) -> Iterator[Delivery]:
    records: list[UsageRecord] = []
    rejected: list[Quarantined] = []
    spans: list[Span] = []

    def delivery() -> Delivery:
        return Delivery(batch_of(records), tuple(rejected), spans=tuple(spans))

    try:
        for row in rows:
            if isinstance(row, UsageRecord):
                records.append(row)
            elif isinstance(row, Span):
                spans.append(row)
            else:
                rejected.append(row)
            if len(records) + len(spans) + len(rejected) >= ROW_GROUP:
                yield delivery()
                records, rejected, spans = [], [], []
    except BadInput:
        yield delivery()
        raise
    if records or rejected or spans:
        yield delivery()


def _keep(delivery: Delivery, *, warehouse: Warehouse, prices: PriceBook, role: Role, amendment: Amendment) -> Intake:
    if delivery.rejected:
        warehouse.quarantine(delivery.rejected)
    if delivery.spans:
        warehouse.append_spans(delivery.spans)
    priced = _priced(amendment.batch(delivery.batch), prices)
    return warehouse.append(priced, role=role) + Intake(quarantined=len(delivery.rejected))


def _priced(batch: UsageBatch, prices: PriceBook) -> UsageBatch:
    ready = coded(batch, ("provider", "model", "service_tier", "speed"))
    return price_batch(ready, prices.table_for(batch_keys(ready)))
