"""From files to deliveries: plain rows by columns, the others one by one, a row group of the store at a time.

A file is read here by the block of lines; threads make each block a batch, which is most of the work and hardly needs
Python; the batches are joined to deliveries here, in the order of the file. Meanwhile agent.steps.collect keeps the
delivery before. Memory is bounded by the blocks ahead and two deliveries.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from store.errors import BadInput
from store.model.usage import Quarantined, UsageRecord
from store.model.usage_batch import DELIVERY_ROWS, Delivery, UsageBatch, batch_of
from tools.sources.joining import cut, joined
from tools.sources.lines import Block, Unreadable, json_row, line_blocks

_THREADS = min(2, os.cpu_count() or 1)
_AHEAD = _THREADS + 1


class Plain(NamedTuple):
    """The plain rows of a block as a batch, and the lines that must be read alone."""

    batch: UsageBatch
    alone: list[bytes]


Read = Callable[[Block, int], Plain]
"""Called by several threads at once."""
Judge = Callable[[dict[str, object] | Unreadable, int], UsageRecord | Quarantined]


def deliveries(paths: Iterable[Path], *, read: Read, judge: Judge, observed_us: int) -> Iterator[Delivery]:
    """What the files hold, in order of the files; `judge` says what a row that is not plain is.

    Raises:
        BadInput: a file cannot be opened, or is damaged from some row on; what came before it was delivered.
    """
    waiting = _Waiting(lambda row: judge(row, observed_us))
    try:
        for plain, at in _read_ahead(_all_blocks(paths), lambda block: read(block, observed_us)):
            waiting.add(plain, at)
            while waiting.rows >= DELIVERY_ROWS:
                yield from waiting.delivered()
    except BadInput:
        yield from waiting.delivered()
        raise
    yield from waiting.delivered()


def nothing_is_plain(block: Block, observed_us: int) -> Plain:  # noqa: ARG001 # the form of Read
    """Every line is to be read alone."""
    return Plain(batch_of([]), block.lines())


def _all_blocks(paths: Iterable[Path]) -> Iterator[Block]:
    """The blocks of all files; `at` counts the bytes of all of them."""
    done = 0
    for path in paths:
        at = 0
        for block in line_blocks(path):
            at = block.at
            yield block._replace(at=done + at)
        done += at


def _read_ahead(blocks: Iterator[Block], read: Callable[[Block], Plain]) -> Iterator[tuple[Plain, int]]:
    """What is read of each block and how far it reaches, in order; the next ones are read meanwhile."""
    ahead: deque[tuple[Future[Plain], int]] = deque()
    damage: BadInput | None = None
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="read") as threads:
        try:
            for block in blocks:
                ahead.append((threads.submit(read, block), block.at))
                del block  # its memory, while it is waited for the one before
                if len(ahead) > _AHEAD:
                    yield _next(ahead)
        except BadInput as error:
            damage = error
        while ahead:
            yield _next(ahead)
    if damage is not None:
        raise damage


def _next(ahead: deque[tuple[Future[Plain], int]]) -> tuple[Plain, int]:
    reading, at = ahead.popleft()
    return reading.result(), at


class _Waiting:
    """What was read and is to be delivered."""

    def __init__(self, judge: Callable[[dict[str, object] | Unreadable], UsageRecord | Quarantined]) -> None:
        self._judge = judge
        self._batches: list[UsageBatch] = []
        self._alone: list[bytes] = []
        self._at = 0

    @property
    def rows(self) -> int:
        return sum(batch.rows for batch in self._batches) + len(self._alone)

    def add(self, plain: Plain, at: int) -> None:
        if plain.batch.rows:
            self._batches.append(plain.batch)
        self._alone += plain.alone
        self._at = at

    def delivered(self) -> Iterator[Delivery]:
        batch = self._next_batch()
        records: list[UsageRecord] = []
        rejected: list[Quarantined] = []
        for line in self._alone:
            row = self._judge(json_row(line))
            if isinstance(row, Quarantined):
                rejected.append(row)
            else:
                records.append(row)
        self._alone = []
        if batch.rows or rejected:
            yield Delivery(batch, tuple(rejected), self._at)
        if records:
            yield Delivery(batch_of(records), (), self._at)

    def _next_batch(self) -> UsageBatch:
        """Exactly a row group, if there are that many: a few rows more would be written again, with the next one."""
        first, rest = cut(joined(self._batches), DELIVERY_ROWS)
        self._batches = [rest] if rest.rows else []
        return first
