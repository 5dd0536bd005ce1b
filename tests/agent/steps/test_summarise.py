"""A week is summarised from the real books and the real usage, and the sums are those of the books."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from agent.report.compose import view_of
from agent.report.markdown import render
from agent.report.week import week_window
from agent.steps.summarise import summarise
from store.errors import BadInput
from store.ledger.ledger import Ledger, open_ledger
from store.model.incident import Cause, CauseScore, DriverShare, Finding, Incident, TrustNote
from store.model.remedy import (
    Application,
    Check,
    Proposal,
    Ruling,
    Saving,
    SetSessionCap,
    Verdict,
    Verification,
    VerificationOutcome,
    Vote,
)
from store.model.summary import WeeklySummary
from store.model.usage import TOTAL, Scope, UsageRecord, Window, to_us
from store.usage.duckdb import DuckDBWarehouse, open_duckdb

ZONE = "Europe/Berlin"
WEEK = week_window("2026-W47", ZONE)
MONDAY_9 = datetime(2026, 11, 16, 8, tzinfo=UTC)
AFTER = WEEK.end + timedelta(hours=9)
SEARCH = Scope.of(team="search", app="indexer")


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = MONDAY_9

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Iterator[Ledger]:
    books = open_ledger("sqlite://", clock=clock)
    yield books
    books.close()


@pytest.fixture
def warehouse(clock: Clock) -> Iterator[DuckDBWarehouse]:
    usage = open_duckdb(None, clock=clock)
    yield usage
    usage.close()


def week_of(ledger: Ledger, warehouse: DuckDBWarehouse, **changes: object) -> WeeklySummary:
    given: dict[str, object] = {"week": "2026-W47", "time_zone": ZONE, "mode": "auto", "now": AFTER, **changes}
    return summarise(ledger=ledger, warehouse=warehouse, **given)  # type: ignore[arg-type]  # keyword overrides


def an_incident(
    name: str, *, started: datetime = MONDAY_9, excess: int = 500, hours: int | None = 3, planned: str | None = None
) -> Incident:
    ended = None if hours is None else started + timedelta(hours=hours)
    return Incident(
        id=name,
        scope=SEARCH,
        status="open" if ended is None else "closed",
        opened_at=started + timedelta(minutes=10),
        started_at=started,
        ended_at=ended,
        seen_until=ended or started + timedelta(hours=1),
        revised_at=started + timedelta(minutes=10),
        excess_nanos=excess,
        baseline_nanos=100,
        actual_nanos=100 + excess,
        revised_excess_nanos=excess,
        planned=planned,
    )


def a_finding(incident: Incident, cause: Cause = "agent_loop") -> Finding:
    return Finding(
        incident_id=incident.id,
        revision=1,
        scope=SEARCH,
        focus=SEARCH,
        window=incident.window,
        reference=incident.window.shifted(-timedelta(weeks=1)),
        excess_nanos=incident.excess_nanos,
        drivers=(DriverShare(driver="request_volume", nanos=incident.excess_nanos),),
        causes=(CauseScore(cause=cause, confidence=0.9, because="One session made 4,812 calls."),),
    )


def a_proposal(incident: Incident, name: str) -> Proposal:
    made = incident.opened_at + timedelta(minutes=1)
    return Proposal(
        remedy_id=name,
        incident_id=incident.id,
        incident_revision=1,
        scope=SEARCH,
        playbook="session_cap",
        cause="agent_loop",
        confidence=0.9,
        gateway="sim",
        actions=(SetSessionCap(target=SEARCH, max_calls=90, was={"max_calls": 500}),),
        risk="low",
        reversible=True,
        saving=Saving(low=1, mid=2400, high=3000, cash_mid=2400, assumption="as before"),
        quality_note="",
        undo_note="",
        check=Check(window_seconds=3600, min_reduction=0.5),
        lease_seconds=86400,
        made_at=made,
        expires_at=made + timedelta(hours=24),
    )


def a_ruling(name: str, verdict: Verdict, at: datetime) -> Ruling:
    return Ruling(
        remedy_id=name,
        revision=1,
        verdict=verdict,
        rule="session-caps",
        policy_version="1",
        ruled_at=at,
        approvers=("ann",),
    )


def open_case(ledger: Ledger, clock: Clock, incident: Incident, name: str, verdict: Verdict = "ask") -> Proposal:
    """An incident with its finding and one filed proposal."""
    proposal = a_proposal(incident, name)
    ledger.save_incident(incident)
    ledger.save_finding(a_finding(incident))
    clock.now = proposal.made_at
    ledger.file(proposal, a_ruling(name, verdict, proposal.made_at))
    return proposal


def apply_and_measure(
    ledger: Ledger, clock: Clock, proposal: Proposal, measured: list[tuple[VerificationOutcome, int, int, int]]
) -> None:
    """Walk an approved remedy; `measured` holds (outcome, from hour, to hour, saved) after it took effect."""
    for number, (outcome, start, end, saved) in enumerate(measured):
        claimed = ledger.claim(proposal.remedy_id, owner="test", lease_seconds=60)
        assert claimed is not None
        claim, remedy = claimed
        applied = remedy.applied_at or clock.now
        intent = Application(
            id=f"{proposal.remedy_id}-{number}",
            remedy_id=proposal.remedy_id,
            revision=1,
            verb="apply",
            fence=claim.fence,
            plan_hash=proposal.plan_hash,
            intended_at=clock.now,
        )
        at = applied + timedelta(hours=end)
        verification = Verification(
            remedy_id=proposal.remedy_id,
            revision=1,
            window=Window(start=applied + timedelta(hours=start), end=at),
            outcome=outcome,
            actual_nanos=0,
            counterfactual_nanos=saved,
            saved_low_nanos=saved - 10,
            saved_mid_nanos=saved,
            saved_high_nanos=saved + 10,
            cash_saved_mid_nanos=saved // 2,
            says=f"{outcome} by {saved}",
            at=at,
        )
        state = "kept" if outcome == "worked" else "verifying"
        moved = remedy.model_copy(
            update={"state": state, "outcome": outcome, "applied_at": applied, "due_at": clock.now}
        )
        application = None
        if number == 0:
            assert ledger.intend(claim, intent, remedy.model_copy(update={"state": "applying"}))
            application = intent.model_copy(update={"outcome": "applied", "outcome_at": applied})
        assert ledger.conclude(claim, moved, application=application, verification=verification)


def spend(warehouse: DuckDBWarehouse, rows: list[tuple[datetime, str, int | None]]) -> None:
    """Usage records of (when, team, cost)."""
    warehouse.append(
        [
            UsageRecord(
                record_id=f"r{number}",
                source="test",
                observed_us=to_us(at),
                occurred_us=to_us(at),
                provider="anthropic",
                model="claude-haiku",
                team=team,
                output=10,
                cost_nanos=cost,
            )
            for number, (at, team, cost) in enumerate(rows)
        ]
    )
    warehouse.roll_up()


def test_spend_is_that_of_the_local_week(ledger: Ledger, warehouse: DuckDBWarehouse) -> None:
    """Records at the borders fall into the week by the team's clock; the week before stands beside it."""
    week = timedelta(weeks=1)
    rows = [
        (WEEK.start - timedelta(minutes=1), "search", 1),
        (WEEK.start, "search", 10),
        (WEEK.end - timedelta(minutes=1), "data", 100),
        (WEEK.end, "data", 1000),
        (WEEK.start - week, "search", 7),
    ]
    spend(warehouse, list(rows))
    summary = week_of(ledger, warehouse)
    assert (summary.spend_nanos, summary.spend_before_nanos) == (110, 8)
    assert summary.by_team == (("data", 100, 0), ("search", 10, 8))
    assert len(summary.series) == 168
    assert (summary.series[0].actual_nanos, summary.series[0].baseline_nanos) == (10, 7)
    assert sum(point.actual_nanos for point in summary.series) == summary.spend_nanos


