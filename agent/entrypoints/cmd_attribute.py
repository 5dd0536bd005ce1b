"""The lab: the shipped attribution on any leaf table, without a warehouse, a ledger or a configuration."""

from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
import typer

from agent.analyst.attribution import Culprit, LeafTable, attribute
from agent.analyst.leaves import Floats
from agent.entrypoints.console import print_json, print_table, say
from store.errors import BadInput
from store.model.usage import NONE

MAX_DIMS = 10


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("attribute")(attribute_command)


def attribute_command(
    file: Annotated[Path, typer.Argument(help="CSV, or Parquet by suffix: one row per leaf.")],
    dims: Annotated[str, typer.Option(help="The columns to blame, separated by commas; at most 10.")],
    actual: Annotated[str, typer.Option(help="The column with what was measured; empty: nothing.")],
    expected: Annotated[str, typer.Option(help="The column with what was expected; empty: not expected.")],
    weight: Annotated[
        str | None, typer.Option(help="For a ratio (cost per request, hit ratio): the column with its denominator now.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="At most so many answers.")] = 3,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Find the combinations of column values that explain why a measure differs from its expectation, best first.

    Where the data cannot well tell two answers apart both are listed, the weaker one as a rival. An answer without
    dimensions says that everything moved by one factor.
    """
    table = read_leaves(file, dims=_names(dims), actual=actual, expected=expected, weight=weight)
    culprits = attribute(table, top=top, rivals=True)
    total = _total(table)
    if json_:
        causes = [
            {"dims": c.dims, "explained": c.explained, "score": c.score, "change": c.change, "rival": c.rival}
            for c in culprits
        ]
        print_json({"causes": causes, "total": total})
        return
    say(f"actual {total['actual']:.6g}, expected {total['expected']:.6g}, {len(table.actual)} leaves")
    print_table(
        ["combination", "explained", "score", ""],
        [[_says(c), f"{c.explained:.1%}", f"{c.score:.2f}", "rival of the first" if c.rival else ""] for c in culprits],
        empty="nothing moved beyond noise",
    )


def read_leaves(file: Path, *, dims: tuple[str, ...], actual: str, expected: str, weight: str | None) -> LeafTable:
    """The leaf table in a file; a missing dimension value is "(none)".

    Raises:
        BadInput: the file cannot be read, a column is missing, or a number is not one, not finite or below zero.
    """
    numbers = (actual, expected) if weight is None else (actual, expected, weight)
    table = _read(file, dims, numbers)
    codes, values = {}, {}
    for name in dims:
        text = pc.fill_null(table.column(name).cast(pa.string()), "")
        column = pc.if_else(pc.equal(text, ""), NONE, text).combine_chunks().dictionary_encode()
        codes[name] = column.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        values[name] = [str(value) for value in column.dictionary.to_pylist()]
    real = _numbers(file, table, actual)
    plan = _numbers(file, table, expected)
    if weight is None:
        return LeafTable(codes, values, np.nan_to_num(real), np.nan_to_num(plan))
    size = np.nan_to_num(_numbers(file, table, weight))
    size = np.where(np.isnan(real), 0.0, size)
    return LeafTable(codes, values, np.nan_to_num(real), plan, size)


def _read(file: Path, dims: tuple[str, ...], numbers: tuple[str, ...]) -> pa.Table:
    """The columns; dimensions of a CSV are read as text, so that 007 stays 007."""
    as_text = pa_csv.ConvertOptions(column_types=dict.fromkeys(dims, pa.string()))
    try:
        if file.suffix == ".parquet":
            table = pa_parquet.read_table(file)
        else:
            table = pa_csv.read_csv(file, convert_options=as_text)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{file}: cannot be read as {file.suffix[1:] or 'CSV'}: {error}") from error
    for name in (*dims, *numbers):
        if table.column_names.count(name) != 1:
            has = "no" if name not in table.column_names else "more than one"
            raise BadInput(f"{file}: {has} column {name!r}; it has {', '.join(table.column_names)}")
    return table


def _numbers(file: Path, table: pa.Table, name: str) -> Floats:
    """A column of numbers, NaN where there is none."""
    try:
        column: Floats = table.column(name).cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    except pa.ArrowException as error:
        raise BadInput(f"{file}: column {name!r} is not a column of numbers: {error}") from error
    wrong = np.flatnonzero((column < 0) | np.isinf(column))
    if len(wrong):
        raise BadInput(f"{file}: column {name!r}, row {wrong[0] + 1}: {column[wrong[0]]:g}; write a number from 0 up")
    return column


def _names(dims: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in dims.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise BadInput(f"--dims: {dims!r}; write distinct column names separated by commas")
    if len(names) > MAX_DIMS:
        raise BadInput(f"--dims: {len(names)} columns; write at most {MAX_DIMS}")
    return names


def _total(table: LeafTable) -> dict[str, float]:
    """The measure over all leaves: sums, or of a ratio the weighted means over the leaves where it is known."""
    if table.weight is None:
        return {"actual": float(table.actual.sum()), "expected": float(table.expected.sum())}
    known = table.weight * ~np.isnan(table.expected)
    everything, expected = float(table.weight.sum()), float(known.sum())
    return {
        "actual": float(table.weight @ table.actual) / everything if everything else 0.0,
        "expected": float(known @ np.nan_to_num(table.expected)) / expected if expected else 0.0,
    }


def _says(culprit: Culprit) -> str:
    return ", ".join(f"{name}={value}" for name, value in culprit.dims.items()) or "everything"
