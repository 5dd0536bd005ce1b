"""From files to deliveries: plain rows by columns, the others one by one, a row group of the store at a time."""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from store.errors import BadInput
from store.model.usage import Quarantined, UsageRecord
from store.model.usage_batch import DELIVERY_ROWS, Delivery, UsageBatch, batch_of
from tools.sources.lines import Unreadable, json_row, line_blocks


class Plain(NamedTuple):
    """The plain rows of some lines as a batch, and the lines that must be read alone."""

    batch: UsageBatch
    others: list[bytes]


Read = Callable[[Sequence[bytes], int], Plain]
Judge = Callable[[dict[str, object] | Unreadable, int], UsageRecord | Quarantined]


def deliveries(paths: Iterable[Path], *, read: Read, judge: Judge, observed_us: int) -> Iterator[Delivery]:
    """What the files hold, in order of the files; `judge` says what a row that is not plain is.

    Raises:
        BadInput: a file cannot be opened, or is damaged from some row on; what came before it was delivered.
    """
    waiting = _Waiting(read, judge, observed_us)
    done = 0
    for path in paths:
        try:
            for block in line_blocks(path):
                waiting.lines += block.lines
                waiting.at = done + block.at
                while len(waiting.lines) >= DELIVERY_ROWS:
                    yield from waiting.delivered()
        except BadInput:
            yield from waiting.delivered()
            raise
        done = waiting.at
    yield from waiting.delivered()


def nothing_is_plain(lines: Sequence[bytes], observed_us: int) -> Plain:  # noqa: ARG001 # the form of Read
    """Every line is to be read alone."""
    return Plain(batch_of([]), list(lines))


@contextmanager
def _without_collection() -> Iterator[None]:
    """No cyclic garbage collection: a million small objects that form no cycle would be looked through ten times."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Waiting:
    """Lines that are to be delivered together."""

    def __init__(self, read: Read, judge: Judge, observed_us: int) -> None:
        self.lines: list[bytes] = []
        self.at = 0
        self._read, self._judge, self._observed_us = read, judge, observed_us

    def delivered(self) -> Iterator[Delivery]:
        if not self.lines:
            return
        # Exactly a row group: a few rows more would be written a second time, with the next one.
        lines, self.lines = self.lines[:DELIVERY_ROWS], self.lines[DELIVERY_ROWS:]
        with _without_collection():
            batch, others = self._read(lines, self._observed_us)
        del lines
        records: list[UsageRecord] = []
        rejected: list[Quarantined] = []
        for line in others:
            row = self._judge(json_row(line), self._observed_us)
            if isinstance(row, Quarantined):
                rejected.append(row)
            else:
                records.append(row)
        yield Delivery(batch, tuple(rejected), self.at)
        if records:
            yield Delivery(batch_of(records), (), self.at)
