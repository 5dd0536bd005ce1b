"""Plays the story: two weeks at once, then the third in ticks, with the service looking at each."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from agent.report.write import write
from agent.steps.summarise import summarise
from evals.demo.approver import ScriptedApprover
from evals.demo.result import DemoResult, missed_of, rows_of
from evals.demo.service import OpenService, Service, SimulatedClock
from evals.demo.story import ANSWERS, FIRST_WEEKS, ON_CALL, OWNERS, THIRD_WEEK, TIME_ZONE, WEEK_NAME, faults
from evals.demo.timeline import Event, Narrator
from evals.world.gateway import SimulatedGateway
from evals.world.world import TrueIncident, World
from store.model.prices import PriceKey, PriceTable
from store.model.usage import Intake, Window

TICK = timedelta(minutes=30)


class Progress(NamedTuple):
    """How far the demo is: the simulated time, the share that is done, and what has just happened."""

    now: datetime
    done: float
    news: list[Event]


def play(
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
        BursarError: a store failed.
    """
    started = perf_counter()
    world = _world(seed, prices)
    clock = SimulatedClock(FIRST_WEEKS.end)
    gateway = SimulatedGateway(clock=clock)
    service = open_service(out, clock, gateway)
    try:
        intake = _load(world, service, tell)
        truth = world.truth()
        intake += _live(world, service, clock, truth=truth, gateway=gateway, tick=tick, tell=tell)
        summary = summarise(
            week=WEEK_NAME,
            time_zone=TIME_ZONE,
            ledger=service.ledger,
            warehouse=service.warehouse,
            mode="auto",
            now=clock(),
        )
        rows = rows_of(service.ledger, summary, truth)
        paths = write(summary, out)
    finally:
        service.close()
    return DemoResult(
        seconds=perf_counter() - started,
        records=intake,
        rows=rows,
        missed=missed_of(rows, truth),
        summary=summary,
        files=paths,
    )


def _world(seed: int, prices: Callable[[frozenset[PriceKey]], PriceTable]) -> World:
    story = faults()
    unpriced = World(seed=seed, faults=story)
    return World(seed=seed, faults=story, prices=prices(unpriced.price_keys))


def _load(world: World, service: Service, tell: Callable[[Progress], None]) -> Intake:
    """The first two weeks, a day at a time so that memory stays small and progress is seen."""
    intake = Intake()
    for day in parts(FIRST_WEEKS, timedelta(days=1)):
        intake += service.warehouse.append(world.traffic(day))
        tell(Progress(now=day.end, done=_share(day.end), news=[]))
    return intake


def _live(
    world: World,
    service: Service,
    clock: SimulatedClock,
    *,
    truth: Sequence[TrueIncident],
    gateway: SimulatedGateway,
    tick: timedelta,
    tell: Callable[[Progress], None],
) -> Intake:
    intake = Intake()
    approver = ScriptedApprover(ANSWERS, truth=truth, owners=OWNERS, on_call=ON_CALL)
    narrator = Narrator(service.ledger, THIRD_WEEK)
    for window in parts(THIRD_WEEK, tick):
        clock.move_to(window.end)
        intake += service.warehouse.append(world.traffic(window, gateway))
        service.tick()
        if approver.look(service.ledger, clock()):
            service.tick()
        tell(Progress(now=window.end, done=_share(window.end), news=narrator.news(window.end)))
    return intake


def parts(window: Window, length: timedelta) -> list[Window]:
    """The window cut into pieces of that length, the last one shorter where it does not fit."""
    pieces = []
    start = window.start
    while start < window.end:
        end = min(start + length, window.end)
        pieces.append(Window(start=start, end=end))
        start = end
    return pieces


def _share(moment: datetime) -> float:
    whole = THIRD_WEEK.end - FIRST_WEEKS.start
    return (moment - FIRST_WEEKS.start) / whole
