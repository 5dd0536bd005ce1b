"""The product's own adding up, from records as numbers in memory to both cubes in memory: what the peers do too."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evals.bench.rollup_peers import Work
from store.model.usage import CASH_MODES, CUBE_MEASURES
from store.usage.cells import cells_of_records, wider_cells
from store.usage.schema import COARSE_SECONDS, FINE_SECONDS, FLAGGED

_US = 10**6


def adding_up(records: pa.Table) -> Work:
    """Both cubes with all measures, by ready series numbers; the flags of the records are ready, too."""
    series, occurred_us = records.column("series").to_numpy(), records.column("occurred_us").to_numpy()
    amounts = {name: pc.fill_null(records.column(name), 0) for name in CUBE_MEASURES if name not in FLAGGED}
    flags = _flags(records)
    known = int(series.max()) + 1

    def work() -> int:
        bucket = occurred_us // (FINE_SECONDS * _US)
        first = int(bucket.min())
        ready = pa.table({"place": (bucket - first) * known + series, **amounts, "flags": flags})
        fine = cells_of_records(ready, first=first * FINE_SECONDS, seconds=FINE_SECONDS, series=known)
        return int(fine.num_rows + wider_cells(fine, COARSE_SECONDS).num_rows)

    return work


def _flags(records: pa.Table) -> npt.NDArray[np.uint8]:
    """A bit for each of FLAGGED, in its order; no record of this benchmark is without a price."""
    status, mode = records.column("status"), records.column("billing_mode")
    which = {
        "errors": pc.equal(pc.cast(status, pa.string()), "error"),
        "retries": pc.greater(records.column("attempt"), 1),
        "cash_nanos": pc.is_in(pc.cast(mode, pa.string()), pa.array(sorted(CASH_MODES))),
    }
    bits = np.zeros(records.num_rows, dtype=np.uint8)
    for at, name in enumerate(FLAGGED):
        if name in which:
            bits |= np.left_shift(which[name].to_numpy().astype(np.uint8), at)
    return bits
