"""The thread that pulls: an API that is slow, limits us or hangs holds up neither the tick nor the receiver."""

import logging
import threading
from collections.abc import Callable

from agent.bursar import Bursar
from agent.pulls import Pulls
from store.model.usage import Intake
from tools.sources.report_pages import AskedToWait

log = logging.getLogger("bursar.pulls")

_LOOK_SECONDS = 5.0
_MOST_PATIENCE = 30.0
"""Seconds that one source may keep the thread; whoever asks for more is asked again when they are over."""


class PullThread:
    """Pulls what is due until it is closed; nothing happens where no source is pulled."""

    def __init__(self, bursar: Bursar, *, counted: Callable[[Intake], None]) -> None:
        self._stopped = threading.Event()
        self._pulls = Pulls(
            sources=[source for source in bursar.settings.sources if source.pull is not None],
            warehouse=bursar.warehouse,
            prices=bursar.prices,
            amendment=bursar.settings.amendment,
            clock=bursar.clock,
            wait=self._wait,
            say=log.warning,
            counted=counted,
        )
        self._thread = threading.Thread(target=self._work, name="bursar-pulls", daemon=True)

    def start(self) -> None:
        """Begin, if there is anything to pull."""
        if self._pulls.sources:
            self._thread.start()

    def close(self) -> None:
        """Stop after the page that is being read; one that does not come is not waited for, nothing of it is kept."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                self._pulls.run_due()
            except Exception:  # whatever one answer brought about, the sources must be asked again
                log.exception("a round of pulls failed; the next one goes on")
            self._stopped.wait(_LOOK_SECONDS)

    def _wait(self, seconds: float) -> None:
        if seconds > _MOST_PATIENCE:
            raise AskedToWait(f"it is asked again in {seconds:.0f} s, from its cursor", seconds)
        if self._stopped.wait(seconds):
            raise AskedToWait("the service stops; it goes on from its cursor", 0)
