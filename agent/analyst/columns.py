"""Columns of call records as plain arrays: one table out of several, and text as numbers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.analyst.leaves import Codes, Floats
from store.model.usage import NONE, RecordTable


class Coded(NamedTuple):
    """A text column as codes into its distinct values."""

    codes: Codes
    values: list[str]

    def known(self) -> npt.NDArray[np.bool_]:
        """Which rows have a value at all."""
        return np.not_equal(self.codes, self.values.index(NONE) if NONE in self.values else -1)


class Calls:
    """Call records of one or several tables, one after the other, oldest first within each."""

    def __init__(self, tables: Sequence[RecordTable]) -> None:
        self._tables = tables
        self._coded: dict[str, Coded] = {}
        self.rows = sum(table.rows for table in tables)

    def number(self, name: str) -> Floats:
        """A column of numbers as float64; empty where there are no calls."""
        parts = [table.columns[name] for table in self._tables if table.rows]
        return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)

    def micros(self) -> Codes:
        """When each call ended, in microseconds since the epoch."""
        parts = [table.columns["occurred_us"] for table in self._tables if table.rows]
        return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)

    def text(self, name: str) -> Coded:
        """A text column as codes."""
        if name not in self._coded:
            known: dict[str, int] = {}
            codes = [
                known.setdefault(str(value), len(known))
                for table in self._tables
                if table.rows
                for value in table.columns[name].tolist()
            ]
            self._coded[name] = Coded(np.array(codes, dtype=np.int64), list(known))
        return self._coded[name]

    def where(self, name: str, value: str) -> npt.NDArray[np.bool_]:
        """Which calls have the value."""
        column = self.text(name)
        return np.equal(column.codes, column.values.index(value) if value in column.values else -1)

    def input(self) -> Floats:
        """Input tokens of each call, cached ones included."""
        return self.number("input_uncached") + self.number("cache_read") + self.writes()

    def writes(self) -> Floats:
        """Tokens written to the cache, of both lifetimes."""
        return self.number("cache_write_5m") + self.number("cache_write_1h")


def share(part: float, whole: float) -> float:
    """The part of the whole; 0 where there is no whole."""
    return float(part) / float(whole) if whole else 0.0


def percentile(values: Floats | Codes, q: float) -> float:
    """A percentile; 0 of nothing."""
    return float(np.percentile(values, q)) if len(values) else 0.0
