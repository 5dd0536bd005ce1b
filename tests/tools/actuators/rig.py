"""A guard with everything around it: a ledger, the HTTP routes, and a proxy that polls when the clock moves."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from pydantic import SecretStr

from agent.entrypoints.intake import GuardDesk, build_intake
from agent.guard import take_report
from store.errors import BadInput, StorageFailed
from store.ledger.guard_values import Changed, Held, Issue, SeenProxy, Slot, slot_of
from store.ledger.ledger import Ledger, open_ledger
from store.model.remedy import Action, Settings
from store.model.usage import Intake
from tests.checks.check_actuator import Rig
from tests.servers.guard_proxy import GuardProxy
from tests.servers.serving import serving
from tests.simulation.hand_clock import HandClock
from tools.actuators.guard import GuardGateway, Words
from tools.actuators.guard_rules import GuardPublisher
from tools.actuators.settings import GuardSettings
from tools.actuators.signing import Signer, open_signer

TOKEN = "a-token-of-this-installation"
POLL_SECONDS = 5


class PolledClock(HandClock):
    """A clock whose every move lets the proxies poll, as time passing does."""

    def __init__(self) -> None:
        super().__init__()
        self.proxies: list[GuardProxy] = []

    def move(self, seconds: float) -> None:
        super().move(seconds)
        for proxy in self.proxies:
            proxy.poll()


@dataclass
class FaultyBook:
    """The ledger's rule book, which fails as a database does: before or after the change, or with a lie."""

    book: Ledger
    faults: dict[str, deque[str]] = field(
        default_factory=lambda: {"observe": deque(), "apply": deque(), "revert": deque()}
    )

    def guard_slot(self, slot: Slot) -> tuple[Held, str | None]:
        self._before("observe")
        return self.book.guard_slot(slot)

    def guard_set(self, slot: Slot, held: Held, *, key: str, expected_version: str | None) -> Changed:
        fault = self._before("apply")
        if fault == "no_effect":
            return Changed(status="done", version=expected_version)
        return self._after(fault, self.book.guard_set(slot, held, key=key, expected_version=expected_version))

    def guard_restore(
        self, slot: Slot, *, value: Settings, marker: str, key: str, expected_version: str | None
    ) -> Changed:
        fault = self._before("revert")
        return self._after(
            fault,
            self.book.guard_restore(slot, value=value, marker=marker, key=key, expected_version=expected_version),
        )

    def guard_issue(self, *, reissue_after: timedelta) -> Issue:
        return self.book.guard_issue(reissue_after=reissue_after)

    def guard_proxies(self, *, since: datetime) -> list[SeenProxy]:
        return self.book.guard_proxies(since=since)

    def _before(self, verb: str) -> str:
        queue = self.faults[verb]
        fault = queue.popleft() if queue else ""
        if fault == "refused":
            raise BadInput("ledger: a value cannot be stored")
        if fault == "lost_request" or (verb == "observe" and fault):
            raise StorageFailed("ledger: the connection was lost before the change")
        return fault

    def _after(self, fault: str, changed: Changed) -> Changed:
        if fault in ("lost_answer", "garbage"):
            raise StorageFailed("ledger: the connection was lost after the change")
        return changed


@dataclass
class Installation:
    """All parts of one guard under test."""

    gateway: GuardGateway
    clock: PolledClock
    ledger: Ledger
    signer: Signer
    settings: GuardSettings
    url: str
    proxy: GuardProxy
    book: FaultyBook

    def another_proxy(self, proxy_id: str) -> GuardProxy:
        """One more proxy behind the same address; close it yourself."""
        return GuardProxy(
            bursar_url=self.url, token=TOKEN, public_key=self.signer.public_key, clock=self.clock, proxy_id=proxy_id
        )

    def rig(self) -> Rig:
        """As the shared checks want it."""
        return Rig(self.gateway, self.clock, self._edit, self._fault)

    def _edit(self, action: Action, value: Settings) -> None:
        slot = slot_of(action)
        _, version = self.ledger.guard_slot(slot)
        changed = self.ledger.guard_set(slot, Held(value=value), key=f"ann:{version}", expected_version=version)
        assert changed.status == "done"

    def _fault(self, verb: str, name: str) -> None:
        (self.proxy.faults if verb == "probe" else self.book.faults[verb]).append(name)


ProxyMaker = Callable[..., GuardProxy]
"""Takes what GuardProxy takes."""


@contextmanager
def installation(
    folder: Path, *, make_proxy: ProxyMaker = GuardProxy, take: Callable[[list[object]], Intake] = lambda _: Intake()
) -> Iterator[Installation]:
    """A guard that works, over real sockets; the proxy has polled once. `take` keeps pushed usage."""
    clock = PolledClock()
    ledger = open_ledger("sqlite://", clock=clock)
    signer = open_signer(folder / "guard.key")
    publisher = GuardPublisher(book=ledger, signer=signer)
    api = FastAPI()
    report = partial(take_report, ledger=ledger, poll_seconds=POLL_SECONDS, clock=clock)
    desk = GuardDesk(TOKEN, publisher.signed, report)
    api.include_router(build_intake(tokens=[TOKEN], take=take, guard=desk))
    with serving(api) as url:
        proxy = make_proxy(bursar_url=url, token=TOKEN, public_key=signer.public_key, clock=clock)
        settings = GuardSettings(token=SecretStr(TOKEN), poll_seconds=POLL_SECONDS, proxy_url=proxy.url)
        book = FaultyBook(ledger)
        gateway = GuardGateway(
            book=book, signer=signer, settings=settings, words_for=lambda _: Words(1, "spend rose", "#ops"), clock=clock
        )
        clock.proxies.append(proxy)
        proxy.poll()
        try:
            yield Installation(gateway, clock, ledger, signer, settings, url, proxy, book)
        finally:
            gateway.close()
            proxy.close()
            ledger.close()
