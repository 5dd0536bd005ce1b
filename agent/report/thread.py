"""What a thread's first message says of an incident, and a channel of a week, in words."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from agent.report import wording
from agent.report.compose import view_of
from store.model.incident import Finding, Incident
from store.model.money import usd_text
from store.model.remedy import Decision, Proposal, Remedy, RemedyState, Ruling, Verification
from store.model.summary import WeeklySummary
from tools.slack.blocks import ButtonKind, Card, WeekCard

UNDOABLE: frozenset[RemedyState] = frozenset({"verifying", "kept", "unknown"})
_SHOWN_DRIVERS = 6


class ThreadFile(NamedTuple):
    """Everything that the ledger holds of an incident and its newest plan; None: there is none."""

    incident: Incident
    finding: Finding | None
    remedy: Remedy | None
    proposal: Proposal | None
    ruling: Ruling | None
    decision: Decision | None
    verifications: tuple[Verification, ...] = ()


def card_of(file: ThreadFile, zone: ZoneInfo) -> Card:
    """The thread's first message as the ledger stands now. Times are on the team's clock."""
    incident, finding = file.incident, file.finding
    spent = incident.baseline_nanos + incident.excess_nanos
    over = f"{usd_text(incident.excess_nanos)} above the baseline"
    return Card(
        headline=f"{wording.cause_text(finding.cause) if finding else 'Spike'}: {over}",
        where=_where(incident, finding),
        cost=f"spent {usd_text(spent)} where {usd_text(incident.baseline_nanos)} was expected, "
        f"since {wording.time_text(incident.started_at, zone)} ({zone.key})",
        cause=_cause(finding),
        drivers=_drivers(finding),
        drivers_of=usd_text(finding.excess_nanos) if finding else "",
        plan=file.proposal.playbook if file.proposal else "",
        changes=_changes(file.proposal),
        terms=_terms(file.proposal) if file.proposal else (),
        measured=file.verifications[-1].says if file.verifications else "",
        status=_status(file, zone),
        names=_names(file),
        target=f"{file.remedy.remedy_id}@{file.remedy.revision}" if file.remedy else "",
        buttons=_buttons(file),
    )


def week_payload(summary: WeeklySummary) -> dict[str, Any]:
    """The summary as it waits in the outbox: the words of a WeekCard, as JSON."""
    view = view_of(summary)
    incidents = [
        f"{card.title} at {card.scope}: {card.lost} above the baseline, {card.avoided} avoided"
        for card in view.incidents
    ]
    figures = [[one.label, one.value, one.note] for one in view.figures]
    return {"title": view.title, "story": view.story, "figures": figures, "incidents": incidents}


def week_card(payload: Mapping[str, Any]) -> WeekCard:
    """The card of such a payload; one of an older version, without words, is told by its week alone."""
    return WeekCard(
        title=str(payload.get("title") or f"Weekly summary {payload.get('week')}"),
        story=str(payload.get("story") or "The weekly incident summary is ready."),
        figures=tuple((str(label), str(value), str(note)) for label, value, note in payload.get("figures") or ()),
        incidents=tuple(str(line) for line in payload.get("incidents") or ()),
    )


def _where(incident: Incident, finding: Finding | None) -> str:
    """What the finding names inside the incident's scope, first, as long scopes are cut; then the scope."""
    named = set(finding.focus.dims) - set(incident.scope.dims) if finding else set()
    inside = " ".join(f"{name}={value}" for name, value in sorted(named))
    return f"{inside} in {incident.scope.text}" if inside else incident.scope.text


def _cause(finding: Finding | None) -> str:
    if finding is None:
        return "not investigated yet"
    best = finding.causes[0]
    sure = f"{wording.cause_text(best.cause)}, {best.confidence:.0%} sure"
    # Which agent and which tool, where a trace tells and the cause is about it.
    steps = [one.says for one in finding.evidence if one.query == "steps" and one.id in best.supported_by]
    parts = (f"{sure}: {best.because}" if best.because else sure, *steps, finding.review)
    return " ".join(part for part in parts if part)


