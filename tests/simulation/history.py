"""One adversarial history of one remedy: clicks, workers, people, faults, clock jumps and deaths, from a seed.

After RELIABILITY 3.4. The steps are the real ones; the truth is the gateway's own log.
"""

import random
from collections import Counter
from datetime import datetime, timedelta

from store.model.remedy import Verdict
from tests.simulation.actors import Actor
from tests.simulation.course import Course, Ended
from tests.simulation.faulty_gateway import FaultyGateway, Seen
from tests.simulation.people import click, edit, replan, switch, undo, worker
from tests.simulation.story import HARMED, NO_EFFECT, STEPS, WORKED, Steps
from tests.simulation.world import PACE, Ground, World

__all__ = ["PACE", "World", "play"]

JUMPS = {
    "harsh": (0, 0, 0, 0, 1, 1, 45, 45, 45, 45, 700, -500),
    "brisk": (0,) * 14 + (1,) * 6 + (6, 6, 45, 700, -500),
    "steady": (0,) * 10 + (5,) * 8 + (20, 20, 45, 400, 700),
}
"""Seconds between two turns, one clock for each history. A claim lasts 30 s: under the harsh clock few workers get as
far as their call before they have lost it, under the others most do."""
VERDICTS: tuple[Verdict, ...] = ("ask",) * 16 + ("apply",) * 3 + ("observe",)
DEATH, SLEEP = 0.03, 0.08
HUMAN_EDITS, UNDOES, REPLANS, SWITCHES, NOBODY_COMES, QUORUMS = 0.3, 0.2, 0.12, 0.1, 0.06, 0.15
"""Shares of histories in which this happens."""


def play(
    ground: Ground, seed: int, *, cas: bool, gateway: type[FaultyGateway] = FaultyGateway, steps: Steps = STEPS
) -> Ended:
    """Play the history of the seed, let it settle, and tell how it ended."""
    dice = random.Random(seed)
    seen: Seen = Counter()
    ground.restart()
    for ledger in ground.replicas:
        ledger.trouble, ledger.seen = None, seen
    course = Course(
        ground=ground,
        gateway=gateway(clock=ground.clock, cas=cas, dice=dice, seen=seen),
        dice=dice,
        lots=random.Random(-seed),
        seen=seen,
        remedy_id=f"rem-{seed}-{cas}",
        facts=dice.choice((WORKED, NO_EFFECT, HARMED, None)),
        verdict=dice.choice(VERDICTS),
        quorum=2 if dice.random() < QUORUMS else 1,
        steps=steps,
    )
    clock = dice.choice(tuple(JUMPS))
    seen[f"clock:{clock}"] += 1
    course.file(1, 60)
    for ledger in ground.replicas:
        ledger.trouble = dice
    _let_run(course, _actors(course), JUMPS[clock])
    _settle(course)
    return _ended(course)


def _actors(course: Course) -> list[Actor]:
    dice = course.dice
    first = dice.choice(("approve", "approve", "reject"))
    people = [("ann", "reject" if first == "reject" else "approve"), ("bob", "approve"), ("ann", "approve")]
    plays = [] if dice.random() < NOBODY_COMES else [click(course, who, what) for who, what in people]
    plays += [worker(course, f"worker-{number}") for number in range(dice.randint(2, 4))]
    for share, make in ((HUMAN_EDITS, edit), (UNDOES, undo), (REPLANS, replan), (SWITCHES, switch)):
        if dice.random() < share:
            plays.append(make(course, dice.randint(0, 12)))
    return [Actor(one) for one in plays]


def _let_run(course: Course, actors: list[Actor], jumps: tuple[int, ...]) -> None:
    """One at a time, to the end or their death; now and then one sleeps while others go on, past its lease."""
    dice, seen = course.dice, course.seen
    asleep: dict[Actor, int] = {}
    turn = 0
    while actors:
        turn += 1
        jump = dice.choice(jumps)
        seen[f"jump:{jump}"] += 1
        course.ground.move(jump)
        awake = [actor for actor in actors if asleep.get(actor, 0) <= turn] or actors
        actor = dice.choice(awake)
        dies = dice.random() < DEATH
        seen["death"] += dies
        actor.advance(dies=dies)
        if actor.over:
            actors.remove(actor)
        elif dice.random() < SLEEP:
            seen["sleep"] += 1
            asleep[actor] = turn + dice.randint(10, 120)


def _settle(course: Course) -> None:
    """All is well again: clicks if there is no decision, or a day without one, then ticks until nothing is due."""
    ledger, ground = course.ledger, course.ground
    course.gateway.calm()
    for replica in ground.replicas:
        replica.trouble = None
    if ledger.kill_switch():
        ledger.set_kill_switch(False, by="ann", reason="all is well")
    course.stopped = False
    ground.move(1000)
    if ledger.decision(course.remedy_id, course.revision) is None and course.dice.random() < NOBODY_COMES:
        ground.move(25 * 3600)
    for person in ("bob", "ann"):
        course.click(person, "approve")
    ledger.expire_due(ground.clock())
    for tick in range(60):
        driver = course.driver(f"healthy-{tick % 3}")
        remedy = driver.remedy()
        course.saw(remedy)
        due_at: datetime | None = remedy.due_at
        if due_at is None:
            return
        ground.move(max(31.0, (due_at - ground.clock()) / timedelta(seconds=1)))
        course.saw_step(driver.step())


def _ended(course: Course) -> Ended:
    ledger, name = course.ledger, course.remedy_id
    remedy = ledger.remedy(name)
    assert remedy is not None
    found = {revision: ledger.decision(name, revision) for revision in course.plans}
    course.seen[f"ended:{remedy.state}:{remedy.outcome}"] += 1
    return Ended(
        remedy=remedy,
        decisions={revision: decision for revision, decision in found.items() if decision is not None},
        applications=tuple(ledger.applications(name)),
        verifications=tuple(ledger.verifications(name)),
        course=course,
    )
