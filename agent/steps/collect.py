"""collect: read a source's files, price the records, append them; keep what cannot be right."""

from collections.abc import Callable, Iterable
from pathlib import Path

from store.errors import BadInput
from store.model.ports import Source, Warehouse
from store.model.usage import Intake, Quarantined, Role, UsageRecord
from store.prices import PriceBook, price, price_keys

_BATCH = 50_000
"""Records held at once: DuckDB takes large batches almost twice as fast as batches of 10,000."""


def collect(
    *,
    source: Source,
    paths: Iterable[Path],
    warehouse: Warehouse,
    prices: PriceBook,
    role: Role = "metered",
    progress: Callable[[Intake], None] | None = None,
) -> Intake:
    """Take in all files; what became of every row. `progress` hears the counts so far after each batch.

    Doing it again changes nothing: the same rows count as duplicates.

    Raises:
        BadInput: a file cannot be read (on); the rows before that point were kept.
    """
    return take_in(rows=source.read(paths), warehouse=warehouse, prices=prices, role=role, progress=progress)


def take_in(
    *,
    rows: Iterable[UsageRecord | Quarantined],
    warehouse: Warehouse,
    prices: PriceBook,
    role: Role = "metered",
    progress: Callable[[Intake], None] | None = None,
) -> Intake:
    """Price and append what a source made of its rows, whichever door they came by."""
    intake = Intake()
    records: list[UsageRecord] = []
    rejected: list[Quarantined] = []
    try:
        for row in rows:
            if isinstance(row, Quarantined):
                rejected.append(row)
            else:
                records.append(row)
            if len(records) + len(rejected) >= _BATCH:
                intake += _keep(records, rejected, warehouse, prices, role)
                records, rejected = [], []
                if progress:
                    progress(intake)
    except BadInput:
        _keep(records, rejected, warehouse, prices, role)
        raise
    intake += _keep(records, rejected, warehouse, prices, role)
    if progress:
        progress(intake)
    return intake


def _keep(
    records: list[UsageRecord], rejected: list[Quarantined], warehouse: Warehouse, prices: PriceBook, role: Role
) -> Intake:
    warehouse.quarantine(rejected)
    priced = price(records, prices.table_for(price_keys(records)))
    return warehouse.append(priced, role=role) + Intake(quarantined=len(rejected))
