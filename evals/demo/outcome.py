"""What became of an incident, in one word, read from the ledger's rows."""

from typing import Literal, NamedTuple

from store.ledger.ledger import Ledger
from store.model.remedy import Decision, Proposal, Remedy, Ruling, Verdict, VerificationOutcome

Fate = Literal[
    "worked",
    "no_effect",
    "harmed_reverted",
    "rejected",
    "approval_expired",
    "left_alone",
    "inconclusive",
    "pending",
]

_VERIFIED: dict[VerificationOutcome, Fate] = {
    "worked": "worked",
    "no_effect": "no_effect",
    "harmed": "harmed_reverted",
    "inconclusive": "inconclusive",
}
_SUPERSEDED = frozenset({"withdrawn", "stale"})


class Story(NamedTuple):
    """One remedy of an incident: what was put forward, who decided, and what it led to."""

    remedy: Remedy
    proposal: Proposal
    verdict: Verdict
    decided_by: tuple[str, ...]
    fate: Fate


def remedy_stories(ledger: Ledger, incident_id: str) -> list[Story]:
    """The incident's remedies that were not superseded, each revision by itself, in the order of their plans."""
    stories = []
    for proposal in ledger.proposals(incident_id):
        remedy = _as_of(ledger, proposal)
        if remedy is None or remedy.outcome in _SUPERSEDED:
            continue
        decision = ledger.decision(proposal.remedy_id, proposal.revision)
        ruling = _first(ledger.rulings(proposal.remedy_id), proposal.revision)
        verified = [
            one.outcome for one in ledger.verifications(proposal.remedy_id) if one.revision == proposal.revision
        ]
        stories.append(
            Story(
                remedy=remedy,
                proposal=proposal,
                verdict=ruling.verdict if ruling else "observe",
                decided_by=_decided_by(decision, ruling),
                fate=fate_of(remedy, proposal, decision, verified),
            )
        )
    return sorted(stories, key=lambda story: (story.proposal.made_at, story.remedy.remedy_id))


def _as_of(ledger: Ledger, proposal: Proposal) -> Remedy | None:
    """The remedy as that revision left it: an older one is closed, and superseded where nobody decided on it."""
    remedy = ledger.remedy(proposal.remedy_id)
    if remedy is None or remedy.revision == proposal.revision:
        return remedy
    decision = ledger.decision(proposal.remedy_id, proposal.revision)
    outcome = decision.outcome if decision is not None else "withdrawn"
    return remedy.model_copy(update={"revision": proposal.revision, "state": "closed", "outcome": outcome})


def main_story(stories: list[Story]) -> Story | None:
    """The one that an incident is told by: the first remedy that was more than a note, or else the first note."""
    return next((story for story in stories if story.fate != "left_alone"), stories[0] if stories else None)


def fate_of(remedy: Remedy, proposal: Proposal, decision: Decision | None, verified: list[VerificationOutcome]) -> Fate:
    """What became of one remedy; `verified` holds the outcomes of its verifications, oldest first.

    A remedy that only tells the owner, or that was only observed, leaves the traffic alone. A remedy that worked and
    did harm later did harm.
    """
    if decision is not None and decision.outcome in ("rejected", "approval_expired"):
        return "rejected" if decision.outcome == "rejected" else "approval_expired"
    if remedy.state == "observed" or all(action.kind == "notify" for action in proposal.actions):
        return "left_alone"
    if "harmed" in verified:
        return "harmed_reverted" if remedy.state == "closed" else "pending"
    if verified:
        settled = [outcome for outcome in verified if outcome != "inconclusive"]
        return _VERIFIED[settled[-1] if settled else "inconclusive"]
    return "inconclusive" if remedy.state in ("closed", "paging") else "pending"


def _first(rulings: list[Ruling], revision: int) -> Ruling | None:
    return next((one for one in rulings if one.revision == revision and one.phase == "proposal"), None)


def _decided_by(decision: Decision | None, ruling: Ruling | None) -> tuple[str, ...]:
    if decision is not None:
        return decision.decided_by
    return (f"policy:{ruling.rule}",) if ruling is not None and ruling.verdict == "observe" else ()
