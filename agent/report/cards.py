"""The cards of the summary: one incident, and each of its remedies, as text."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from agent.report import wording
from agent.report.escape import NAME_CHARS, SENTENCE_CHARS, plain
from agent.report.lines import began_in, is_loss
from agent.report.view import Bar, IncidentCard, Moment, RemedyCard, Tone
from store.model.money import usd_text
from store.model.remedy import Outcome
from store.model.summary import IncidentLine, RemedyLine, WeeklySummary


def incident_card(number: int, line: IncidentLine, summary: WeeklySummary, zone: ZoneInfo) -> IncidentCard:
    """One incident with its drivers, its decision trail and its remedies."""
    spent = line.baseline_nanos + line.excess_nanos
    return IncidentCard(
        number=number,
        anchor=f"incident-{number}",
        title=wording.cause_text(line.cause),
        scope=plain(line.scope.text, limit=2 * NAME_CHARS),
        confidence=f"{line.confidence * 100:.0f} % sure" if line.cause != "unknown" else "cause unknown",
        status="ended" if line.ended_at else "still open",
        lost=usd_text(line.excess_nanos),
        avoided=usd_text(line.avoided_nanos),
        before_after=f"Spent {usd_text(spent)} where {usd_text(line.baseline_nanos)} was expected",
        decided=_decided(line),
        because=plain(line.because, limit=SENTENCE_CHARS),
        aside=_aside(line, summary),
        drivers=_bars(line),
        trail=_trail(line, zone),
        remedies=tuple(_remedy(remedy) for remedy in line.remedies),
    )


def _aside(line: IncidentLine, summary: WeeklySummary) -> str:
    if not began_in(line, summary.window):
        return "Began in another week and is counted there."
    if line.planned is not None:
        return f"Planned: {plain(line.planned, limit=NAME_CHARS)}. Not counted as lost."
    return "" if is_loss(line) else f"{wording.cause_text(line.cause)} is not counted as lost."


def _decided(line: IncidentLine) -> str:
    people = {name: None for remedy in line.remedies for name in remedy.decided_by}
    if people:
        return plain(wording.deciders_text(tuple(people)), limit=2 * NAME_CHARS)
    if any(remedy.state == "pending" for remedy in line.remedies):
        return "waits for a person"
    return "nobody: only observed" if line.remedies else "no remedy"


def _bars(line: IncidentLine) -> tuple[Bar, ...]:
    shares = sorted((share for share in line.drivers if share.nanos), key=lambda share: -abs(share.nanos))
    largest = max((abs(share.nanos) for share in shares), default=1)
    return tuple(
        Bar(
            wording.driver_text(share.driver),
            wording.usd_signed(share.nanos),
            max(1, 100 * abs(share.nanos) // largest),
            share.nanos < 0,
        )
        for share in shares
    )


def _trail(line: IncidentLine, zone: ZoneInfo) -> tuple[Moment, ...]:
    steps = (
        ("Started", 0),
        ("Detected", line.seconds_to_detect),
        ("Cause found", line.seconds_to_cause),
        ("Decided", line.seconds_to_decide),
        ("Fixed", line.seconds_to_fix),
    )
    return tuple(
        Moment(
            step,
            wording.time_text(line.started_at + timedelta(seconds=seconds), zone),
            f"after {wording.duration_text(seconds)}" if seconds else "",
        )
        for step, seconds in steps
        if seconds is not None
    )


def _remedy(line: RemedyLine) -> RemedyCard:
    measured, interval = "", ""
    if line.measured_seconds:
        expected = line.expected_per_day * line.measured_seconds // 86400
        over = wording.duration_text(line.measured_seconds)
        saved = (
            f"{usd_text(line.saved_mid)} saved" if line.saved_mid >= 0 else f"{usd_text(-line.saved_mid)} more spent"
        )
        measured = f"{saved} in {over}, where {usd_text(expected)} saved was expected"
        interval = f"interval {usd_text(line.saved_low)} to {usd_text(line.saved_high)}"
    return RemedyCard(
        what=plain(line.what, limit=SENTENCE_CHARS),
        playbook=plain(line.playbook, limit=NAME_CHARS),
        verdict=f"{line.verdict}, by rule {plain(line.rule, limit=NAME_CHARS)}" if line.rule else line.verdict,
        decided=plain(wording.deciders_text(line.decided_by), limit=2 * NAME_CHARS),
        status=status_text(line),
        tone=_tone(line),
        expected=f"{usd_text(line.expected_per_day)} a day",
        measured=measured,
        interval=interval,
        note=plain(line.note, limit=SENTENCE_CHARS) if line.note else "",
    )


def status_text(line: RemedyLine) -> str:
    """Where a remedy stands, or how it ended."""
    if line.state in ("closed", "paging") and line.outcome is not None:
        person = "; a person must look" if line.state == "paging" else ""
        return wording.ending_text(line.state, line.outcome) + person
    return wording.STATES[line.state]


_GOOD: frozenset[Outcome] = frozenset({"worked", "returned", "made_permanent"})
_BAD: frozenset[Outcome] = frozenset({"harmed", "no_effect", "failed", "revert_failed", "undecidable", "drifted"})


def _tone(line: RemedyLine) -> Tone:
    if line.state == "kept" or (line.state == "closed" and line.outcome in _GOOD):
        return "good"
    if line.state == "paging" or line.outcome in _BAD:
        return "bad"
    return "neutral" if line.state in ("closed", "observed") else "waiting"
