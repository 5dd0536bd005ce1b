"""Tables for the lab: CSV or Parquet in, CSV or Parquet out, by suffix."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from store.errors import BadInput

Table = dict[str, list[object]]


def read_table(path: Path, *, needed: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """The columns asked for, as lists of equal length.

    Raises:
        BadInput: the file cannot be read, or a needed column is missing; the message names those that are there.
    """
    try:
        table = pa_parquet.read_table(path) if path.suffix == ".parquet" else pa_csv.read_csv(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInput(f"{path}: cannot be read as {path.suffix[1:] or 'CSV'}: {error}") from error
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise BadInput(f"{path}: no column {missing[0]!r}; it has {', '.join(table.column_names)}")
    return {name: table.column(name).to_pylist() for name in (*needed, *optional) if name in table.column_names}


def write_table(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    """Write the columns.

    Raises:
        BadInput: the file cannot be written.
    """
    table = pa.table({name: list(values) for name, values in columns.items()})
    try:
        if path.suffix == ".parquet":
            pa_parquet.write_table(table, path)
        else:
            pa_csv.write_csv(table, path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error})") from error
