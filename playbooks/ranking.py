"""Which of several drafts is worth most: its expected net benefit, and in words why it stands where it stands.

    gain       the part of the saving that belongs to the excess, x confidence x uptake
    quality    what worse answers cost even when the cause is right: that saving x confidence x quality_cost
    disruption what is spoilt when the cause is wrong: that saving x (1 - confidence) x harm_if_wrong
    net        gain - quality - disruption, USD a day

What a gateway can do and is worth something comes first; advice to people follows, whatever it would be worth.
A saving beyond the excess does not count: it would be taken from traffic with which nothing is wrong. Doing nothing
(the playbook `notify`) is worth 0 and always among the drafts, so that what is worth less than nothing is seen to be.
"""

from collections.abc import Sequence
from typing import NamedTuple

from playbooks.direction import tells
from playbooks.notify import LEAVE_ALONE, NotifyPlaybook
from playbooks.playbook import DAY, Draft
from store.model.incident import Finding
from store.model.remedy import Proposal


class Worth(NamedTuple):
    """The terms of the net benefit, USD a day; ranks, not amounts of money in the books."""

    gain: float
    quality: float
    disruption: float

    @property
    def net(self) -> float:
        """What is expected to be won."""
        return self.gain - self.quality - self.disruption


def worth_of(draft: Draft, finding: Finding) -> Worth:
    """What a draft is worth for a finding. Where the best cause is one to leave alone, refusing costs what it saves."""
    counted = min(draft.saving.mid, max(0, excess_per_day(finding))) / 1e9 * draft.uptake
    harm = max(1.0, draft.harm_if_wrong) if finding.cause in LEAVE_ALONE and draft.uptake == 1 else draft.harm_if_wrong
    return Worth(
        gain=counted * draft.confidence,
        quality=counted * draft.confidence * draft.quality_cost,
        disruption=counted * (1 - draft.confidence) * harm,
    )


def excess_per_day(finding: Finding) -> int:
    """Nano-USD a day above what was expected, had the window been a day."""
    return finding.excess_nanos * DAY // max(1, round(finding.window.seconds))


def because(worth: Worth, *, best: Worth | None, best_name: str, advice: bool = False) -> str:
    """One sentence: the figures, and against what it lost; `best` None: it is the best itself.

    `advice`: it only tells people what to do, which goes beside what a gateway can do now and does not compete.
    """
    terms = (
        f"net benefit {worth.net:,.2f} USD a day ({worth.gain:,.2f} expected, less {worth.quality:,.2f} for quality "
        f"and {worth.disruption:,.2f} for disruption if the cause is wrong)"
    )
    if best is None:
        return f"put forward: {terms}"
    if advice and worth.net > 0:
        return f"advice to people, beside {best_name}: {terms}"
    if worth.net < 0:
        return f"not put forward, doing nothing is better: {terms}"
    return f"not put forward, {best_name} is worth {best.net:,.2f}: {terms}"


Ranked = tuple[Proposal, Worth]


def in_order(made: Sequence[Ranked]) -> list[Proposal]:
    """Best first, each with why it stands there; of proposals that would do the same only the best one."""
    kept: dict[str, Ranked] = {}
    for proposal, worth in sorted(made, key=lambda pair: _place(pair[0])):
        kept.setdefault(proposal.plan_hash, (proposal, worth))
    explained = []
    for proposal, worth in kept.values():
        best, best_worth = next(iter(kept.values()))
        lost_to = None if proposal is best else best_worth
        says = because(worth, best=lost_to, best_name=best.playbook, advice=_only_tells(proposal))
        explained.append(proposal.model_copy(update={"because": says}))
    return explained


def _place(made: Proposal) -> tuple[bool, float, bool, bool]:
    """What a gateway can do now and is worth something, best first; then the rest, advice to people among it.

    Of equals the one that changes nothing, and of those doing nothing rather than advice.
    """
    acts = not _only_tells(made)
    return not (acts and made.rank > 0), -made.rank, acts, made.playbook != NotifyPlaybook.name


def _only_tells(made: Proposal) -> bool:
    return all(tells(action) for action in made.actions)
