"""Slack's side of the service: the Socket Mode client, and the threads that send and hear.

The door does nothing but check an envelope, put one row into the inbox and acknowledge. Workers do the rest, from
the ledger: losing any of these threads, or Slack itself, only delays.
"""

import logging
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from functools import partial
from zoneinfo import ZoneInfo

from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from agent.policy import Policy, RulingFacts, owner_of
from agent.steps.announce import announce
from agent.steps.hear import hear
from store.errors import BursarError
from store.ledger.ledger import Ledger
from store.model.incident import Incident
from store.model.ports import Clock
from store.model.usage import Scope
from tools.slack.blocks import answer_text
from tools.slack.calls import open_client
from tools.slack.errors import SlackAway, SlackRefused
from tools.slack.inbound import CLICK, Click, click_of
from tools.slack.settings import SlackSettings
from tools.slack.threads import SlackThreads

log = logging.getLogger("bursar.slack")

ACK_SECONDS = 0.3
"""Slack waits 3 s. A click is acknowledged when it is stored, or, where the database is slow, after this."""
DOORS = 64
"""So many clicks may wait for the database at once without delaying another's acknowledgement."""
IDLE_SECONDS = 1.0
ALIVE_SECONDS = 2.0
"""How often the connection is looked at; a lost one is opened again then."""
RECONNECT_SECONDS = 5.0
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{2,20}")


class Door:
    """Takes envelopes in. One thread writes, so that a burst of clicks queues for the database only once."""

    def __init__(self, ledger: Ledger, slack: SlackThreads, rang: threading.Event) -> None:
        self._ledger = ledger
        self._slack = slack
        self._rang = rang
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bursar-slack-door")

    def __call__(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        """Store and acknowledge. A click that could not be stored is not acknowledged: Slack shows that it failed."""
        click = click_of(request.type, request.payload)
        if click is not None and not self._stored(click):
            return
        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    def close(self) -> None:
        """Store what was taken in."""
        self._writer.shutdown(wait=True)

    def _stored(self, click: Click) -> bool:
        """False: it certainly was not. A click that is still on its way counts as stored."""
        storing = self._writer.submit(self._store, click)
        try:
            storing.result(timeout=ACK_SECONDS)
        except NotYet:
            storing.add_done_callback(lambda done: self._late(done, click))
        except BursarError:
            log.exception("a click could not be stored; Slack tells the person")
            return False
        return True

    def _store(self, click: Click) -> None:
        self._ledger.inbox_put(click.dedupe_key, CLICK, click.model_dump(mode="json"))
        self._rang.set()

    def _late(self, done: "Future[None]", click: Click) -> None:
        if done.exception() is None:
            return
        log.error("a click was acknowledged and could not be stored: %s", done.exception())
        try:
            says = "Your click could not be stored, and has no effect. Please click again."
            self._slack.answer(click.channel_id, click.user_id, answer_text(says))
        except (SlackAway, SlackRefused) as error:
            log.warning("%s: the person who clicked does not hear of it", error)


class SlackDesk:
    """The threads, while the service runs. Safe to start without Slack being there."""

    def __init__(
        self,
        *,
        settings: SlackSettings,
        policy: Policy,
        ledger: Ledger,
        clock: Clock,
        owner: str,
        zone: ZoneInfo,
        wake: Callable[[], None],
        chart: Callable[[Incident], bytes | None] = lambda _: None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        client = open_client(settings)
        slack = SlackThreads(client)
        self._stopped = threading.Event()
        self._bells = {name: threading.Event() for name in ("hear", "announce")}
        self._idle_seconds = idle_seconds
        self._door = Door(ledger, slack, self._bells["hear"])
        self._socket = SocketModeClient(
            app_token=settings.app_token.get_secret_value(),
            web_client=client,
            concurrency=DOORS,
            ping_interval=ALIVE_SECONDS,
            logger=logging.getLogger("bursar.slack.socket"),
        )
        self._socket.socket_mode_request_listeners.append(self._door)
        self._work: dict[str, Callable[[], int]] = {
            "hear": lambda: hear(
                ledger=ledger, slack=slack, people=settings.people, clock=clock, owner=owner, wake=wake
            ),
            "announce": lambda: announce(
                ledger=ledger,
                slack=slack,
                channel=settings.channel,
                channel_for=lambda scope: channel_of(scope, policy, settings.channels, default=settings.channel),
                people=settings.people,
                chart=chart,
                zone=zone,
                clock=clock,
                owner=owner,
            ),
        }
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Connect in the background, and begin to send and hear."""
        jobs: dict[str, Callable[[], None]] = {
            "connect": self._connect,
            **{name: partial(self._repeat, name) for name in self._work},
        }
        self._threads = [
            threading.Thread(target=job, name=f"bursar-slack-{name}", daemon=True) for name, job in jobs.items()
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop; what is under way is finished, what waits stays in the ledger."""
        self._stopped.set()
        self.ring()
        for thread in self._threads:
            thread.join(15)
        self._socket.close()
        self._door.close()

    def ring(self) -> None:
        """There may be something to send: look now, not only at the next look."""
        for bell in self._bells.values():
            bell.set()

    @property
    def connected(self) -> bool:
        """Whether clicks reach us."""
        return self._socket.is_connected()

    def _connect(self) -> None:
        """Until the first connection stands; from then on the client reconnects by itself."""
        while not self._stopped.is_set():
            try:
                self._socket.connect()
            except (SlackClientError, OSError, ValueError) as error:
                log.warning("slack: no connection for clicks yet: %s", str(error).splitlines()[0])
                self._stopped.wait(RECONNECT_SECONDS)
            else:
                return

    def _repeat(self, name: str) -> None:
        """One worker: works while there is something to do, else waits for its bell."""
        work, bell = self._work[name], self._bells[name]
        while not self._stopped.is_set():
            try:
                done = work()
            except Exception:
                log.exception("slack: %s failed; it tries again", name)
                done = 0
            if done:
                self.ring()
            else:
                bell.wait(self._idle_seconds)
                bell.clear()


def channel_of(scope: Scope, policy: Policy, channels: Mapping[str, str], *, default: str) -> str:
    """The channel id of whoever owns the scope, as the scope alone tells it; else the default."""
    owner = owner_of(scope, policy, RulingFacts())
    if owner is None or owner.channel is None:
        return default
    found = channels.get(owner.channel, owner.channel)
    if _CHANNEL_ID.fullmatch(found):
        return found
    log.warning("slack: no id for channel %r; write it under slack.channels, until then %s is used", found, default)
    return default
