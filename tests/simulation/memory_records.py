"""Incidents, findings, the kill switch, windows and the inbox of a ledger in memory."""

from datetime import datetime, timedelta

from store.ledger.text import text_of
from store.ledger.values import Payload
from store.model.incident import Finding, Incident, IncidentStatus
from store.model.ports import Clock
from store.model.usage import Window
from tests.simulation.memory_book import MemoryBook


class MemoryRecords(MemoryBook):
    """What is kept beside the remedies."""

    def __init__(self, *, clock: Clock, lease_clock: Clock) -> None:
        super().__init__(clock=clock, lease_clock=lease_clock)
        self._incidents: dict[str, Incident] = {}
        self._findings: dict[str, dict[int, Finding]] = {}
        self._switch = False
        self._windows: dict[tuple[str, str, datetime], tuple[str, datetime, bool]] = {}
        self._inbox: dict[str, tuple[int, str, Payload, bool]] = {}

    def save_incident(self, incident: Incident) -> None:
        before = self._incidents.get(incident.id)
        self._incidents[incident.id] = incident
        if before is None:
            self._note("bursar", "incident_opened", incident.id, {})
        elif before.status != incident.status:
            action = "incident_closed" if incident.status == "closed" else "incident_reopened"
            self._note("bursar", action, incident.id, {})
        elif before.revision != incident.revision:
            self._note("bursar", "incident_revised", incident.id, {})

    def incident(self, incident_id: str) -> Incident | None:
        return self._incidents.get(incident_id)

    def incidents(self, *, window: Window | None = None, status: IncidentStatus | None = None) -> list[Incident]:
        found = [one for one in self._incidents.values() if status in (None, one.status)]
        if window is not None:
            found = [one for one in found if one.window.start < window.end and one.window.end > window.start]
        return sorted(sorted(found, key=lambda one: one.id), key=lambda one: one.window.start, reverse=True)

    def save_finding(self, finding: Finding) -> None:
        self._findings.setdefault(finding.incident_id, {})[finding.revision] = finding
        self._note(finding.made_by, "finding", finding.incident_id, {"revision": finding.revision})

    def finding(self, incident_id: str, revision: int | None = None) -> Finding | None:
        found = self._findings.get(incident_id, {})
        return found.get(max(found, default=0) if revision is None else revision)

    def kill_switch(self) -> bool:
        return self._switch

    def set_kill_switch(self, on: bool, *, by: str, reason: str) -> None:
        with self._lock:
            was, self._switch = self._switch, on
            payload = {"on": on, "by": by, "reason": reason}
            self._note(by, "kill_switch", "kill-switch", payload)
            if was != on:
                self._send("kill_switch", "kill-switch", payload)

    # --- windows and the inbox

    def claim_window(self, kind: str, scope: str, start: datetime, *, owner: str, lease_seconds: int) -> bool:
        with self._lock:
            now = self._lease_clock()
            _, until, done = self._windows.get((kind, scope, start), ("", now, False))
            if done or until > now:
                return False
            self._windows[kind, scope, start] = (owner, now + timedelta(seconds=lease_seconds), False)
            return True

    def finish_window(
        self,
        kind: str,
        scope: str,
        start: datetime,
        *,
        owner: str,
        result: Payload | None = None,  # noqa: ARG002 - nobody reads it back
        outbox: tuple[str, str, Payload] | None = None,
    ) -> bool:
        with self._lock:
            holder, until, done = self._windows.get((kind, scope, start), ("", start, False))
            if done or holder != owner:
                return False
            self._windows[kind, scope, start] = (owner, until, True)
            if outbox is not None:
                self._send(*outbox)
            return True

    def last_window(self, kind: str, scope: str) -> datetime | None:
        mine = [
            start for (one, of, start), (_, _, done) in self._windows.items() if done and (one, of) == (kind, scope)
        ]
        return max(mine, default=None)

    def inbox_put(self, dedupe_key: str, kind: str, payload: Payload) -> bool:
        text_of(payload)
        if dedupe_key in self._inbox:
            return False
        self._inbox[dedupe_key] = (len(self._inbox) + 1, kind, payload, False)
        return True

    def inbox_pending(self, *, limit: int = 100) -> list[tuple[int, str, Payload]]:
        return [(row_id, kind, payload) for row_id, kind, payload, done in self._inbox.values() if not done][:limit]

    def inbox_done(self, row_id: int) -> None:
        for key, (one, kind, payload, _) in self._inbox.items():
            if one == row_id:
                self._inbox[key] = (one, kind, payload, True)
