"""From the summary's numbers to its text: the headline, the lists, and the cards in their order."""

from collections.abc import Sequence
from datetime import timedelta
from statistics import median

from agent.report import wording
from agent.report.cards import incident_card, status_text
from agent.report.escape import NAME_CHARS, SENTENCE_CHARS, plain
from agent.report.lines import began_in, is_loss
from agent.report.view import Figure, TeamRow, View
from agent.report.week import monday_of, zone_of
from store.model.money import usd_text
from store.model.summary import IncidentLine, RemedyLine, WeeklySummary


def view_of(summary: WeeklySummary) -> View:
    """All that the summary says, as text in the team's time zone."""
    zone = zone_of(summary.time_zone)
    monday = monday_of(summary.week)
    _, week, _ = monday.isocalendar()
    days = f"{wording.day_text(summary.window.start, zone)} to {wording.date_text(monday + timedelta(days=6))}"
    so_far = summary.made_at < summary.window.end
    cash = dict(summary.cash_by_team)
    return View(
        title=f"Week {week}, {days}",
        period=f"week so far, until {wording.time_text(summary.made_at, zone)}" if so_far else "the whole week",
        zone=summary.time_zone,
        made=wording.time_text(summary.made_at, zone),
        mode=_MODES[summary.mode],
        story=_story(summary),
        figures=_figures(summary),
        incidents=tuple(
            incident_card(number, line, summary, zone) for number, line in enumerate(summary.incidents, start=1)
        ),
        waiting=_waiting(summary),
        still_open=_still_open(summary),
        trust=tuple(
            f"{plain(note.scope.text, limit=2 * NAME_CHARS)}: {plain(note.says, limit=SENTENCE_CHARS)}"
            for note in summary.trust
        ),
        teams=tuple(
            TeamRow(
                plain(team, limit=NAME_CHARS),
                usd_text(now),
                usd_text(before),
                wording.change_text(now, before),
                usd_text(cash[team]) if team in cash else "",
            )
            for team, now, before in summary.by_team
        ),
        budgets=tuple(
            f"{plain(one.name, limit=NAME_CHARS)}: {usd_text(one.spent_nanos)} of {usd_text(one.budget_nanos)} "
            f"this {one.period}" + (", overspent" if one.spent_nanos > one.budget_nanos else "")
            for one in summary.budgets
        ),
        chart_says=_chart_says(summary),
        audit_head=summary.audit_head,
    )


_ELSEWHERE = "of an incident in another week"
_MODES = {
    "shadow": "shadow: only watches, changes nothing",
    "ask": "ask: changes nothing without a person",
    "auto": "auto: applies by itself what a rule allows",
}


def _story(summary: WeeklySummary) -> str:
    counted = [line for line in summary.incidents if began_in(line, summary.window) and is_loss(line)]
    if not counted:
        return f"No incident cost anything above the baseline. Spend was {usd_text(summary.spend_nanos)}."
    count = "One incident" if len(counted) == 1 else f"{len(counted)} incidents"
    tail = f"; remedies avoided {usd_text(summary.avoided_nanos)}" if summary.avoided_nanos else ""
    return f"{count} cost {usd_text(summary.lost_nanos)} above the baseline{tail}."


def _figures(summary: WeeklySummary) -> tuple[Figure, ...]:
    net = summary.avoided_nanos - summary.lost_nanos
    aside = sum(line.excess_nanos for line in summary.incidents if began_in(line, summary.window) and not is_loss(line))
    change = wording.change_text(summary.spend_nanos, summary.spend_before_nanos)
    return (
        Figure(
            "Lost",
            usd_text(summary.lost_nanos),
            f"{usd_text(aside)} more was planned, growth or faulty telemetry" if aside else "above the baseline",
            "bad" if summary.lost_nanos > 0 else "neutral",
        ),
        Figure(
            "Avoided",
            usd_text(summary.avoided_nanos),
            f"measured; {usd_text(summary.avoided_cash_nanos)} of it cash",
            "good" if summary.avoided_nanos > 0 else "neutral",
        ),
        Figure("Net", wording.usd_signed(net), "avoided less lost", "good" if net > 0 else "bad" if net else "neutral"),
        _speed(summary),
        Figure(
            "Spend", usd_text(summary.spend_nanos), f"{change}; {usd_text(summary.spend_before_nanos)} the week before"
        ),
    )


def _speed(summary: WeeklySummary) -> Figure:
    """Medians over the incidents in which the step happened."""
    lines = [line for line in summary.incidents if began_in(line, summary.window) and is_loss(line)]
    detect = _median_text([line.seconds_to_detect for line in lines])
    cause = _median_text([line.seconds_to_cause for line in lines])
    decide = _median_text([line.seconds_to_decide for line in lines])
    fix = _median_text([line.seconds_to_fix for line in lines])
    return Figure("Time to fix", fix, f"median; to detect {detect}, to the cause {cause}, to decide {decide}")


def _median_text(seconds: Sequence[int | None]) -> str:
    known = [one for one in seconds if one is not None]
    return wording.duration_text(round(median(known))) if known else "none"


def _waiting(summary: WeeklySummary) -> tuple[str, ...]:
    known = {remedy.remedy_id: remedy for line in summary.incidents for remedy in line.remedies}
    return tuple(_waiting_item(name, known.get(name)) for name in summary.waiting)


def _waiting_item(name: str, line: RemedyLine | None) -> str:
    says = f"{plain(line.what, limit=SENTENCE_CHARS)}; {status_text(line)}" if line else _ELSEWHERE
    return f"{plain(name, limit=NAME_CHARS)}: {says}"


def _still_open(summary: WeeklySummary) -> tuple[str, ...]:
    known = {line.incident_id: line for line in summary.incidents}
    return tuple(_open_item(name, known.get(name)) for name in summary.still_open)


def _open_item(name: str, line: IncidentLine | None) -> str:
    if line is None:
        return f"{plain(name, limit=NAME_CHARS)}: {_ELSEWHERE}"
    where, lost = plain(line.scope.text, limit=2 * NAME_CHARS), usd_text(line.excess_nanos)
    return f"{plain(name, limit=NAME_CHARS)}: {wording.cause_text(line.cause)} at {where}, {lost} above the baseline"


def _chart_says(summary: WeeklySummary) -> str:
    peak = max(summary.series, key=lambda point: point.actual_nanos, default=None)
    if peak is None:
        return "No usage in this week."
    at = wording.time_text(peak.at, zone_of(summary.time_zone))
    return (
        f"Spend in each hour of the week against the expected spend, {len(summary.incidents)} incidents shaded. "
        f"The dearest hour was {at} with {usd_text(peak.actual_nanos)}, where {usd_text(peak.baseline_nanos)} was "
        "expected."
    )
