"""Summarise a week: read the books and the usage, write nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from agent.report.lines import RemedyFile, began_in, incident_line, is_loss
from agent.report.spend import HISTORY_WEEKS, by_team, cash_by_team, earlier, hourly
from agent.report.week import week_window, zone_of
from store.errors import BadInput, StorageFailed
from store.ledger.ledger import Ledger
from store.model.budget import Budget, budgets_in_force
from store.model.incident import Incident, TrustNote
from store.model.ports import Warehouse
from store.model.remedy import Remedy, RemedyState
from store.model.summary import BudgetStand, IncidentLine, WeeklySummary
from store.model.usage import TOTAL, Window

_FOR_A_PERSON: tuple[RemedyState, ...] = ("paging", "pending")
_BUCKET_SECONDS = 300
"""Fine enough for the hours of every time zone: their offsets are whole quarters of an hour."""
_MOMENT = timedelta(microseconds=1)


def summarise(
    *,
    week: str,
    time_zone: str,
    ledger: Ledger,
    warehouse: Warehouse,
    mode: Literal["shadow", "ask", "auto"],
    now: datetime,
    trust: Sequence[TrustNote] = (),
    budgets: Sequence[Budget] = (),
) -> WeeklySummary:
    """The summary of one ISO week in the team's time zone, from what the books hold at `now`.

    Incidents that overlap the week are listed, oldest first; each counts in the sums of the week in which it
    began, so that weeks add up. A week that is not over is summarised up to `now` and set against the same part
    of the week before. `trust`: what the trust gate noted of the week; unpriced usage is added.
    `budgets`: those in force at its end are set against what was spent.

    Raises:
        BadInput: the week or the zone does not exist, or the week has not begun.
        StorageFailed: the books contradict themselves.
    """
    window, zone = week_window(week, time_zone), zone_of(time_zone)
    if now <= window.start:
        raise BadInput(f"week {week} has not begun in {time_zone}: it starts at {window.start.isoformat()}")
    so_far = Window(start=window.start, end=min(window.end, now))
    before = earlier(so_far, zone, weeks=1)
    history = Window(start=earlier(so_far, zone, weeks=HISTORY_WEEKS).start, end=so_far.start)
    cube = warehouse.cube(so_far, bucket_seconds=_BUCKET_SECONDS, dims=("team",))
    cube_before = warehouse.cube(before, bucket_seconds=_BUCKET_SECONDS, dims=("team",))
    past = warehouse.cube(history, bucket_seconds=_BUCKET_SECONDS, dims=())

    incidents = sorted(ledger.incidents(window=window), key=lambda one: (one.started_at, one.id))
    lines = tuple(_line(ledger, incident) for incident in incidents)
    counted = [line for line in lines if began_in(line, window)]
    opened = [one for one in ledger.incidents(status="open") if one.started_at < window.end]
    return WeeklySummary(
        week=week,
        window=window,
        time_zone=time_zone,
        made_at=now,
        spend_nanos=cube.total("cost_nanos"),
        spend_before_nanos=cube_before.total("cost_nanos"),
        lost_nanos=sum(line.excess_nanos for line in counted if is_loss(line)),
        avoided_nanos=sum(line.avoided_nanos for line in counted),
        avoided_cash_nanos=sum(line.avoided_cash_nanos for line in counted),
        incidents=lines,
        still_open=tuple(incident.id for incident in opened),
        waiting=tuple(sorted(remedy.remedy_id for remedy in ledger.remedies(states=_FOR_A_PERSON))),
        series=hourly(cube, past, so_far, zone),
        trust=(*trust, *_unpriced(warehouse, so_far, trust)),
        by_team=by_team(cube, cube_before),
        cash_by_team=cash_by_team(cube),
        budgets=_stand(warehouse, budgets, so_far.end),
        audit_head=ledger.anchor().head,
        mode=mode,
    )


def _stand(warehouse: Warehouse, budgets: Sequence[Budget], end: datetime) -> tuple[BudgetStand, ...]:
    """Each budget in force at the last moment of the week, with what was spent in its period until then."""
    last = end - _MOMENT
    return tuple(
        BudgetStand(
            name=one.name,
            scope=one.scope,
            period=one.period,
            budget_nanos=one.usd_nanos,
            spent_nanos=warehouse.cube(
                Window(start=one.window(last).start, end=end), bucket_seconds=3600, dims=(), scope=one.scope
            ).total("cost_nanos"),
        )
        for one in budgets_in_force(budgets, last)
    )


def _line(ledger: Ledger, incident: Incident) -> IncidentLine:
    files = [_file(ledger, remedy) for remedy in ledger.remedies(incident_id=incident.id)]
    proposed = [proposal.made_at for proposal in ledger.proposals(incident.id)]
    return incident_line(incident, ledger.finding(incident.id), files, min(proposed, default=None))


def _file(ledger: Ledger, remedy: Remedy) -> RemedyFile:
    proposal = ledger.proposal(remedy.remedy_id, remedy.revision)
    if proposal is None:
        raise StorageFailed(
            f"the ledger holds remedy {remedy.remedy_id} revision {remedy.revision} without its proposal: "
            "restore the ledger from a backup"
        )
    return RemedyFile(
        remedy=remedy,
        proposal=proposal,
        rulings=tuple(ledger.rulings(remedy.remedy_id)),
        decision=ledger.decision(remedy.remedy_id, remedy.revision),
        applications=tuple(ledger.applications(remedy.remedy_id)),
        verifications=tuple(ledger.verifications(remedy.remedy_id)),
    )


def _unpriced(warehouse: Warehouse, window: Window, known: Sequence[TrustNote]) -> list[TrustNote]:
    """One note on usage without a price, unless the trust gate has said so already."""
    rows = warehouse.unpriced(window)
    if not rows or any(note.kind == "unpriced" for note in known):
        return []
    models = ", ".join(sorted({f"{provider}/{model}" for provider, model, _, _ in rows}))
    records, tokens = sum(row[2] for row in rows), sum(row[3] for row in rows)
    says = f"{records:,} records ({tokens:,} tokens) have no price and are in no sum: {models}"
    return [TrustNote(scope=TOTAL, kind="unpriced", says=says)]
