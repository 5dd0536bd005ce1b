"""The picture of a thread in the docs: plays the demo up to a verified remedy and keeps what Slack would be told.

    python -m evals.picture.thread thread.html

The words and blocks are those of the service's own step `announce`; Slack's Web API is replaced by a list.
"""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

import typer

from agent.bursar import Bursar, Looked
from agent.report.wording import time_text
from agent.steps.announce import announce
from agent.steps.draw import draw
from evals.demo import wiring
from evals.demo.play import Progress, play
from evals.demo.service import SimulatedClock
from evals.demo.story import ON_CALL, OWNERS, THIRD_WEEK, the_story
from evals.picture.page import Pane, Shown, thread_page
from evals.world.gateway import SimulatedGateway
from store.ledger.ledger import Ledger
from store.model.incident import Incident
from store.model.ports import Warehouse
from store.model.usage import Window
from tools.slack.blocks import Message
from tools.slack.threads import Place, SlackThreads

APP = "ticket-triage"
"""Whose thread is shown: in production, so a person is asked; approved, applied, and it works."""
UNTIL = THIRD_WEEK.start + timedelta(days=1, hours=14)
"""As of then: the remedy was verified an hour ago and is still in force."""
SEED = 7
_CHANNEL = "C0FINOPS"
_ZONE = ZoneInfo("UTC")
_NAMES = {f"U0{name.upper()}": name for name in (*OWNERS.values(), ON_CALL)}


class Said(NamedTuple):
    """One thing that Slack was told. `thread`: the first message that it stands under; None: it is one itself."""

    at: datetime
    place: Place
    thread: str | None
    message: Message | None
    png: bytes | None = None


class RecordedThreads(SlackThreads):
    """Takes down what is posted, and says that it worked."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.said: list[Said] = []
        self._clock = clock

    def post(
        self,
        channel: str,
        message: Message,
        *,
        name: str,  # noqa: ARG002 # the list loses nothing, so nothing is looked up
        since: datetime,  # noqa: ARG002
        thread: str | None = None,
    ) -> Place:
        """Take down a message."""
        place = Place(channel, f"{len(self.said) + 1}.0")
        self.said.append(Said(self._clock(), place, thread, message))
        return place

    def update(self, place: Place, message: Message) -> None:
        """Take down what a message was replaced by."""
        self.said.append(Said(self._clock(), place, None, message))

    def upload(
        self,
        place: Place,
        *,
        filename: str,  # noqa: ARG002 # a page shows a picture without its name
        content: bytes,
        title: str,  # noqa: ARG002
        since: datetime,  # noqa: ARG002
    ) -> None:
        """Take down a file."""
        self.said.append(Said(self._clock(), place, place.ts, None, content))


class AnnouncedService:
    """The demo's service, whose outbox is told after every tick."""

    def __init__(self, bursar: Bursar, threads: RecordedThreads) -> None:
        self._bursar = bursar
        self._threads = threads

    @property
    def ledger(self) -> Ledger:
        """Its state."""
        return self._bursar.ledger

    @property
    def warehouse(self) -> Warehouse:
        """Its usage."""
        return self._bursar.warehouse

    def tick(self) -> Looked:
        """Work, then tell."""
        looked = self._bursar.tick()
        while announce(
            ledger=self.ledger,
            slack=self._threads,
            channel=_CHANNEL,
            channel_for=lambda _: _CHANNEL,
            people={f"T0ACME/{account}": name for account, name in _NAMES.items()},
            chart=self._chart,
            zone=_ZONE,
            clock=self._bursar.clock,
            owner="picture",
        ):
            pass
        return looked

    def close(self) -> None:
        """Release files and connections."""
        self._bursar.close()

    def _chart(self, incident: Incident) -> bytes | None:
        """Only the thread that is shown needs its chart."""
        shown = incident.scope.get("app") == APP
        return draw(incident=incident, warehouse=self.warehouse, zone=_ZONE) if shown else None


def recorded() -> list[Said]:
    """Play the demo up to UNTIL; everything that Slack would have been told."""
    threads: list[RecordedThreads] = []

    def opened(folder: Path, clock: SimulatedClock, gateway: SimulatedGateway) -> AnnouncedService:
        threads.append(RecordedThreads(clock))
        return AnnouncedService(wiring.open_service(folder, clock, gateway), threads[0])

    def quiet(_: Progress) -> None:
        return None

    story = the_story()._replace(live=Window(start=THIRD_WEEK.start, end=UNTIL))
    with TemporaryDirectory() as folder:
        play(story, seed=SEED, out=Path(folder), open_service=opened, prices=wiring.price_table, tell=quiet)
    return threads[0].said


def panes_of(said: list[Said]) -> tuple[Pane, Pane]:
    """The thread that has a chart: as it was opened, and its first message as it stands with the replies since.

    Raises:
        LookupError: there is no such thread.
    """
    root = next((one.place for one in said if one.png is not None), None)
    if root is None:
        raise LookupError(f"no thread has a chart: the demo has no incident of {APP} before {UNTIL}")
    versions = [one for one in said if one.place == root and one.thread is None]
    replies = [one for one in said if one.thread == root.ts]
    first, last = versions[0], versions[-1]
    early = [one for one in replies if one.at == first.at]
    now = first._replace(message=last.message)
    late = [one for one in replies if one.at > first.at]
    return (
        _pane(first.at, "somebody is asked", first, early),
        _pane(last.at, "the same message, updated in place, and the replies since", now, late),
    )


def _pane(at: datetime, caption: str, root: Said, replies: list[Said]) -> Pane:
    return Pane("Thread in # finops", f"{time_text(at, _ZONE)}: {caption}", [_shown(root), *map(_shown, replies)])


def _shown(said: Said) -> Shown:
    return Shown(time_text(said.at, _ZONE), said.message, said.png)


def main(out: Annotated[Path, typer.Argument(help="The HTML file to write.")]) -> None:
    """Write the page; docs/thread_png.sh makes the picture of it."""
    out.write_text(thread_page(panes_of(recorded()), names=_NAMES), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
