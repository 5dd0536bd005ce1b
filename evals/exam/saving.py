"""What a proposed remedy would truly save: the next day of the world with the fault, without the remedy and with it."""

from datetime import timedelta
from typing import NamedTuple

from evals.exam.stage import Staged
from evals.world.gateway import HANDLES, SimulatedGateway
from evals.world.world import World
from store.model.prices import PriceKey
from store.model.remedy import Proposal, SetModelAlias
from store.model.usage import Window
from store.prices import PriceBook

DAY = timedelta(days=1)


class Saved(NamedTuple):
    """Nano-USD over the day after the proposal was made."""

    expected: int
    truly: int

    @property
    def error(self) -> float | None:
        """How far the expectation is from the truth, as a share of the truth; None where nothing is saved."""
        return abs(self.expected / self.truly - 1) if self.truly > 0 else None


def saved_by(staged: Staged, proposal: Proposal) -> Saved | None:
    """The proposal's saving, expected and true, if the fault went on for a day and a gateway enforced the actions.

    None where the world cannot tell: the money is wrong and not the traffic, or a gateway has no part in the remedy.
    The app alone is played, with its own way of meeting refusals: others' traffic is not the remedy's target.
    """
    if staged.case.pattern.fault is None or not all(action.kind in HANDLES for action in proposal.actions):
        return None
    day = Window(start=proposal.made_at, end=proposal.made_at + DAY)
    victim = staged.victim
    fault = staged.case.pattern.fault(victim.name, Window(start=staged.onset, end=day.end), staged.case.size)
    swapped = {
        PriceKey(victim.provider, name)
        for action in proposal.actions
        if isinstance(action, SetModelAlias)
        for name in (action.from_model, action.to_model)
    }
    keys = World(seed=staged.seed, faults=[fault], company=[victim]).price_keys | swapped
    world = World(seed=staged.seed, faults=[fault], company=[victim], prices=PriceBook().table_for(keys))
    gateway = SimulatedGateway(clock=lambda: day.start)
    for i, action in enumerate(proposal.actions):
        gateway.apply(
            action,
            marker=proposal.remedy_id,
            idempotency_key=f"{proposal.remedy_id}:{i}",
            expected_version=gateway.observe(action).version,
            expires_at=day.end,
        )
    without = sum(record.cost_nanos or 0 for record in world.traffic(day))
    with_it = sum(record.cost_nanos or 0 for record in world.traffic(day, gateway))
    return Saved(expected=proposal.saving.mid, truly=without - with_it)
