"""Actors that run one at a time: each is a thread that stops at every point and goes on only when it is told to.

So plain functions can be pre-empted and killed at their failpoints, and a seed replays a history exactly.
"""

import threading
from collections.abc import Callable

Point = Callable[[str], None]
"""Called with a name where the actor may be stopped; a failpoint is one."""


class _Death(BaseException):
    """The process of this actor is gone; what it knew is lost."""


class Actor:
    """One play: a function that calls its point wherever it may be pre-empted or die."""

    def __init__(self, play: Callable[[Point], None]) -> None:
        self._play = play
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._dies = False
        self._error: BaseException | None = None
        self.over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def advance(self, *, dies: bool = False) -> None:
        """Run to the next point, or die at the one where it stands."""
        self._dies = dies
        self._go.release()
        self._back.acquire()
        if self.over:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._point("start")
            self._play(self._point)
        except _Death:
            pass
        except BaseException as error:  # raised again in the scheduler's thread
            self._error = error
        self.over = True
        self._back.release()

    def _point(self, name: str) -> None:
        if name != "start":
            self._back.release()
        self._go.acquire()
        if self._dies:
            raise _Death
