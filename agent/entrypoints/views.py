"""Ledger rows as the documents and lines that the command line prints; no I/O of its own beyond the ledger."""

from decimal import Decimal
from typing import TYPE_CHECKING

from agent.report.wording import duration_text
from agent.savings import Realised, history_of, realised
from store.ledger.ledger import Ledger
from store.model.incident import Finding, Incident
from store.model.money import usd_number, usd_text
from store.model.remedy import Proposal, Remedy, Ruling
from store.model.usage import NONE, iso

if TYPE_CHECKING:
    from agent.backtest import Backtest

Document = dict[str, object]


def incident_document(ledger: Ledger, incident: Incident) -> Document:
    """An incident with its finding and proposals, in the shape that `backtest --json` has too."""
    proposals = [(p, _proposal_ruling(ledger, p)) for p in ledger.proposals(incident.id)]
    return {
        **backtest_incident(incident, ledger.finding(incident.id), proposals),
        "revision": incident.revision,
        "status": incident.status,
        "alternatives_not_put_forward": [proposal_document(p, None) for p in ledger.alternatives(incident.id)],
        "remedies": [remedy_document(ledger, r) for r in ledger.remedies(incident_id=incident.id)],
    }


def backtest_incident(
    incident: Incident, finding: Finding | None, proposals: list[tuple[Proposal, Ruling | None]]
) -> Document:
    """One incident as DESIGN section 9 prints it: amounts are JSON numbers in USD, times ISO 8601 with Z."""
    return {
        "id": incident.id,
        "opened_at": iso(incident.opened_at),
        "started_at": iso(incident.started_at),
        "ended_at": iso(incident.ended_at) if incident.ended_at else None,
        "scope": incident.scope.as_dict(),
        "excess_usd": usd_number(incident.excess_nanos),
        "baseline_usd": usd_number(incident.baseline_nanos),
        "signals": [
            {"signal": spike.signal, "series": spike.series.as_dict(), "score": spike.score}
            for spike in incident.spikes
        ],
        "drivers": [{"driver": d.driver, "usd": usd_number(d.nanos)} for d in finding.drivers] if finding else [],
        "cause": finding.cause if finding else None,
        "confidence": finding.confidence if finding else None,
        "made_by": finding.made_by if finding else None,
        "review": finding.review if finding else "",
        "investigation_usd": usd_number(finding.cost_nanos) if finding else 0.0,
        "alternatives": [{"cause": c.cause, "confidence": c.confidence} for c in finding.causes[1:]] if finding else [],
        "evidence": [{"id": e.id, "query": e.query, "says": e.says} for e in finding.evidence] if finding else [],
        "proposals": [proposal_document(proposal, ruling) for proposal, ruling in proposals],
    }


def proposal_document(proposal: Proposal, ruling: Ruling | None) -> Document:
    """One proposal: what it would set, what it was, what it should save a day, and what the policy says."""
    saving = proposal.saving
    return {
        "playbook": proposal.playbook,
        "actions": [{"kind": a.kind, "target": a.target.as_dict(), "to": a.to, "was": a.was} for a in proposal.actions],
        "risk": proposal.risk,
        "net_benefit_usd_per_day": proposal.rank,
        "because": proposal.because,
        "expected_saving_usd_per_day": {
            "low": usd_number(saving.low),
            "mid": usd_number(saving.mid),
            "high": usd_number(saving.high),
        },
        "cash_saving_usd_per_day": usd_number(saving.cash_mid),
        "assumption": saving.assumption,
        "ruling": {"verdict": ruling.verdict, "rule": ruling.rule, "lowered_by": list(ruling.lowered_by)}
        if ruling
        else None,
    }


def backtest_document(result: "Backtest") -> Document:
    """What `bursar backtest --json` prints."""
    return {
        "incidents": [
            backtest_incident(one, result.findings.get(one.id), result.proposals.get(one.id, []))
            for one in result.incidents
        ],
        "records": result.records.model_dump(),
        "trust": [{"scope": n.scope.as_dict(), "kind": n.kind, "says": n.says} for n in result.trust],
    }


