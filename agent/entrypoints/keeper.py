"""Keeping what was pushed: one thread writes, group after group, so that no request waits long for the warehouse."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, Full, Queue
from typing import NamedTuple

from store.errors import Busy
from store.model.span import SourceRow
from store.model.usage import Intake

log = logging.getLogger("bursar.keeper")

Rows = Sequence[SourceRow]
_MOST_ROWS = 50_000


class _Brought(NamedTuple):
    rows: Rows
    kept: "Future[None]"


class Keeper:
    """Takes rows from many requests and keeps those that wait together in one write.

    A request that gives up cancels its future: what was not begun is dropped, what was begun is kept, and the sender's
    second try counts as duplicates. `keep` may block; `most_waiting` bounds how many requests may wait for it.
    """

    def __init__(self, keep: Callable[[list[SourceRow]], Intake], *, most_waiting: int = 64) -> None:
        self._keep = keep
        self._waiting: Queue[_Brought | None] = Queue(most_waiting)
        self._thread = threading.Thread(target=self._work, name="bursar-keeper", daemon=True)
        self._thread.start()

    def bring(self, rows: Rows) -> "Future[None]":
        """Hand rows over; the future ends once they are kept, or with the error that kept them out.

        Raises:
            Busy: too many wait already.
        """
        kept: Future[None] = Future()
        try:
            self._waiting.put_nowait(_Brought(rows, kept))
        except Full:
            raise Busy("too much waits to be kept; send it again in a few seconds") from None
        return kept

    def close(self) -> None:
        """Keep what waits, then stop."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            group, ended = self._with_first(first)
            begun = [one for one in group if one.kept.set_running_or_notify_cancel()]
            self._keep_group(begun)
            if ended:
                return

    def _with_first(self, first: _Brought) -> tuple[list[_Brought], bool]:
        """What waits behind the first, and whether the end was among it."""
        group, size = [first], len(first.rows)
        while size < _MOST_ROWS:
            try:
                more = self._waiting.get_nowait()
            except Empty:
                break
            if more is None:
                return group, True
            group.append(more)
            size += len(more.rows)
        return group, False

    def _keep_group(self, group: list[_Brought]) -> None:
        try:
            if group:
                self._keep([row for one in group for row in one.rows])
        except Exception as error:  # whatever it was, each sender must hear of it, and the thread go on
            log.exception("%d requests could not be kept", len(group))
            for one in group:
                one.kept.set_exception(error)
        else:
            for one in group:
                one.kept.set_result(None)
