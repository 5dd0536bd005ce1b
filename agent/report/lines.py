"""The lines of the summary: pure arithmetic over what the ledger holds of one incident and its remedies."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from agent.report.wording import action_text
from agent.savings import History, realised
from store.model.incident import Cause, Finding, Incident
from store.model.remedy import Application, Decision, Proposal, Remedy, Ruling, Verification
from store.model.summary import IncidentLine, RemedyLine
from store.model.usage import Window

_NOT_LOST: frozenset[Cause] = frozenset({"organic_growth", "telemetry_fault"})


class RemedyFile(NamedTuple):
    """Everything that the ledger holds of one remedy's newest revision."""

    remedy: Remedy
    proposal: Proposal
    rulings: tuple[Ruling, ...]
    decision: Decision | None
    applications: tuple[Application, ...]
    verifications: tuple[Verification, ...]


def remedy_line(file: RemedyFile) -> RemedyLine:
    """One remedy: what it was, who decided, what it was expected to save and what it measurably saved."""
    remedy, proposal = file.remedy, file.proposal
    ruling = _first_ruling(file)
    saved = realised(History(proposal, file.verifications))
    return RemedyLine(
        remedy_id=remedy.remedy_id,
        playbook=proposal.playbook,
        what="; ".join(action_text(action) for action in proposal.actions) or "Nothing to change",
        verdict=ruling.verdict if ruling else "observe",
        rule=ruling.rule if ruling else "",
        decided_by=file.decision.decided_by if file.decision else (),
        state=remedy.state,
        outcome=remedy.outcome,
        expected_per_day=proposal.saving.mid,
        saved_low=saved.low,
        saved_mid=saved.mid,
        saved_high=saved.high,
        cash_saved_mid=saved.cash_mid,
        measured_seconds=saved.seconds,
        decided_at=file.decision.decided_at if file.decision else None,
        applied_at=_applied_at(file),
        note=_note(file),
    )


def incident_line(
    incident: Incident, finding: Finding | None, files: Sequence[RemedyFile], proposed_at: datetime | None
) -> IncidentLine:
    """One incident with its remedies; `proposed_at` is when a plan that names the cause was first made."""
    remedies = tuple(remedy_line(file) for file in files)
    decided = [
        file.decision.decided_at
        for file in files
        if file.decision is not None and file.decision.outcome in ("approved", "rejected")
    ]
    return IncidentLine(
        incident_id=incident.id,
        scope=incident.scope,
        cause=finding.cause if finding else "unknown",
        confidence=finding.confidence if finding else 0.0,
        started_at=incident.started_at,
        opened_at=incident.opened_at,
        ended_at=incident.ended_at,
        baseline_nanos=incident.baseline_nanos,
        excess_nanos=incident.excess_nanos,
        avoided_nanos=sum(remedy.saved_mid for remedy in remedies),
        avoided_cash_nanos=sum(remedy.cash_saved_mid for remedy in remedies),
        drivers=finding.drivers if finding else (),
        because=finding.causes[0].because if finding else "Not investigated yet.",
        remedies=remedies,
        seconds_to_detect=_seconds(incident, incident.opened_at),
        seconds_to_cause=_seconds_or_none(incident, proposed_at),
        seconds_to_decide=_seconds_or_none(incident, min(decided, default=None)),
        seconds_to_fix=_seconds_or_none(incident, min(_fixes(files), default=None)),
        planned=incident.planned,
    )


def began_in(line: IncidentLine, week: Window) -> bool:
    """Whether the incident counts in this week: each counts once, in the week in which it began."""
    return week.start <= line.started_at < week.end


def is_loss(line: IncidentLine) -> bool:
    """Whether its excess was lost: planned spend, growth and faulty telemetry are shown, but are no loss."""
    return line.planned is None and line.cause not in _NOT_LOST


def _first_ruling(file: RemedyFile) -> Ruling | None:
    mine = [one for one in file.rulings if one.revision == file.remedy.revision and one.phase == "proposal"]
    return mine[0] if mine else None


def _applied_at(file: RemedyFile) -> datetime | None:
    done = [one.outcome_at for one in file.applications if one.verb == "apply" and one.outcome == "applied"]
    return file.remedy.applied_at or min((moment for moment in done if moment), default=None)


def _fixes(files: Sequence[RemedyFile]) -> list[datetime]:
    """When the remedies that proved to work took effect."""
    worked = [file for file in files if any(one.outcome == "worked" for one in file.verifications)]
    return [moment for file in worked if (moment := _applied_at(file))]


def _note(file: RemedyFile) -> str:
    if file.verifications:
        return max(file.verifications, key=lambda one: one.at).says
    if file.decision is not None and file.decision.reason:
        return file.decision.reason
    return file.remedy.revert_reason or ""


def _seconds(incident: Incident, moment: datetime) -> int:
    return max(0, round((moment - incident.started_at).total_seconds()))


def _seconds_or_none(incident: Incident, moment: datetime | None) -> int | None:
    return None if moment is None else _seconds(incident, moment)
