"""The rows of a FOCUS file, whatever its form: CSV, Parquet, JSON lines."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from store.errors import BadInput
from tools.sources.documents import Object, json_documents
from tools.sources.lines import Unreadable, columns_of_csv, csv_rows

_ROWS = 10_000
_NEEDED = ("BilledCost", "BillingCurrency", "ChargeCategory", "ChargePeriodStart", "ChargePeriodEnd", "ServiceCategory")


def focus_rows(
    path: Path, *, needed: Sequence[str] = _NEEDED, what: str = "a FOCUS dataset"
) -> Iterator[Object | Unreadable]:
    """Rows as {column: value}, empty cells absent; `needed` are the columns without which it is no such dataset.

    Raises:
        BadInput: another suffix, no such dataset, or a file that cannot be read on.
    """
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind == ".csv":
        _need(path, columns_of_csv(path), needed, what)
        return csv_rows(path)
    if kind in (".jsonl", ".ndjson", ".json"):
        return json_documents(path)
    if path.suffix == ".parquet":
        return _parquet_rows(path, needed, what)
    raise BadInput(f"{path}: such a file ends in .csv, .jsonl, .ndjson or .json, each also with .gz, or in .parquet")


def _parquet_rows(path: Path, needed: Sequence[str], what: str) -> Iterator[Object]:
    read = 0
    try:
        with pq.ParquetFile(path) as file:
            _need(path, file.schema_arrow.names, needed, what)
            for batch in file.iter_batches(_ROWS):
                rows = batch.to_pylist(maps_as_pydicts="lossy")
                yield from rows
                read += len(rows)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(
            f"{path}: the Parquet file cannot be read past row {read} ({error}); the {read} rows before are kept"
        ) from error


def _need(path: Path, found: list[str], needed: Sequence[str], what: str) -> None:
    missing = [name for name in needed if name not in found]
    if missing:
        raise BadInput(f"{path}: not {what}: no column {', '.join(missing)}; it has {', '.join(found)}")