def remedy_document(ledger: Ledger, remedy: Remedy) -> Document:
    """One remedy with its estimate, its measured saving, who decided and where it stands."""
    proposal = ledger.proposal(remedy.remedy_id, remedy.revision)
    decision = ledger.decision(remedy.remedy_id, remedy.revision)
    checks = ledger.verifications(remedy.remedy_id)
    history = history_of(ledger, remedy)
    saved = Realised() if history is None else realised(history)
    return {
        "id": remedy.remedy_id,
        "revision": remedy.revision,
        "incident_id": remedy.incident_id,
        "state": remedy.state,
        "outcome": remedy.outcome,
        "playbook": proposal.playbook if proposal else "",
        "scope": proposal.scope.as_dict() if proposal else {},
        "scope_text": proposal.scope.text if proposal else "",
        "proposal": proposal_document(proposal, _proposal_ruling(ledger, proposal)) if proposal else None,
        "decided_by": list(decision.decided_by) if decision else [],
        "decision": decision.outcome if decision else None,
        "reason": decision.reason if decision else "",
        "applied_at": iso(remedy.applied_at) if remedy.applied_at else None,
        "lease_ends_at": iso(remedy.lease_ends_at) if remedy.lease_ends_at else None,
        "team": history.team if history else NONE,
        "saved_usd": usd_number(saved.mid),
        "realised": realised_document(saved),
        "expected_text": usd_text(proposal.saving.mid) if proposal else "",
        "saved_text": saved_text(saved) if checks else "not measured yet",
        "verifications": [
            {
                "at": iso(check.at),
                "outcome": check.outcome,
                "saved_usd": {
                    "low": usd_number(check.saved_low_nanos),
                    "mid": usd_number(check.saved_mid_nanos),
                    "high": usd_number(check.saved_high_nanos),
                },
                "says": check.says,
            }
            for check in checks
        ],
    }


def realised_document(saved: Realised) -> Document:
    """A measured saving with its interval, and what was expected of the same time."""
    return {
        "saved_usd": {
            "low": usd_number(saved.low),
            "mid": usd_number(saved.mid),
            "high": usd_number(saved.high),
        },
        "cash_saved_usd": usd_number(saved.cash_mid),
        "measured_seconds": saved.seconds,
        "expected_usd": usd_number(saved.expected),
    }


def saved_text(saved: Realised) -> str:
    """The same in words."""
    low, mid, high = (usd_text(amount) for amount in saved[:3])
    over = duration_text(saved.seconds)
    return f"{mid} ({low} to {high}) in {over}, where {usd_text(saved.expected)} was expected"


def proposal_text(proposal: Proposal) -> str:
    """What a person reads before deciding: the diff, the saving with its interval, risk, lease and undo."""
    saving = proposal.saving
    hours = Decimal(proposal.lease_seconds) / 3600
    lines = [f"{proposal.playbook} for {proposal.scope.text} ({proposal.cause}, {proposal.confidence:.0%} sure)"]
    for action in proposal.actions:
        was = _settings_text(action.was)
        lines.append(f"  {action.kind} on {action.target.text}: {was} -> {_settings_text(action.to)}")
    low, mid, high = usd_text(saving.low), usd_text(saving.mid), usd_text(saving.high)
    lines.append(
        f"  saves about {mid} a day ({low} to {high}; {usd_text(saving.cash_mid)} of it cash): {saving.assumption}"
    )
    lines.append(f"  risk {proposal.risk}: {proposal.quality_note}")
    lines.append(f"  lasts {hours:.0f} h, then returns by itself; undo: {proposal.undo_note}")
    return "\n".join(lines)


def undoing_text(proposal: Proposal) -> str:
    """What taking a remedy back would put back, one line an action."""
    lines = [f"{proposal.remedy_id}: {proposal.playbook} for {proposal.scope.text}"]
    for action in proposal.actions:
        now, was = _settings_text(action.to), _settings_text(action.was)
        lines.append(f"  {action.kind} on {action.target.text}: {now} -> {was}, as it was before")
    return "\n".join(lines)


def _settings_text(value: dict[str, bool | int | str | None]) -> str:
    shown = {k: v for k, v in value.items() if v is not None}
    return ", ".join(f"{k}={v}" for k, v in shown.items()) or "not set"


def _proposal_ruling(ledger: Ledger, proposal: Proposal) -> Ruling | None:
    rulings = [
        r for r in ledger.rulings(proposal.remedy_id) if r.revision == proposal.revision and r.phase == "proposal"
    ]
    return rulings[-1] if rulings else None
