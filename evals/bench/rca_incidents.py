"""The real incidents of the RS data set as leaf tables."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pa_parquet

from agent.analyst.attribution import LeafTable, leaf_table
from store.errors import BadInput

DIMENSIONS = ("cdn", "bitrate", "p2p", "device", "isp", "platform", "gameid")
MINUTES_BEFORE = 4
BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[3] / "shared" / "data" / "rca_rs"


class RealIncident(NamedTuple):
    """One incident: its leaves in the anomalous minute, and the combinations that people named as its cause.

    The measure is the share of good events, (cnt - value) / cnt, weighted by cnt; it is expected to be the mean of the
    four minutes before in which the leaf occurs, and not known (NaN) for a leaf that occurs in none of them.
    """

    case: str
    table: LeafTable
    causes: list[dict[str, str]]


def read_incidents(folder: Path) -> list[RealIncident]:
    """Every incident of `rs.parquet` and `labels.json` in a folder, in the order of the labels.

    Raises:
        BadInput: the files are not there.
    """
    rows_file, labels_file = folder / "rs.parquet", folder / "labels.json"
    if not rows_file.is_file() or not labels_file.is_file():
        raise BadInput(f"{folder}: no rs.parquet and labels.json there; write --data FOLDER with the RS data set")
    rows = pa_parquet.read_table(rows_file).to_pydict()
    by_case: dict[str, list[int]] = {}
    for i, case in enumerate(rows["case"]):
        by_case.setdefault(case, []).append(i)
    labels = json.loads(labels_file.read_text(encoding="utf-8"))
    return [
        RealIncident(label["case"], _leaves(rows, by_case[label["case"]], label["timestamp"]), label["cause"])
        for label in labels
    ]


def _leaves(rows: dict[str, list[object]], of_case: list[int], minute: int) -> LeafTable:
    dims = [name for name in DIMENSIONS if rows[name][of_case[0]] is not None]
    now: dict[tuple[str, ...], tuple[float, float]] = {}
    before: dict[tuple[str, ...], list[float]] = {}
    for i in of_case:
        leaf = tuple(str(rows[name][i]) for name in dims)
        bad, events, at = (int(str(rows[name][i])) for name in ("value", "cnt", "min"))
        if events == 0:
            continue
        if at == minute:
            now[leaf] = ((events - bad) / events, float(events))
        elif minute - 60 * MINUTES_BEFORE <= at < minute:
            before.setdefault(leaf, []).append((events - bad) / events)
    return leaf_table(
        {name: [leaf[d] for leaf in now] for d, name in enumerate(dims)},
        np.array([ratio for ratio, _ in now.values()]),
        np.array([np.mean(before[leaf]) if leaf in before else np.nan for leaf in now]),
        np.array([events for _, events in now.values()]),
    )