def _drivers(finding: Finding | None) -> tuple[str, ...]:
    shares = sorted((one for one in finding.drivers if one.nanos), key=lambda one: -abs(one.nanos)) if finding else []
    lines = [f"{wording.driver_text(one.driver)} {wording.usd_signed(one.nanos)}" for one in shares]
    if len(shares) > _SHOWN_DRIVERS:
        rest = sum(one.nanos for one in shares[_SHOWN_DRIVERS - 1 :])
        lines[_SHOWN_DRIVERS - 1 :] = [f"{len(shares) - _SHOWN_DRIVERS + 1} others {wording.usd_signed(rest)}"]
    return tuple(lines)


def _changes(proposal: Proposal | None) -> tuple[tuple[str, str], ...]:
    if proposal is None:
        return ()
    return tuple(
        ("" if one.kind == "notify" else wording.before_text(one), wording.after_text(one)) for one in proposal.actions
    )


def _terms(proposal: Proposal) -> tuple[tuple[str, str], ...]:
    if all(action.kind == "notify" for action in proposal.actions):
        return ()
    saving = proposal.saving
    low, mid, high = usd_text(saving.low), usd_text(saving.mid), usd_text(saving.high)
    risk = f"{proposal.risk}: {proposal.quality_note}" if proposal.quality_note else proposal.risk
    return (
        ("Saves", f"about {mid} a day ({low} to {high}), {usd_text(saving.cash_mid)} of it cash; {saving.assumption}"),
        ("Risk", risk),
        ("Lasts", f"{wording.duration_text(proposal.lease_seconds)}, then returns by itself"),
        ("Undo", proposal.undo_note),
    )


def _status(file: ThreadFile, zone: ZoneInfo) -> str:
    remedy, proposal = file.remedy, file.proposal
    if remedy is None or proposal is None:
        return "No plan yet"
    if remedy.state == "pending":
        who = ", ".join(file.ruling.approvers) if file.ruling and file.ruling.approvers else "nobody is allowed to"
        quorum = f"; {file.ruling.quorum} must agree" if file.ruling and file.ruling.quorum > 1 else ""
        return f"Waits for a decision until {wording.time_text(proposal.expires_at, zone)}. May decide: {who}{quorum}"
    if remedy.state == "observed":
        return f"Only observed: nothing was changed ({_rule(file.ruling)})"
    return f"{_decided(file.decision, zone)}{_stands(remedy, file.decision, zone)}"


def _decided(decision: Decision | None, zone: ZoneInfo) -> str:
    if decision is None:
        return ""
    outcome = wording.OUTCOMES[decision.outcome].capitalize()
    reason = f" ({decision.reason})" if decision.reason and decision.outcome == "rejected" else ""
    by = "" if decision.decided_by == ("clock",) else f" by {wording.deciders_text(decision.decided_by)}"
    return f"{outcome}{by}, {wording.time_text(decision.decided_at, zone)}{reason}"


def _stands(remedy: Remedy, decision: Decision | None, zone: ZoneInfo) -> str:
    """Where it stands beyond the decision."""
    if remedy.state == "closed":
        decided = None if decision is None else decision.outcome
        return "" if remedy.outcome in (None, decided) else f". {wording.OUTCOMES[remedy.outcome].capitalize()}"
    if remedy.revert_reason is not None:
        return ". Being undone"
    until = f", until {wording.time_text(remedy.lease_ends_at, zone)}" if remedy.lease_ends_at else ""
    return f". Now {wording.STATES[remedy.state]}{until}"


def _rule(ruling: Ruling | None) -> str:
    if ruling is None:
        return "no ruling"
    lowered = f", held back by {', '.join(ruling.lowered_by)}" if ruling.lowered_by else ""
    return f"rule {ruling.rule}{lowered}"


def _names(file: ThreadFile) -> str:
    target = f" · {file.remedy.remedy_id}@{file.remedy.revision}" if file.remedy else ""
    return f"{file.incident.id}{target}"


def _buttons(file: ThreadFile) -> tuple[ButtonKind, ...]:
    if file.remedy is None or file.proposal is None:
        return ()
    if file.remedy.state == "pending":
        return ("approve", "reject")
    changes = any(action.kind != "notify" for action in file.proposal.actions)
    undoable = file.remedy.state in UNDOABLE and changes and file.remedy.revert_reason is None
    return ("undo",) if undoable else ()
