"""`bursar serve` beside a real LiteLLM proxy is killed with SIGKILL at every named point, three times each.

Each chain is one life of three remedies: their service dies three times at each point in turn and is started again.
Then it may live, and all must be settled: one effect each, by the rule sets that the guard in the proxy accepted, and
by real calls through it.
"""

import signal
from typing import NamedTuple

import pytest

from agent.failpoints import FAILPOINTS
from tests.proof.conftest import Play
from tests.proof.plans import PLANNED, Plans
from tests.proof.scene import Scene

KILLS = 3


class Chain(NamedTuple):
    """Points that three remedies come by, in order; what comes between, and how long the changes may last."""

    before: tuple[str, ...]
    undone: bool
    """Ann takes the changes back once they are in force."""
    after: tuple[str, ...] = ()
    lease_seconds: int = 3600


CHAINS = {
    "to the effect": Chain(
        ("look.claimed", "apply.permitted", "apply.intended", "resolve.observed", "resolve.concluded"), undone=True
    ),
    "to the end of the lease": Chain(
        ("apply.observed", "apply.fenced", "apply.read_back"),
        undone=False,
        after=("expire.observed", "expire.concluded"),
        lease_seconds=420,
    ),
    "to the verification": Chain(("apply.concluded", "verify.measured", "verify.concluded"), undone=True),
    "to the revert": Chain(
        ("apply.called",),
        undone=True,
        after=(
            *("revert.intended", "revert.observed", "revert.fenced"),
            *("revert.called", "revert.read_back", "revert.concluded"),
        ),
    ),
}


def die(scene: Scene, points: tuple[str, ...]) -> None:
    """The service is started and dies, three times at each point."""
    for point in points:
        for number in range(KILLS):
            ended = scene.serve(failpoint=point).wait(900)
            assert ended == -signal.SIGKILL, f"{point}, kill {number + 1}: it ended with {ended}: {scene.said()}"


def test_the_chains_have_every_point() -> None:
    """A point that no chain has would not be proved."""
    assert sorted(point for chain in CHAINS.values() for point in (*chain.before, *chain.after)) == sorted(FAILPOINTS)


@pytest.mark.exam
@pytest.mark.parametrize("name", CHAINS)
def test_killed_three_times_at_every_point_one_effect_each(play: Play, name: str) -> None:
    """Whatever the point: each rule comes to the proxy once, and goes, and the ledger and its audit say so."""
    chain = CHAINS[name]
    scene = play(mode="ask")
    plans = Plans(scene, lease_seconds=chain.lease_seconds)

    die(scene, chain.before)

    living = scene.serve_and_wait()
    scene.until(lambda: plans.all_are("verifying", "kept"), 180, "all three are in force")
    assert all(plans.met(remedy_id) for remedy_id in PLANNED)
    if chain.after:
        living.terminate()
        living.wait(60)
    if chain.undone:
        plans.undo()

    die(scene, chain.after)

    if chain.after:
        scene.serve_and_wait()
    scene.until(lambda: plans.all_are("closed"), chain.lease_seconds + 180, "all three are closed")
    assert set(plans.stand().values()) == {("closed", "returned")}
    scene.until(lambda: scene.changes[-1] == [], 60, "no rule is left at the proxy")
    assert {remedy_id: len(plans.effects(remedy_id)) for remedy_id in PLANNED} == dict.fromkeys(PLANNED, 1)
    assert not any(plans.met(remedy_id) for remedy_id in PLANNED)
    scene.bursar("audit", "verify")
