"""The running service: the tick, the API on the loopback, and the socket in the data directory."""

import logging
import signal
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from types import FrameType

import uvicorn

from agent.bursar import Bursar
from agent.entrypoints.inbox import SlackDesk
from agent.entrypoints.intake import intake_of
from agent.entrypoints.pull_thread import PullThread
from agent.entrypoints.receiver import receiver_of
from agent.entrypoints.retention import drop_what_is_old
from agent.entrypoints.schedule import start_ticking
from agent.entrypoints.server import Metrics, build_api
from agent.entrypoints.socket import SocketServer, build_socket_api
from agent.entrypoints.weekly import make_due_summaries
from agent.report.week import zone_of
from agent.steps.draw import draw
from store.errors import BursarError
from store.model.money import usd_number
from store.model.usage import Intake

log = logging.getLogger("bursar.service")


class Service:
    """Holds the assembled parts while they run."""

    def __init__(self, bursar: Bursar) -> None:
        self.bursar = bursar
        self.metrics = Metrics()
        self._last_tick: datetime | None = None
        self._one_at_a_time = threading.Lock()
        self._woken = threading.Event()

    def run(self, *, say: Callable[[str], None]) -> None:
        """Serve until SIGINT or SIGTERM; the tick that runs then is finished first."""
        settings = self.bursar.settings
        stopped = threading.Event()
        api = build_api(
            clock=self.bursar.clock,
            ping=self.bursar.ping,
            last_tick=lambda: self._last_tick,
            refresh=self._refresh,
            metrics=self.metrics,
            stale_after_seconds=max(120, 3 * settings.schedule.tick_seconds),
        )
        intake = intake_of(self.bursar, counted=self._count)
        if intake is not None:
            api.include_router(intake)
        receiver = receiver_of(self.bursar, counted=self._count)
        if receiver is not None:
            api.include_router(receiver.router)
        config = uvicorn.Config(api, host=settings.server.host, port=settings.server.port, log_level="warning")
        server = uvicorn.Server(config)
        door = SocketServer(
            build_socket_api(warehouse=self.bursar.warehouse, data_dir=settings.data_dir), settings.data_dir
        )

        def stop(_number: int, _frame: FrameType | None) -> None:
            stopped.set()

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        web = threading.Thread(target=server.run, name="bursar-api", daemon=True)
        web.start()
        door.start()
        pulls = PullThread(self.bursar, counted=self._count)
        pulls.start()
        scheduler = start_ticking(self.tick, seconds=settings.schedule.tick_seconds)
        desk = self._open_desk()
        waker = threading.Thread(target=self._move_when_woken, args=(stopped,), name="bursar-wake", daemon=True)
        waker.start()
        if desk is not None:
            desk.start()
        where = f"http://{settings.server.host}:{settings.server.port}"
        say(f"bursar serves on {where} (policy: {settings.policy.mode}); Ctrl-C stops it")
        stopped.wait()
        say("stopping: the running tick is finished first")
        scheduler.shutdown(wait=True)
        pulls.close()
        if desk is not None:
            desk.close()
        self._woken.set()
        waker.join()
        door.close()
        server.should_exit = True
        web.join(10)
        if receiver is not None:
            receiver.close()

    def tick(self) -> None:
        """One tick: everything that is due. A failure is logged and counted, and the next tick tries again."""
        try:
            with self._one_at_a_time:
                looked = self.bursar.tick()
                make_due_summaries(self.bursar)
                drop_what_is_old(self.bursar)
        except Exception:  # whatever a part does wrong, the service outlives it: it is logged and counted
            self.metrics.ticks.labels("failed").inc()
            log.exception("the tick failed; the next one tries again")
            return
        self._last_tick = self.bursar.clock()
        self.metrics.ticks.labels("ok").inc()
        self.metrics.last_tick.set(self._last_tick.timestamp())
        for remedy_id, step in looked.steps:
            log.info("%s: %s", remedy_id, step)

    def _open_desk(self) -> SlackDesk | None:
        bursar, settings = self.bursar, self.bursar.settings
        if settings.slack is None:
            return None
        zone = zone_of(settings.schedule.weekly.time_zone)
        return SlackDesk(
            settings=settings.slack,
            policy=settings.policy,
            ledger=bursar.ledger,
            clock=bursar.clock,
            owner=bursar.owner,
            zone=zone,
            wake=self._woken.set,
            chart=lambda incident: draw(incident=incident, warehouse=bursar.warehouse, zone=zone),
        )

    def _move_when_woken(self, stopped: threading.Event) -> None:
        """A decision is walked at once; a wake that is lost only waits for the next tick."""
        while self._woken.wait() and not stopped.is_set():
            self._woken.clear()
            try:
                with self._one_at_a_time:
                    steps = self.bursar.reconcile()
            except BursarError:
                log.exception("a decision could not be walked; the next tick tries again")
                continue
            for remedy_id, step in steps:
                log.info("%s: %s", remedy_id, step)

    def _count(self, intake: Intake) -> None:
        for outcome, rows in intake.model_dump().items():
            self.metrics.records.labels(outcome).inc(rows)

    def _refresh(self) -> None:
        open_now = self.bursar.ledger.incidents(status="open")
        self.metrics.incidents.set(len(open_now))
        self.metrics.excess.set(sum(usd_number(incident.excess_nanos) for incident in open_now))
        self.metrics.kill_switch.set(self.bursar.ledger.kill_switch())
        self.metrics.remedies.clear()  # a state that no remedy is in any more is absent, not stale
        for state, count in Counter(remedy.state for remedy in self.bursar.ledger.remedies()).items():
            self.metrics.remedies.labels(state).set(count)
