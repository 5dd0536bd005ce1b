"""What happened, told as it happens: compares the ledger with what was told before."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, NamedTuple

from agent.report.wording import action_text, cause_text, deciders_text
from store.ledger.ledger import Ledger
from store.model.incident import Incident
from store.model.money import usd_text
from store.model.remedy import Proposal, Remedy
from store.model.usage import Scope, Window

Kind = Literal["opened", "cause", "proposed", "decided", "applied", "verified", "ended", "closed"]


class Event(NamedTuple):
    """One line of the timeline. `where` and `says` hold text that came from traffic: escape it where it is shown."""

    at: datetime
    kind: Kind
    incident_id: str
    where: str
    says: str


class Narrator:
    """Turns changes of the ledger into events; a change is told once."""

    def __init__(self, ledger: Ledger, window: Window) -> None:
        self._ledger = ledger
        self._window = window
        self._audit_seq = ledger.anchor().seq
        self._told: set[tuple[object, ...]] = set()

    def news(self, now: datetime) -> list[Event]:
        """What is new since the last call, oldest first; cheap where nothing has changed."""
        rows = self._ledger.audit(after=self._audit_seq)
        if not rows:
            return []
        self._audit_seq = rows[-1].seq
        subjects = {row.subject.partition("@")[0] for row in rows}
        touched = {one.incident_id for one in self._ledger.remedies() if one.remedy_id in subjects} | subjects
        found = {
            key: event
            for incident in self._ledger.incidents(window=self._window)
            if incident.id in touched
            for key, event in self._events(incident, now)
            if key not in self._told
        }
        self._told.update(found)
        return sorted(found.values(), key=lambda event: event.at)

    def _events(self, incident: Incident, now: datetime) -> Iterator[tuple[tuple[object, ...], Event]]:
        def event(at: datetime, kind: Kind, says: str) -> Event:
            return Event(at, kind, incident.id, place(incident.scope), says)

        more = f"{usd_text(incident.excess_nanos)} above the expected {usd_text(incident.baseline_nanos)}"
        again = any(key[:2] == (incident.id, "opened") for key in self._told)
        opened = f"{'the same incident, now seen here: ' if again else ''}spend is {more}"
        yield (incident.id, "opened", incident.scope), event(now, "opened", opened)
        finding = self._ledger.finding(incident.id)
        if finding is not None:
            says = f"{cause_text(finding.cause)} ({finding.confidence:.0%}). {finding.causes[0].because}"
            yield (incident.id, "cause", finding.cause), event(now, "cause", says)
        for remedy in self._ledger.remedies(incident_id=incident.id):
            proposal = self._ledger.proposal(remedy.remedy_id, remedy.revision)
            if proposal is None:
                continue
            # A note to the owner is told once, however often it is brought up to date.
            told_as = (remedy.remedy_id, 0 if proposal.playbook == "notify" else remedy.revision)
            for key, at, kind, says in self._steps(remedy, proposal, now):
                yield (*told_as, *key), event(at, kind, says)
        if incident.status == "closed":
            yield (incident.id, "closed", incident.ended_at), event(now, "closed", "the spend is normal again")

    def _steps(
        self, remedy: Remedy, proposal: Proposal, now: datetime
    ) -> Iterator[tuple[tuple[object, ...], datetime, Kind, str]]:
        rulings = [one for one in self._ledger.rulings(remedy.remedy_id) if one.revision == remedy.revision]
        verdict = f"; policy says {rulings[0].verdict} ({rulings[0].rule})" if rulings else ""
        what = "; ".join(action_text(action) for action in proposal.actions)
        yield ("proposed",), proposal.made_at, "proposed", f"{proposal.playbook}: {what}{_worth(proposal)}{verdict}"
        decision = self._ledger.decision(remedy.remedy_id, remedy.revision)
        if decision is not None:
            who = deciders_text(decision.decided_by)
            because = f": “{decision.reason}”" if decision.reason else ""
            says = f"{decision.outcome.replace('_', ' ')} by {who}{because}"
            yield ("decided",), decision.decided_at, "decided", says
        for one in self._ledger.applications(remedy.remedy_id):
            if one.outcome is not None and one.revision == remedy.revision:
                says = f"{one.verb} at {proposal.gateway}: {one.outcome}{f' ({one.detail})' if one.detail else ''}"
                yield ("tried", one.id, one.outcome), one.outcome_at or now, "applied", says
        for verification in self._ledger.verifications(remedy.remedy_id):
            if verification.revision != remedy.revision:
                continue
            says = f"{verification.outcome.replace('_', ' ')}. {verification.says}"
            # A remedy that goes on working is verified again and again: only news is told.
            yield ("verified", verification.outcome), verification.at, "verified", says
        if remedy.state in ("closed", "paging") and remedy.applied_at is not None:
            ending = "a person must look" if remedy.state == "paging" else "ended"
            says = f"{proposal.playbook} {ending}: {(remedy.outcome or remedy.state).replace('_', ' ')}"
            yield ("ended", remedy.outcome), now, "ended", says


def place(scope: Scope) -> str:
    """A scope as people say it: "search/indexer" where it names an app, else all that it names."""
    team, app = scope.get("team"), scope.get("app")
    return f"{team}/{app}" if team is not None and app is not None else scope.text


def _worth(proposal: Proposal) -> str:
    saving = proposal.saving
    if saving.high <= 0:
        return ""
    return f", saves about {usd_text(saving.mid)} a day ({usd_text(saving.low)} to {usd_text(saving.high)})"
