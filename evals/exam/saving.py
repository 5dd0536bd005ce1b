"""What a proposed remedy would truly save: the next day of the world with the fault, without the remedy and with it."""

import statistics
from dataclasses import replace
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
_OTHER_DRAWS = 10**7
"""Seeds that no case has begin here."""


class Saved(NamedTuple):
    """Nano-USD over the day after the proposal was made."""

    low: int
    expected: int
    high: int
    truly: int
    redrawn: tuple[int, ...] = ()
    """The same of other draws of that day."""

    @property
    def error(self) -> float | None:
        """How far the expectation is from the truth, as a share of the truth; None where nothing is saved."""
        return self._off(self.expected)

    @property
    def floor(self) -> float | None:
        """How far off whoever knew the fault, but not the draw, would be: with the median of the other draws."""
        return self._off(statistics.median(self.redrawn)) if self.redrawn else None

    @property
    def within(self) -> bool:
        """Whether the truth lies in the interval of the expectation."""
        return self.low <= self.truly <= self.high

    def _off(self, expected: float) -> float | None:
        return abs(expected / self.truly - 1) if self.truly > 0 else None


def saved_by(staged: Staged, proposal: Proposal, *, redraws: int = 0) -> Saved | None:
    """The proposal's saving, expected and true, if the fault went on for a day and a gateway enforced the actions.

    None where the world cannot tell: the money is wrong and not the traffic, or a gateway has no part in the remedy.
    The app alone is played, with its own way of meeting refusals: others' traffic is not the remedy's target.
    `redraws`: how often the day is drawn once more, of the same app, fault and size; only chance is another.
    """
    if staged.case.pattern.fault is None or not all(action.kind in HANDLES for action in proposal.actions):
        return None
    seeds = (staged.seed, *(_OTHER_DRAWS + 1000 * staged.seed + n for n in range(redraws)))
    truly, *redrawn = (_saved_at(replace(staged, seed=seed), proposal) for seed in seeds)
    saving = proposal.saving
    return Saved(saving.low, saving.mid, saving.high, truly, tuple(redrawn))


def _saved_at(staged: Staged, proposal: Proposal) -> int:
    assert staged.case.pattern.fault is not None
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
    return without - with_it
