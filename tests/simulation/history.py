"""One adversarial history of one remedy: clicks, workers, people, faults, clock jumps and deaths, from a seed.

After RELIABILITY 3.4. The ledger and the steps are the real ones; the truth is the gateway's own log.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from agent.verification import VerificationFacts
from agent.walk import Pace
from evals.world.gateway import SimulatedGateway
from evals.world.gateway_state import Fault
from store.ledger.ledger import Ledger, open_ledger
from store.model.remedy import Choice, Decision, Remedy
from tests.simulation.actors import Actor, Point
from tests.simulation.hand_clock import HandClock
from tests.simulation.story import HARMED, LIMIT, NO_EFFECT, WORKED, Driver, incident, proposal, ruling, vote

PACE = Pace(lease_seconds=30, retry_seconds=5, data_delay_seconds=60, observations=3, applies=3)
JUMPS = (0, 0, 0, 0, 1, 1, 45, 45, 45, 45, 700, -500)
APPLY_FAULTS: tuple[Fault, ...] = ("ok", "ok", "ok", "lost_answer", "lost_request", "late", "error_after_apply")
REVERT_FAULTS: tuple[Fault, ...] = ("ok", "ok", "ok", "lost_answer", "lost_request", "garbage")
LOOK_FAULTS: tuple[Fault, ...] = ("ok", "ok", "ok", "ok", "ok", "garbage")
HUMAN = "a person"
LEASE_SECONDS = 3600
DEATH, SLEEP = 0.03, 0.08
ROUNDS = 8
"""How often a worker looks for something to do."""

Play = Callable[[Point], None]


class World(NamedTuple):
    """One ledger for many histories: a lease clock that only goes forward, and a clock that people and jumps move."""

    ledger: Ledger
    clock: HandClock
    lease_clock: HandClock

    @classmethod
    def new(cls) -> "World":
        """An empty ledger in memory."""
        clock, lease_clock = HandClock(), HandClock()
        return cls(open_ledger("sqlite://", clock=clock, lease_clock=lease_clock), clock, lease_clock)

    def move(self, seconds: float) -> None:
        """Time passes; a jump backwards does not reach leases."""
        self.clock.move(seconds)
        self.lease_clock.move(max(0.0, seconds))


class Ended(NamedTuple):
    """How a history ended."""

    remedy: Remedy
    decision: Decision | None
    applied: bool
    gateway: SimulatedGateway
    human: bool


def play(world: World, seed: int, *, cas: bool) -> Ended:
    """Play the history of the seed, let it settle, and tell how it ended."""
    dice = random.Random(seed)
    remedy_id = f"rem-{seed}-{cas}"
    gateway = SimulatedGateway(clock=world.clock, cas=cas)
    _file(world, remedy_id)
    gateway.script("apply", *(dice.choice(APPLY_FAULTS) for _ in range(4)))
    gateway.script("revert", *(dice.choice(REVERT_FAULTS) for _ in range(2)))
    gateway.script("observe", *(dice.choice(LOOK_FAULTS) for _ in range(6)))
    facts = dice.choice((WORKED, NO_EFFECT, HARMED, None))
    actors = _actors(world, gateway, dice, remedy_id, facts)
    _let_run(world, dice, actors)
    _settle(world, gateway, remedy_id, facts)
    remedy = world.ledger.remedy(remedy_id)
    assert remedy is not None
    return Ended(
        remedy=remedy,
        decision=world.ledger.decision(remedy_id, 1),
        applied=any(one.outcome == "applied" for one in world.ledger.applications(remedy_id)),
        gateway=gateway,
        human=any(one.who == HUMAN for one in gateway.log),
    )


def faults_of(world: World, ended: Ended) -> list[str]:
    """What must never be, by the gateway's own log.

    A worker that sleeps between its fence check and its call, until others have given up (`failed`), can still land
    a change; it is bounded by the lease, which the gateway keeps by itself. A clock that jumps back over that moment
    makes an expired change look like somebody else's doing.
    """
    log, remedy = ended.gateway.log, ended.remedy
    ours = [i for i, one in enumerate(log) if one.who == remedy.remedy_id]
    applies = [i for i in ours if log[i].what == "apply"]
    humans = [i for i, one in enumerate(log) if one.who == HUMAN]
    found: list[str] = []
    if len(applies) > 1:
        found.append(f"applied {len(applies)} times")
    if len(ours) - len(applies) > 1:
        found.append("reverted more than once")
    if ours and (ended.decision is None or ended.decision.outcome != "approved"):
        found.append("an effect without an approval")
    if ended.applied and not applies:
        found.append("applied, says the ledger, and nothing was changed")
    if humans and ours and max(ours) > min(humans):
        found.append("overwrote a person")
    if remedy.state not in ("closed", "paging"):
        found.append(f"did not settle: {remedy.state}")
    expired = any(one.what == "expire" for one in log)
    if remedy.outcome in ("stale", "drifted") and not humans and not expired:
        found.append(f"{remedy.outcome}, and no person acted")
    stands = ended.gateway.observe(LIMIT).marker == remedy.remedy_id
    if stands and remedy.state == "closed" and remedy.outcome != "failed":
        found.append("closed, and the change still stands")
    world.move(2 * LEASE_SECONDS)
    if ended.gateway.observe(LIMIT).marker == remedy.remedy_id:
        found.append("the change outlived its lease")
    return found


def _file(world: World, remedy_id: str) -> None:
    world.ledger.save_incident(incident())
    plan = proposal(made_at=world.clock(), lease_seconds=LEASE_SECONDS)
    check = plan.check.model_copy(update={"window_seconds": 600})
    plan = plan.model_copy(update={"remedy_id": remedy_id, "check": check})
    world.ledger.file(plan, ruling("ask", at=world.clock()).model_copy(update={"remedy_id": remedy_id}))


def _actors(
    world: World, gateway: SimulatedGateway, dice: random.Random, remedy_id: str, facts: VerificationFacts | None
) -> list[Actor]:
    people = [("ann", dice.choice(("approve", "approve", "reject"))), ("bob", "approve"), ("ann", "approve")]
    actors = [Actor(_click(world, remedy_id, person, choice)) for person, choice in people]
    for number in range(dice.randint(2, 4)):
        actors.append(Actor(_worker(world, gateway, remedy_id, f"worker-{number}", facts)))
    if dice.random() < 0.3:
        actors.append(Actor(_human(gateway, dice.randint(0, 12))))
    if dice.random() < 0.2:
        actors.append(Actor(_undo(world, remedy_id, dice.randint(0, 12))))
    return actors


def _let_run(world: World, dice: random.Random, actors: list[Actor]) -> None:
    """One at a time, to the end or their death; now and then one sleeps while others go on, past its lease."""
    asleep: dict[Actor, int] = {}
    turn = 0
    while actors:
        turn += 1
        world.move(dice.choice(JUMPS))
        awake = [actor for actor in actors if asleep.get(actor, 0) <= turn] or actors
        actor = dice.choice(awake)
        actor.advance(dies=dice.random() < DEATH)
        if actor.over:
            actors.remove(actor)
        elif dice.random() < SLEEP:
            asleep[actor] = turn + dice.randint(10, 120)


def _click(world: World, remedy_id: str, person: str, choice: str) -> Play:
    def run(point: Point) -> None:
        _cast(world, remedy_id, person, "reject" if choice == "reject" else "approve")
        point("clicked")

    return run


def _worker(
    world: World, gateway: SimulatedGateway, remedy_id: str, owner: str, facts: VerificationFacts | None
) -> Play:
    def run(point: Point) -> None:
        driver = _driver(world, gateway, remedy_id, facts)._replace(owner=owner, failpoint=point)
        for _ in range(ROUNDS):
            driver.step()
            point("stepped")
            if driver.remedy().state in ("closed", "paging"):
                return

    return run


def _human(gateway: SimulatedGateway, wait: int) -> Play:
    def run(point: Point) -> None:
        for _ in range(wait):
            point("waits")
        gateway.edit(LIMIT, {"requests_per_minute": 5}, who=HUMAN)

    return run


def _undo(world: World, remedy_id: str, wait: int) -> Play:
    def run(point: Point) -> None:
        for _ in range(wait):
            point("waits")
        world.ledger.request_revert(remedy_id, by="ann", reason="not now")

    return run


def _cast(world: World, remedy_id: str, person: str, choice: Choice) -> None:
    world.ledger.cast(vote(person, choice, world.clock()).model_copy(update={"remedy_id": remedy_id}))


def _driver(world: World, gateway: SimulatedGateway, remedy_id: str, facts: VerificationFacts | None) -> Driver:
    return Driver(
        world.ledger,
        gateway,
        world.clock,
        facts=lambda: facts,
        permit=lambda _: ruling("apply", at=world.clock()).model_copy(update={"remedy_id": remedy_id}),
        pace=PACE,
        remedy_id=remedy_id,
    )


def _settle(world: World, gateway: SimulatedGateway, remedy_id: str, facts: VerificationFacts | None) -> None:
    """All is well again: a click if there was none, and healthy ticks until nothing is due any more."""
    gateway.clear_faults()
    world.move(1000)
    _cast(world, remedy_id, "bob", "approve")
    for tick in range(60):
        driver = _driver(world, gateway, remedy_id, facts)._replace(owner=f"healthy-{tick % 3}")
        due_at: datetime | None = driver.remedy().due_at
        if due_at is None and driver.remedy().state != "pending":
            return
        world.move(max(31.0, ((due_at or world.clock()) - world.clock()) / timedelta(seconds=1)))
        driver.step()
