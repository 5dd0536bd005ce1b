"""The simulation can fail: with one rule left out of a step, the ledger or the gateway it says so, and soon."""

from typing import NamedTuple

import pytest

from tests.simulation import broken_steps as steps
from tests.simulation.broken_parts import (
    AsksNobody,
    BoastsOfCas,
    CountsOneVoice,
    Forces,
    ForgetsLeases,
    NoFence,
    NoSwitch,
    SwapsPlans,
)
from tests.simulation.faulty_gateway import FaultyGateway
from tests.simulation.invariants import LANDED_LATE, OVERWROTE
from tests.simulation.runs import run
from tests.simulation.story import STEPS, Steps
from tests.simulation.world import FlakyMemoryLedger, Ground

HISTORIES = 500
"""Within so many every broken part must be caught."""


class Broken(NamedTuple):
    """One broken set of parts, and what it must be found to do."""

    does: str
    ledger: type[FlakyMemoryLedger] = FlakyMemoryLedger
    gateway: type[FaultyGateway] = FaultyGateway
    steps: Steps = STEPS
    cas: bool = True


BROKEN = {
    "no fence, a gateway that takes everything": Broken("applied 2 times", ledger=NoFence, gateway=Forces),
    "no fence, a gateway that compares": Broken("harmed, and not taken back", ledger=NoFence),
    "the kill switch is not heard": Broken("sent although the kill switch was on", ledger=NoSwitch),
    "nobody is asked": Broken("an approval that nobody gave", ledger=AsksNobody),
    "one voice for two, and a no for a yes": Broken("an approval that nobody gave", ledger=CountsOneVoice),
    "the plan is swapped after the approval": Broken("an effect that nobody planned", ledger=SwapsPlans),
    "compare-and-set that is none": Broken(OVERWROTE, gateway=BoastsOfCas, cas=False),
    "an answer is taken for a change": Broken(
        "applied, says the ledger, and nothing was changed", steps=Steps(apply=steps.apply_that_believes)
    ),
    "an unknown outcome is sent again blindly": Broken(OVERWROTE, steps=Steps(apply=steps.apply_that_retries_blindly)),
    "a revert does not look whose it is": Broken(
        OVERWROTE, steps=Steps(revert=steps.revert_that_does_not_look), gateway=Forces
    ),
    "harm is kept": Broken("harmed, and not taken back", steps=Steps(verify=steps.verify_that_keeps_harm)),
    "the lease's end is taken for granted": Broken(
        "closed, and the change still stands",
        steps=Steps(expire=steps.expire_that_does_not_look),
        gateway=ForgetsLeases,
    ),
    "a gateway forgets leases": Broken("the change outlived its lease", gateway=ForgetsLeases),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_part_is_caught(name: str) -> None:
    """By the fault that it makes, within a few hundred histories."""
    one = BROKEN[name]
    found = run(
        range(HISTORIES),
        cas=one.cas,
        ground=lambda: Ground.in_memory(one.ledger),
        gateway=one.gateway,
        steps=one.steps,
        until=one.does,
    )
    assert one.does in found.kinds, sorted(found.kinds)


def test_the_fence_alone_keeps_one_effect_at_a_gateway_that_takes_everything() -> None:
    """Without versions, keys and markers at the gateway only a person can be overwritten; no effect is doubled."""
    assert run(range(HISTORIES), cas=True, gateway=Forces).kinds <= {OVERWROTE, LANDED_LATE}