def test_a_week_that_is_not_over_is_set_against_the_same_part(ledger: Ledger, warehouse: DuckDBWarehouse) -> None:
    """On Tuesday, only the days up to last Tuesday count as the week before."""
    week, now = timedelta(weeks=1), WEEK.start + timedelta(days=1)
    spend(
        warehouse, [(WEEK.start, "a", 5), (WEEK.start - week, "a", 3), (WEEK.start - week + timedelta(days=2), "a", 90)]
    )
    summary = week_of(ledger, warehouse, now=now)
    assert (summary.spend_nanos, summary.spend_before_nanos) == (5, 3)
    assert len(summary.series) == 24
    assert "week so far, until Tue 17 Nov 00:00" in render(view_of(summary))


def test_an_approved_remedy_tells_its_whole_story(ledger: Ledger, warehouse: DuckDBWarehouse, clock: Clock) -> None:
    """Times count from the start of the incident; saved is what was measured; who decided is named."""
    incident = an_incident("inc-1")
    proposal = open_case(ledger, clock, incident, "rem-1")
    clock.now = incident.started_at + timedelta(minutes=40)
    assert (
        ledger.cast(Vote(remedy_id="rem-1", revision=1, person="ann", choice="approve", at=clock.now)).status
        == "decided"
    )
    clock.now = incident.started_at + timedelta(minutes=45)
    apply_and_measure(ledger, clock, proposal, [("worked", 0, 2, 300)])
    summary = week_of(ledger, warehouse)
    (line,) = summary.incidents
    assert (line.seconds_to_detect, line.seconds_to_cause) == (600, 660)
    assert (line.seconds_to_decide, line.seconds_to_fix) == (2400, 2700)
    assert (summary.lost_nanos, summary.avoided_nanos, summary.avoided_cash_nanos) == (500, 300, 150)
    (remedy,) = line.remedies
    assert (remedy.decided_by, remedy.verdict, remedy.rule) == (("ann",), "ask", "session-caps")
    assert (remedy.saved_low, remedy.saved_mid, remedy.saved_high, remedy.measured_seconds) == (290, 300, 310, 7200)
    assert (remedy.state, remedy.outcome, remedy.note) == ("kept", "worked", "worked by 300")
    assert remedy.what == "At most 90 calls a session for app=indexer team=search (was: max_calls 500)"
    assert summary.waiting == summary.still_open == ()
    assert summary.audit_head == ledger.anchor().head


