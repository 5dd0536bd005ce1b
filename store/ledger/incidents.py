"""Incidents and findings."""

from typing import Any

from sqlalchemy import select

from store.ledger import audit, tables
from store.ledger.database import Transaction
from store.ledger.part import Part
from store.ledger.rows import put
from store.ledger.text import body_of
from store.model.incident import Finding, Incident, IncidentStatus
from store.model.usage import Window


class Incidents(Part):
    """What was seen, and what was found out about it."""

    def save_incident(self, incident: Incident) -> None:
        """Insert or replace by id. A mere extension of a known revision is not audited."""
        with self._db.write() as tx:
            before = _find(tx, incident.id)
            values = {
                "revision": incident.revision,
                "status": incident.status,
                "started_us": incident.window.start_us,
                "end_us": incident.window.end_us,
                "body": body_of(incident),
            }
            put(tx, tables.incidents, {"id": incident.id}, values)
            action = _news(before, incident)
            if action is not None:
                audit.append(tx, actor="bursar", action=action, subject=incident.id, payload=_summary(incident))

    def incident(self, incident_id: str) -> Incident | None:
        """The incident as last saved."""
        with self._db.read() as tx:
            return _find(tx, incident_id)

    def incidents(self, *, window: Window | None = None, status: IncidentStatus | None = None) -> list[Incident]:
        """Incidents, latest start first; `window` keeps those whose own window overlaps it."""
        table = tables.incidents
        wanted = select(table.c.body).order_by(table.c.started_us.desc(), table.c.id)
        if window is not None:
            wanted = wanted.where(table.c.started_us < window.end_us, table.c.end_us > window.start_us)
        if status is not None:
            wanted = wanted.where(table.c.status == status)
        with self._db.read() as tx:
            return [Incident.model_validate_json(body) for body in tx.conn.scalars(wanted)]

    def save_finding(self, finding: Finding) -> None:
        """Keep what was found for one incident revision; a second save of that revision replaces the first."""
        with self._db.write() as tx:
            key = {"incident_id": finding.incident_id, "revision": finding.revision}
            put(tx, tables.findings, key, {"body": body_of(finding)})
            payload = {
                "revision": finding.revision,
                "cause": finding.cause,
                "confidence": finding.confidence,
                "excess_nanos": finding.excess_nanos,
                "cost_nanos": finding.cost_nanos,
            }
            audit.append(tx, actor=finding.made_by, action="finding", subject=finding.incident_id, payload=payload)

    def finding(self, incident_id: str, revision: int | None = None) -> Finding | None:
        """The finding of that revision; None asks for the newest."""
        table = tables.findings
        wanted = select(table.c.body).where(table.c.incident_id == incident_id).order_by(table.c.revision.desc())
        if revision is not None:
            wanted = wanted.where(table.c.revision == revision)
        with self._db.read() as tx:
            body = tx.conn.scalars(wanted.limit(1)).first()
            return None if body is None else Finding.model_validate_json(body)


def _find(tx: Transaction, incident_id: str) -> Incident | None:
    body = tx.conn.scalar(select(tables.incidents.c.body).where(tables.incidents.c.id == incident_id))
    return None if body is None else Incident.model_validate_json(body)


def _news(before: Incident | None, after: Incident) -> str | None:
    if before is None:
        return "incident_opened"
    if before.status != after.status:
        return "incident_closed" if after.status == "closed" else "incident_reopened"
    return "incident_revised" if before.revision != after.revision else None


def _summary(incident: Incident) -> dict[str, Any]:
    return incident.model_dump(mode="json", include={"revision", "scope", "status", "started_at", "excess_nanos"})
