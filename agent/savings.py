"""What remedies really saved: booked for each remedy and team, beside what was expected; and what estimates came to.

Pure, but for `histories`, which reads the ledger. Amounts are nano-USD.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from store.model.incident import Incident
from store.model.remedy import Proposal, Remedy, Verification
from store.model.usage import NONE

DAY_SECONDS = 86_400
PRIOR = 3
"""As many estimates that came true are taken to have gone before the first."""
RECENT = 500
"""So many remedies are looked back upon."""


class Realised(NamedTuple):
    """A measured saving with its interval, and what was `expected` of the same `seconds`."""

    low: int = 0
    mid: int = 0
    high: int = 0
    cash_mid: int = 0
    seconds: int = 0
    expected: int = 0

    def plus(self, other: "Realised") -> "Realised":
        """Both; ends of intervals add up, as if all erred the same way."""
        return Realised(*(one + two for one, two in zip(self, other, strict=True)))


class Record(NamedTuple):
    """What came of a playbook's estimates: how many could be judged, and the share of them that came true."""

    judged: int
    came_true: float

    @property
    def reliability(self) -> float:
        """What to believe of the next one, between 0 and 1: a record lowers a confidence and never raises it."""
        return (PRIOR + self.came_true * self.judged) / (PRIOR + self.judged)


class History(NamedTuple):
    """One remedy: its plan, every verification of it, oldest first, and whose spend it was."""

    proposal: Proposal
    verifications: tuple[Verification, ...]
    team: str = NONE


class Books(Protocol):
    """What is read of the ledger."""

    def remedies(self) -> list[Remedy]:
        """All, in the order of their filing."""
        ...

    def proposal(self, remedy_id: str, revision: int | None = None) -> Proposal | None:
        """The plan of a revision."""
        ...

    def verifications(self, remedy_id: str) -> list[Verification]:
        """Every verification of a remedy, oldest first."""
        ...

    def incident(self, incident_id: str) -> Incident | None:
        """What it was for."""
        ...


def history_of(books: Books, remedy: Remedy) -> History | None:
    """What the ledger holds of one remedy; its team is that of its scope, else of its incident's."""
    proposal = books.proposal(remedy.remedy_id, remedy.revision)
    if proposal is None:
        return None
    team = proposal.scope.get("team")
    incident = books.incident(remedy.incident_id) if team is None else None
    if incident is not None:
        team = incident.scope.get("team")
    return History(proposal, tuple(books.verifications(remedy.remedy_id)), team or NONE)


def histories(books: Books) -> list[History]:
    """The newest remedies that were ever in force."""
    made = [remedy for remedy in books.remedies() if remedy.applied_at is not None][-RECENT:]
    return [found for remedy in made if (found := history_of(books, remedy)) is not None]


def without_overlap(verifications: Sequence[Verification]) -> list[Verification]:
    """The newest verification of each span of time: a window that was measured again counts once."""
    kept: list[Verification] = []
    for one in sorted(verifications, key=lambda each: (each.at, each.window.end), reverse=True):
        if all(one.window.end <= other.window.start or other.window.end <= one.window.start for other in kept):
            kept.append(one)
    return kept


def realised(history: History) -> Realised:
    """What one remedy saved over all that was measured of it."""
    return _sum(history.proposal, without_overlap(history.verifications))


def by_team(histories: Iterable[History]) -> dict[str, Realised]:
    """The same for each team, the greatest saving first."""
    found: dict[str, Realised] = defaultdict(Realised)
    for history in histories:
        if history.verifications:
            found[history.team] = found[history.team].plus(realised(history))
    return dict(sorted(found.items(), key=lambda pair: (-pair[1].mid, pair[0])))


def track_record(histories: Iterable[History]) -> dict[str, Record]:
    """What came of each playbook's estimates.

    An estimate came true by the share of it that was saved while the remedy worked, at most wholly; one that did harm
    or never had an effect came true by nothing. One that could not be judged, or is not yet, does not count.
    """
    shares: dict[str, list[float]] = defaultdict(list)
    for history in histories:
        share = _share(history)
        if share is not None:
            shares[history.proposal.playbook].append(share)
    return {name: Record(len(found), sum(found) / len(found)) for name, found in sorted(shares.items())}


def record_text(record: Record) -> str:
    """In words, to stand beside an estimate."""
    return f"earlier estimates of this playbook came true to {record.came_true:.0%} (remedies: {record.judged})"


def _sum(proposal: Proposal, counted: Sequence[Verification]) -> Realised:
    seconds = round(sum(one.window.seconds for one in counted))
    return Realised(
        low=sum(one.saved_low_nanos for one in counted),
        mid=sum(one.saved_mid_nanos for one in counted),
        high=sum(one.saved_high_nanos for one in counted),
        cash_mid=sum(one.cash_saved_mid_nanos for one in counted),
        seconds=seconds,
        expected=proposal.saving.mid * seconds // DAY_SECONDS,
    )


def _share(history: History) -> float | None:
    outcomes = {one.outcome for one in history.verifications}
    if "harmed" in outcomes:
        return 0.0
    # When a spike has ended there is nothing left to save: only the time in which the remedy worked counts.
    found = _sum(history.proposal, [one for one in without_overlap(history.verifications) if one.outcome == "worked"])
    if found.expected > 0:
        return min(1.0, max(0.0, found.mid / found.expected))
    return 0.0 if "no_effect" in outcomes and "worked" not in outcomes else None