def test_a_window_measured_twice_counts_once(ledger: Ledger, warehouse: DuckDBWarehouse, clock: Clock) -> None:
    """An inconclusive window that was measured again with more data is replaced, a later one is added."""
    proposal = open_case(ledger, clock, an_incident("inc-1"), "rem-1", verdict="apply")
    apply_and_measure(
        ledger, clock, proposal, [("inconclusive", 0, 2, 100), ("worked", 0, 4, 250), ("worked", 4, 6, 40)]
    )
    assert week_of(ledger, warehouse).avoided_nanos == 290


def test_a_remedy_that_made_it_dearer_is_shown_as_it_is(
    ledger: Ledger, warehouse: DuckDBWarehouse, clock: Clock
) -> None:
    """A negative saving lowers what was avoided."""
    proposal = open_case(ledger, clock, an_incident("inc-1"), "rem-1", verdict="apply")
    apply_and_measure(ledger, clock, proposal, [("harmed", 0, 1, -80)])
    summary = week_of(ledger, warehouse)
    assert summary.avoided_nanos == -80
    assert summary.incidents[0].seconds_to_fix is None
    assert summary.incidents[0].remedies[0].decided_by == ("policy:session-caps",)


def test_growth_and_plans_are_shown_but_are_no_loss(ledger: Ledger, warehouse: DuckDBWarehouse) -> None:
    """The excess of a launch, of a planned event and of faulty telemetry is not in the sum."""
    cases: tuple[tuple[str, Cause, str | None], ...] = (
        ("inc-1", "organic_growth", None),
        ("inc-2", "agent_loop", "black friday"),
        ("inc-3", "telemetry_fault", None),
        ("inc-4", "agent_loop", None),
    )
    for name, cause, planned in cases:
        incident = an_incident(name, excess=50, planned=planned)
        ledger.save_incident(incident)
        ledger.save_finding(a_finding(incident, cause))
    summary = week_of(ledger, warehouse)
    assert len(summary.incidents) == 4
    assert summary.lost_nanos == 50


