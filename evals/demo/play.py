"""Plays the story: two weeks at once, then the third in ticks, with the service looking at each."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from agent.report.write import write
from agent.steps.summarise import summarise
from evals.demo.approver import ScriptedApprover
from evals.demo.result import DemoResult, missed_of, rows_of
from evals.demo.service import OpenService, SimulatedClock
from evals.demo.story import TIME_ZONE, Story
from evals.demo.timeline import Event, Narrator
from evals.world.gateway import SimulatedGateway
from evals.world.world import World
from store.model.prices import PriceKey, PriceTable
from store.model.usage import Intake, Window

TICK = timedelta(hours=1)


class Progress(NamedTuple):
    """How far the demo is: the simulated time, the share that is done, and what has just happened."""

    now: datetime
    done: float
    news: list[Event]


def play(
    story: Story,
    *,
    seed: int,
    out: Path,
    open_service: OpenService,
    prices: Callable[[frozenset[PriceKey]], PriceTable],
    tell: Callable[[Progress], None],
    tick: timedelta = TICK,
) -> DemoResult:
    """Play the whole story in `out` (the data folder and the summary's files) and say what it came to.

    Raises:
        BursarError: the folder cannot be used, or a store failed.
    """
    started = perf_counter()
    keys = World(seed=seed, faults=story.faults).price_keys
    stage = _Stage(story, World(seed=seed, faults=story.faults, prices=prices(keys)), out, open_service, tell)
    try:
        intake = stage.load() + stage.live(tick)
        summary = summarise(
            week=story.week,
            time_zone=TIME_ZONE,
            ledger=stage.service.ledger,
            warehouse=stage.service.warehouse,
            mode="auto",
            now=stage.clock(),
        )
        rows = rows_of(stage.service.ledger, summary, stage.truth)
        paths = write(summary, out)
    finally:
        stage.service.close()
    return DemoResult(
        seconds=perf_counter() - started,
        records=intake,
        rows=rows,
        missed=missed_of(rows, stage.truth),
        summary=summary,
        files=paths,
    )


class _Stage:
    """The company, its gateway, the clock and the service, while the story is played."""

    def __init__(
        self, story: Story, world: World, out: Path, open_service: OpenService, tell: Callable[[Progress], None]
    ) -> None:
        self.story = story
        self.world = world
        self.truth = world.truth()
        self.clock = SimulatedClock(story.before.end)
        self.gateway = SimulatedGateway(clock=self.clock)
        self.service = open_service(out, self.clock, self.gateway)
        self.tell = tell

    def load(self) -> Intake:
        """What was before, a day at a time so that memory stays small and progress is seen."""
        intake = Intake()
        for day in parts(self.story.before, timedelta(days=1)):
            intake += self.service.warehouse.append(self.world.traffic(day))
            self._tell(day.end, [])
        return intake

    def live(self, tick: timedelta) -> Intake:
        """Traffic under the gateway's rules, and what the service and the people do about it, tick by tick."""
        story, ledger = self.story, self.service.ledger
        approver = ScriptedApprover(story.answers, truth=self.truth, owners=story.owners, on_call=story.on_call)
        narrator = Narrator(ledger, story.live)
        intake = Intake()
        for window in parts(story.live, tick):
            self.clock.move_to(window.end)
            intake += self.service.warehouse.append(self.world.traffic(window, self.gateway))
            self.service.tick()
            if approver.look(ledger, self.clock()):
                self.service.tick()
            self._tell(window.end, narrator.news(window.end))
        return intake

    def _tell(self, now: datetime, news: list[Event]) -> None:
        whole = self.story.live.end - self.story.before.start
        self.tell(Progress(now=now, done=(now - self.story.before.start) / whole, news=news))


def parts(window: Window, length: timedelta) -> list[Window]:
    """The window cut into pieces of that length, the last one shorter where it does not fit."""
    pieces = []
    start = window.start
    while start < window.end:
        end = min(start + length, window.end)
        pieces.append(Window(start=start, end=end))
        start = end
    return pieces
