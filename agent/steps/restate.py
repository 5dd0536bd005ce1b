"""restate: take in whole statements of periods, so that rows which a newer statement no longer has are gone."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO, Protocol, runtime_checkable

import msgspec

from store.errors import BadInput
from store.model.amendment import AS_SAID, Amendment
from store.model.ports import Warehouse
from store.model.statement import Offer, RowsDigest, Said, Statement
from store.model.usage import Intake, Quarantined, Role, UsageRecord
from store.prices import PriceBook, price, price_keys

_BATCH = 50_000


@runtime_checkable
class Stating(Protocol):
    """A source whose files speak of whole periods."""

    def statements(self, paths: Iterable[Path]) -> Iterator[Said | Quarantined]:
        """The rows of the files, each with its statement; a statement without rows comes once with None.

        Raises:
            BadInput: a file cannot be read (on).
        """
        ...


def restate(
    *,
    source: Stating,
    paths: Iterable[Path],
    warehouse: Warehouse,
    prices: PriceBook,
    role: Role = "metered",
    amendment: Amendment = AS_SAID,
    progress: Callable[[Intake, int], None] | None = None,
) -> Intake:
    """Take in all files; those of one folder that speak of the same period are parts of one statement.

    `progress` hears, after each folder, the counts so far and how many bytes of the files were read.

    Raises:
        BadInput: a file cannot be read (on); nothing of its folder was taken.
    """
    intake, read = Intake(), 0
    for _, group in groupby(sorted(paths, key=lambda path: (path.parent, path)), key=lambda path: path.parent):
        files = list(group)
        intake += take_stated(
            rows=source.statements(files), warehouse=warehouse, prices=prices, role=role, amendment=amendment
        )
        if progress:
            read += sum(path.stat().st_size for path in files)
            progress(intake, read)
    return intake


def take_stated(
    *,
    rows: Iterable[Said | Quarantined],
    warehouse: Warehouse,
    prices: PriceBook,
    role: Role = "metered",
    amendment: Amendment = AS_SAID,
) -> Intake:
    """Amend, price and restate what a source made of its rows; all of them or, where reading fails, none."""
    newest: dict[str, Statement] = {}
    digests: dict[str, RowsDigest] = {}
    rejected: list[Quarantined] = []
    with tempfile.TemporaryFile() as file:
        spool = _Spool(file)
        try:
            for row in rows:
                if isinstance(row, Quarantined):
                    rejected.append(row)
                    continue
                statement, record = row
                slot = statement.slot
                known = newest.get(slot)
                if known is None or statement.version_us > known.version_us:
                    newest[slot] = statement
                told = digests.setdefault(slot, RowsDigest())
                if record is not None:
                    told.add([record])
                    spool.put(slot, record)
        except BadInput as error:
            raise BadInput(
                f"{str(error).partition(';')[0]}; nothing of the periods that it speaks of was taken: a row that is "
                "missing would count as withdrawn. Fetch the file again"
            ) from error
        warehouse.quarantine(rejected)
        offers = [Offer(statement, digests[slot].text) for slot, statement in newest.items()]
        batches = (_priced(batch, prices, amendment) for batch in spool.batches())
        return warehouse.restate(offers, batches, role=role) + Intake(quarantined=len(rejected))


_Row = tuple[str, UsageRecord]


class _Spool:
    """Rows on disk between reading them and knowing that all of them could be read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._waiting: list[_Row] = []

    def put(self, slot: str, record: UsageRecord) -> None:
        self._waiting.append((slot, record))
        if len(self._waiting) >= _BATCH:
            self._flush()

    def batches(self) -> Iterator[list[_Row]]:
        """Everything that was put, once."""
        self._flush()
        self._file.seek(0)
        while size := int.from_bytes(self._file.read(8), "big"):
            yield msgspec.msgpack.decode(self._file.read(size), type=list[_Row])

    def _flush(self) -> None:
        if self._waiting:
            content = msgspec.msgpack.encode(self._waiting)
            self._file.write(len(content).to_bytes(8, "big") + content)
            self._waiting = []


def _priced(batch: list[_Row], prices: PriceBook, amendment: Amendment) -> tuple[list[str], list[UsageRecord]]:
    records = amendment.records([record for _, record in batch])
    return [slot for slot, _ in batch], price(records, prices.table_for(price_keys(records)))
