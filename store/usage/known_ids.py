"""Which ids the table may hold, told from memory: a look at the table for every new id costs more as it grows."""

from weakref import WeakKeyDictionary

import duckdb
import numpy as np
import numpy.typing as npt

from store.model.usage import Role

Hashes = npt.NDArray[np.uint64]


class KnownIds:
    """64-bit hashes of ids, 8 bytes each, in sorted runs of which each is at least twice as long as the next.

    It may know an id that the table does not hold (removed, or the hash of another), never the other way round: an id
    that it does not know is new, one that it knows must be looked for. An id costs O(log n), amortised.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._runs: list[Hashes] = []
        self._add(np.sort(hashes))

    def meet(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Which of the hashes were known or come more than once; all are known from now on."""
        order = np.argsort(hashes)
        ordered = hashes[order]
        same = ordered[1:] == ordered[:-1]
        known = np.zeros(len(hashes), dtype=np.bool_)
        for run in self._runs:
            known |= run[np.minimum(np.searchsorted(run, ordered), len(run) - 1)] == ordered
        new = ~known
        new[1:] &= ~same
        self._add(ordered[new])
        known[1:] |= same
        known[:-1] |= same
        found = np.empty_like(known)
        found[order] = known
        return found

    def _add(self, ordered: Hashes) -> None:
        if len(ordered):
            self._runs.append(ordered)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            newest, other = self._runs.pop(), self._runs.pop()
            merged = np.concatenate([other, newest])
            merged.sort()
            self._runs.append(merged)


_KNOWN: WeakKeyDictionary[duckdb.DuckDBPyConnection, dict[Role, KnownIds]] = WeakKeyDictionary()
"""By connection: one process writes the file, and every row comes in through store.usage.append."""
_STORED = "SELECT hash(record_id) AS hash FROM records WHERE role = ?"
_INCOMING = "SELECT hash(record_id) AS hash FROM incoming"


def meet_incoming(connection: duckdb.DuckDBPyConnection, role: Role) -> npt.NDArray[np.bool_]:
    """Which rows of `incoming` must be compared, in its order; the first call reads the ids that are stored."""
    by_role = _KNOWN.setdefault(connection, {})
    if role not in by_role:
        by_role[role] = KnownIds(_hashes(connection, _STORED, role))
    return by_role[role].meet(_hashes(connection, _INCOMING))


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """Read the ids anew with the next append: a rollback may have brought removed ones back."""
    _KNOWN.pop(connection, None)


def _hashes(connection: duckdb.DuckDBPyConnection, query: str, *parameters: str) -> Hashes:
    return np.asarray(connection.execute(query, parameters).fetchnumpy()["hash"], dtype=np.uint64)
