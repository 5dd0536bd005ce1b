"""What a what-if engine returns: what each recorded request cost, and what it would have cost."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from store.model.usage import RecordTable

Nanos = npt.NDArray[np.int64]


class Replayed(NamedTuple):
    """Nano-USD per record, in the table's order. `refused`: which records would not have reached the provider."""

    before: Nanos
    after: Nanos
    refused: npt.NDArray[np.bool_]
    note: str
    """One sentence: what was replayed, and what the replay does not know."""
    cautious: Nanos | None = None
    """Nano-USD per record where what the replay does not know goes against us; None: as `after`."""
    share: float = 1.0
    """The share of the sessions that it reaches, by lot; `after` has that share of each record's change."""

    @property
    def spent_before_nanos(self) -> int:
        """What the records cost."""
        return int(self.before.sum())

    @property
    def spent_after_nanos(self) -> int:
        """What they would have cost."""
        return int(self.after.sum())

    @property
    def refused_share(self) -> float:
        """The share of the records that would have been refused, in [0, 1]."""
        return float(self.refused.mean()) if len(self.refused) else 0.0


def numbers(records: RecordTable, name: str) -> Nanos:
    """One numeric column of a table as int64."""
    return records.column(name).astype(np.int64)


def without(
    records: RecordTable, refused: npt.NDArray[np.bool_], note: str, *, surely: npt.NDArray[np.bool_] | None = None
) -> Replayed:
    """The replay in which the refused records cost nothing and all others what they cost.

    `surely`: those of them that would not be paid for even if refused callers came back; None: all.
    """
    before = numbers(records, "cost_nanos")
    cautious = None if surely is None else np.where(surely & refused, 0, before)
    return Replayed(before, np.where(refused, 0, before), refused, note, cautious)


def requests(records: RecordTable) -> Nanos:
    """How many requests each record is."""
    return numbers(records, "requests")


def select(records: RecordTable, keep: npt.NDArray[np.bool_]) -> RecordTable:
    """Only the records where `keep` is true."""
    return records._replace(columns={name: values[keep] for name, values in records.columns.items()})