def test_an_incident_counts_once_in_the_week_it_began(ledger: Ledger, warehouse: DuckDBWarehouse) -> None:
    """One that runs over Sunday midnight is listed in both weeks and counted in the first."""
    late = an_incident("inc-1", started=WEEK.end - timedelta(hours=1), hours=5)
    ledger.save_incident(late)
    first = week_of(ledger, warehouse)
    second = week_of(ledger, warehouse, week="2026-W48", now=AFTER + timedelta(weeks=1))
    assert [line.incident_id for line in (*first.incidents, *second.incidents)] == ["inc-1", "inc-1"]
    assert (first.lost_nanos, second.lost_nanos) == (500, 0)
    assert "Began in another week and is counted there" in render(view_of(second))


def test_what_waits_and_what_is_open_is_named(ledger: Ledger, warehouse: DuckDBWarehouse, clock: Clock) -> None:
    """A pending remedy waits for a person, also when its incident is of an earlier week."""
    old = an_incident("inc-0", started=MONDAY_9 - timedelta(days=10), hours=None)
    open_case(ledger, clock, old, "rem-0")
    open_case(ledger, clock, an_incident("inc-1", hours=None), "rem-1")
    summary = week_of(ledger, warehouse)
    assert summary.waiting == ("rem-0", "rem-1")
    assert set(summary.still_open) == {"inc-0", "inc-1"}
    assert [line.incident_id for line in summary.incidents] == ["inc-1"]


def test_an_incident_that_nobody_investigated_is_there(ledger: Ledger, warehouse: DuckDBWarehouse) -> None:
    """Without a finding the cause is unknown, and the loss still counts."""
    ledger.save_incident(an_incident("inc-1"))
    (line,) = week_of(ledger, warehouse).incidents
    assert (line.cause, line.confidence, line.because) == ("unknown", 0.0, "Not investigated yet.")
    assert (line.seconds_to_cause, line.seconds_to_decide, line.seconds_to_fix) == (None, None, None)


def test_usage_without_a_price_is_noted_once(ledger: Ledger, warehouse: DuckDBWarehouse) -> None:
    """The sums say what they leave out; what the trust gate has noted is not noted again."""
    spend(warehouse, [(MONDAY_9, "search", None)])
    (note,) = week_of(ledger, warehouse).trust
    assert note.kind == "unpriced"
    assert "anthropic/claude-haiku" in note.says
    known = TrustNote(scope=TOTAL, kind="unpriced", says="known")
    assert week_of(ledger, warehouse, trust=(known,)).trust == (known,)


def test_a_week_that_has_not_begun_is_refused(ledger: Ledger, warehouse: DuckDBWarehouse) -> None:
    """The message says when it starts."""
    with pytest.raises(BadInput, match="has not begun"):
        week_of(ledger, warehouse, week="2026-W50")


def test_summarising_writes_nothing(ledger: Ledger, warehouse: DuckDBWarehouse, clock: Clock) -> None:
    """Two summaries of one state are equal, and the audit chain has not moved."""
    open_case(ledger, clock, an_incident("inc-1"), "rem-1")
    head = ledger.anchor().head
    assert week_of(ledger, warehouse) == week_of(ledger, warehouse)
    assert ledger.anchor().head == head
