"""The labelled series of NAB as arrays."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pa_parquet

from evals.bench.nab_score import Floats, Windows
from store.errors import BadInput

BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[3] / "shared" / "data" / "nab"


class NabSeries(NamedTuple):
    """One series: its values in file order, the seconds since the epoch of each, and the labelled windows."""

    name: str
    seconds: Floats
    values: Floats
    windows: Windows


def read_nab(folder: Path) -> list[NabSeries]:
    """Every series of `nab_series.parquet` with the windows of `labels.json`, in file order.

    Raises:
        BadInput: the files are not there.
    """
    rows_file, labels_file = folder / "nab_series.parquet", folder / "labels.json"
    if not rows_file.is_file() or not labels_file.is_file():
        raise BadInput(
            f"{folder}: no nab_series.parquet and labels.json there; write --data FOLDER with the NAB series"
        )
    rows = pa_parquet.read_table(rows_file)
    labels = json.loads(labels_file.read_text())
    names = np.array(rows["series"].to_pylist(), dtype=object)
    seconds = rows["timestamp"].to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
    values = rows["value"].to_numpy().astype(np.float64)
    return [_series(name, seconds[names == name], values[names == name], labels) for name in dict.fromkeys(names)]


def _series(name: str, seconds: Floats, values: Floats, labels: dict[str, dict[str, list[list[str]]]]) -> NabSeries:
    spans = []
    for begin, end in labels[name]["windows"]:
        first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in (begin, end))
        inside = np.flatnonzero((seconds >= first) & (seconds <= last))
        spans.append((int(inside[0]), int(inside[-1])))
    return NabSeries(name, seconds, values, Windows(len(values), sorted(spans)))
