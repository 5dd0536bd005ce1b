"""The service at work: what is due now, read from the ledger; each method may be repeated at any time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from agent.graph import Graph, run, watch_input
from agent.settings import Settings
from store.ledger.ledger import Ledger
from store.model.incident import Incident, TrustNote
from store.model.ports import Clock, Warehouse
from store.model.remedy import RemedyState
from store.model.usage import Window, floor_to
from store.prices import PriceBook

LIVE: frozenset[RemedyState] = frozenset(
    {"pending", "approved", "applying", "unknown", "verifying", "kept", "reverting", "paging"}
)
"""States in which a remedy of an incident stands or may come to stand at the gateway."""
SPENT = frozenset({"no_effect", "harmed", "rejected"})
"""Outcomes after which the same playbook is not put forward again for the same incident."""
CASE_LEASE_SECONDS = 600
RECENT = timedelta(hours=48)


@dataclass(frozen=True)
class Graphs:
    """The three graphs, compiled."""

    watch: Graph
    case: Graph
    remedy: Graph


@dataclass
class Looked:
    """What one tick did; for logs, metrics and the demo's timeline."""

    opened: list[str] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    steps: list[tuple[str, str]] = field(default_factory=list)
    """(remedy id, the step that was taken)."""


@dataclass
class Bursar:
    """The assembled service. Each method is one short piece of work that may be repeated at any time."""

    settings: Settings
    clock: Clock
    owner: str
    ledger: Ledger
    warehouse: Warehouse
    prices: PriceBook
    graphs: Graphs
    settle: Callable[[str], None]
    forget: Callable[[str], None]
    close_parts: Callable[[], None]
    trust_notes: list[TrustNote]
    """What the newest watch run said of the data; rulings read it."""

    def tick(self) -> Looked:
        """Look at the spend, investigate what is new, and move every remedy that is due one step.

        What is in force is looked after even where the looking fails: a fault in a detector must not keep a remedy from
        being verified or returned.
        """
        steps: list[tuple[str, str]] = []
        try:
            opened, cases = self.watch(), self.run_cases()
        finally:
            steps = self.reconcile()
        return Looked(opened=opened, cases=cases, steps=steps)

    def watch(self) -> list[str]:
        """Judge every bucket that has ended and whose data are in; ids@revisions of incidents that need a case."""
        delay = timedelta(seconds=self.settings.schedule.source_delay_seconds)
        judged = floor_to(self.clock() - delay, self.settings.detectors.bucket_seconds)
        return list(run(self.graphs.watch, watch_input(judged))["opened"])

    def run_cases(self) -> list[str]:
        """Investigate each incident revision that has not been; ids of the remedies that were filed.

        Level-triggered: what is due is read from the ledger, so a crash only delays a case.
        """
        filed: list[str] = []
        for incident in self._recent_incidents():
            case = self._case_due(incident)
            if case is not None:
                filed.extend(self._run_case(incident, case))
            elif incident.status == "closed":
                self._settle_once(incident)
        return filed

    def _recent_incidents(self) -> list[Incident]:
        now = self.clock()
        recent = self.ledger.incidents(window=Window(start=now - RECENT, end=now))
        known = {incident.id: incident for incident in [*recent, *self.ledger.incidents(status="open")]}
        due = [incident for incident in known.values() if incident.planned is None]
        return sorted(due, key=lambda incident: (incident.opened_at, incident.id))

    def _case_due(self, incident: Incident) -> str | None:
        """The name of the case that is due, or None.

        One case per revision; another when a remedy came to nothing. While a remedy stands, none; once the spend is
        normal again, only the first.
        """
        remedies = self.ledger.remedies(incident_id=incident.id)
        if any(remedy.state in LIVE for remedy in remedies):
            return None
        if incident.status == "closed" and self.ledger.finding(incident.id) is not None:
            return None
        spent = sum(remedy.outcome in SPENT for remedy in remedies)
        case = f"{incident.id}@{incident.revision}.{spent}"
        return None if self.ledger.last_window("case", case) else case

    def _settle_once(self, incident: Incident) -> None:
        assert incident.ended_at is not None
        if self.ledger.last_window("settle", incident.id) == incident.ended_at:
            return
        if self.ledger.claim_window(
            "settle", incident.id, incident.ended_at, owner=self.owner, lease_seconds=CASE_LEASE_SECONDS
        ):
            self.settle(incident.id)
            self.ledger.finish_window("settle", incident.id, incident.ended_at, owner=self.owner)

    def _run_case(self, incident: Incident, case: str) -> list[str]:
        start = incident.revised_at
        if not self.ledger.claim_window("case", case, start, owner=self.owner, lease_seconds=CASE_LEASE_SECONDS):
            return []
        # A crashed attempt is not resumed: another version of the graph may have begun it.
        self.forget(case)
        state = run(self.graphs.case, {"incident_id": incident.id}, thread_id=case)
        remedies: list[str] = state.get("remedies", [])
        self.ledger.finish_window("case", case, start, owner=self.owner, result={"remedies": list(remedies)})
        self.forget(case)
        return remedies

    def reconcile(self) -> list[tuple[str, str]]:
        """End what has waited too long, then move each due remedy one step; (remedy id, step) of each."""
        now = self.clock()
        self.ledger.expire_due(now)
        taken: list[tuple[str, str]] = []
        for remedy_id in self.ledger.due(now):
            step = run(self.graphs.remedy, {"remedy_id": remedy_id})["step"]
            if step != "done":
                taken.append((remedy_id, step))
        return taken

    def ping(self) -> None:
        """Ask both stores whether they answer.

        Raises:
            BursarError: one of them does not.
        """
        self.ledger.ping()
        self.warehouse.sources()

    def close(self) -> None:
        """Release files and connections."""
        self.close_parts()
