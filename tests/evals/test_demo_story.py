"""The demo: its story, its scripted people, its words, and a small story played through the real service."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from evals.demo.approver import ScriptedApprover
from evals.demo.outcome import Fate, fate_of, main_story, remedy_stories
from evals.demo.play import Progress, play
from evals.demo.printing import event_line, print_result
from evals.demo.story import ANSWERS, ON_CALL, OWNERS, Answer, Story, the_story
from evals.demo.timeline import Event, Narrator, place
from evals.demo.truth import true_incident
from evals.demo.wiring import open_service, price_table
from evals.world.catalogue import COMPANY
from evals.world.faults.agent_loop import AgentLoop
from evals.world.world import TrueIncident, World
from store.ledger.ledger import Ledger, open_ledger
from store.model.incident import CauseScore, Finding, Incident
from store.model.remedy import (
    Action,
    Check,
    Decision,
    DecisionOutcome,
    Notify,
    Proposal,
    Remedy,
    RemedyState,
    Ruling,
    Saving,
    SetSessionCap,
    VerificationOutcome,
    Vote,
)
from store.model.usage import TOTAL, Scope, Window
from tests.evals.world.worlds import price_table as round_prices

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
SCOPE = Scope.of(team="legal", app="contract-review")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def incident(scope: Scope = SCOPE) -> Incident:
    return Incident(
        id="inc-1",
        scope=scope,
        opened_at=NOW,
        started_at=NOW - timedelta(hours=2),
        seen_until=NOW,
        revised_at=NOW,
        excess_nanos=12 * 10**9,
        baseline_nanos=3 * 10**9,
        actual_nanos=15 * 10**9,
        revised_excess_nanos=12 * 10**9,
    )


def finding() -> Finding:
    return Finding(
        incident_id="inc-1",
        revision=1,
        scope=SCOPE,
        focus=SCOPE,
        window=Window(start=NOW - timedelta(hours=2), end=NOW),
        reference=Window(start=NOW - timedelta(days=7), end=NOW - timedelta(days=6)),
        excess_nanos=12 * 10**9,
        drivers=(),
        causes=(CauseScore(cause="agent_loop", confidence=0.9, because="It calls itself."),),
    )


CAP = SetSessionCap(target=SCOPE, max_calls=40)


def proposal(action: Action = CAP, remedy_id: str = "rem-1") -> Proposal:
    return Proposal(
        remedy_id=remedy_id,
        incident_id="inc-1",
        incident_revision=1,
        scope=SCOPE,
        playbook="session_cap",
        cause="agent_loop",
        confidence=0.9,
        gateway="simulated",
        actions=(action,),
        risk="low",
        reversible=True,
        saving=Saving(low=10**9, mid=2 * 10**9, high=3 * 10**9, cash_mid=2 * 10**9, assumption="replay"),
        quality_note="",
        undo_note="",
        check=Check(window_seconds=3600, min_reduction=0.5),
        lease_seconds=86400,
        made_at=NOW,
        expires_at=NOW + timedelta(hours=24),
    )


def ruling(remedy_id: str = "rem-1") -> Ruling:
    return Ruling(
        remedy_id=remedy_id,
        revision=1,
        verdict="ask",
        rule="default",
        policy_version="v",
        ruled_at=NOW,
        approvers=("lee",),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asked(clock: Clock) -> Ledger:
    """A ledger with one incident and one question that waits."""
    ledger = open_ledger("sqlite://", clock=clock)
    ledger.save_incident(incident())
    ledger.save_finding(finding())
    ledger.file(proposal(), ruling())
    return ledger


# --- the story -------------------------------------------------------------------------------------------------


def test_the_story_has_six_causes_one_launch_and_stays_in_its_week() -> None:
    """What the demo promises to show."""
    story = the_story()
    assert len({fault.cause for fault in story.faults}) >= 6
    assert "organic_growth" in {fault.cause for fault in story.faults}
    assert all(story.live.start < f.window.start < f.window.end <= story.live.end for f in story.faults)
    assert len({fault.app for fault in story.faults}) == len(story.faults)


def test_every_answer_is_for_an_app_of_the_company_and_every_owner_has_a_team() -> None:
    """No line of the script is lost to a typing error."""
    apps, teams = {app.name for app in COMPANY}, {app.team for app in COMPANY}
    assert set(ANSWERS) <= apps
    assert set(OWNERS) <= teams
    assert ON_CALL not in OWNERS.values()


def test_each_seeded_fault_costs_enough_to_be_noticed() -> None:
    """More than 30 USD each, and in order of time."""
    truth = World(seed=7, faults=the_story().faults, prices=round_prices()).truth()
    assert min(one.true_excess_nanos for one in truth) > 30 * 10**9
    assert [one.start for one in truth] == sorted(one.start for one in truth)


def test_the_third_week_with_all_faults_stays_within_the_agreed_size() -> None:
    """With two clean weeks of at most 75,000 records each it is below 300,000."""
    story = the_story()
    assert len(World(seed=7, faults=story.faults).traffic(story.live)) < 150_000


# --- truth and outcome -----------------------------------------------------------------------------------------

TRUTH = (
    TrueIncident(
        scope=SCOPE, cause="model_switch", start=NOW, end=NOW + timedelta(hours=9), true_excess_nanos=5 * 10**9
    ),
    TrueIncident(
        scope=Scope.of(team="legal", app="redactor"),
        cause="agent_loop",
        start=NOW - timedelta(hours=30),
        end=NOW - timedelta(hours=28),
        true_excess_nanos=10**9,
    ),
)


@pytest.mark.parametrize(
    ("scope", "after_hours", "cause"),
    [
        (SCOPE, 1, "model_switch"),
        (Scope.of(team="legal", app="contract-review", model="gpt-5"), 1, "model_switch"),
        (Scope.of(team="legal"), 1, "model_switch"),
        (Scope.of(team="legal"), -29, "agent_loop"),
        (SCOPE, 14, "model_switch"),
        (SCOPE, 20, None),
        (SCOPE, -29, None),
        (Scope.of(team="sales"), 1, None),
        (TOTAL, 1, None),
        (Scope.of(model="gpt-5"), 1, None),
    ],
)
def test_an_incident_is_matched_by_shared_dimensions_and_time(
    scope: Scope, after_hours: float, cause: str | None
) -> None:
    """What shares no dimension, contradicts one, or lies elsewhere in time is a false alarm."""
    start = NOW + timedelta(hours=after_hours)
    found = true_incident(scope, Window(start=start, end=start + timedelta(minutes=30)), TRUTH)
    assert (found.cause if found else None) == cause


def decision(outcome: DecisionOutcome) -> Decision:
    return Decision(remedy_id="rem-1", revision=1, outcome=outcome, decided_by=("lee",), decided_at=NOW, plan_hash="h")


@pytest.mark.parametrize(
    ("state", "decided", "verified", "fate"),
    [
        ("pending", None, [], "pending"),
        ("closed", "rejected", [], "rejected"),
        ("closed", "approval_expired", [], "approval_expired"),
        ("observed", None, [], "left_alone"),
        ("verifying", "approved", [], "pending"),
        ("verifying", "approved", ["inconclusive"], "inconclusive"),
        ("kept", "approved", ["inconclusive", "worked"], "worked"),
        ("closed", "approved", ["worked", "inconclusive"], "worked"),
        ("closed", "approved", ["no_effect"], "no_effect"),
        ("closed", "approved", ["harmed"], "harmed_reverted"),
        ("closed", "approved", ["worked", "harmed"], "harmed_reverted"),
        ("reverting", "approved", ["harmed"], "pending"),
        ("closed", "approved", [], "inconclusive"),
    ],
)
def test_the_outcome_of_a_remedy_follows_from_its_rows(
    state: RemedyState, decided: DecisionOutcome | None, verified: list[VerificationOutcome], fate: Fate
) -> None:
    """One word for every walk that a remedy can take."""
    remedy = Remedy(remedy_id="rem-1", revision=1, incident_id="inc-1", state=state)
    assert fate_of(remedy, proposal(), decision(decided) if decided else None, verified) == fate


def test_a_note_to_the_owner_leaves_the_traffic_alone() -> None:
    """However it was decided."""
    remedy = Remedy(remedy_id="rem-1", revision=1, incident_id="inc-1", state="closed")
    note = proposal(Notify(target=SCOPE, message="look"))
    assert fate_of(remedy, note, decision("approved"), []) == "left_alone"


def test_an_incident_is_told_by_its_first_remedy_that_was_more_than_a_note(asked: Ledger, clock: Clock) -> None:
    """A note that follows a rejected plan does not hide it."""
    asked.cast(Vote(remedy_id="rem-1", revision=1, person="lee", choice="reject", at=NOW, reason="no"))
    later = proposal(Notify(target=SCOPE, message="look"), "rem-2").model_copy(
        update={"made_at": NOW + timedelta(hours=1)}
    )
    asked.file(later, ruling("rem-2").model_copy(update={"verdict": "observe"}))
    stories = remedy_stories(asked, "inc-1")
    main = main_story(stories)
    assert [story.fate for story in stories] == ["rejected", "left_alone"]
    assert main is not None
    assert (main.fate, main.decided_by, main.verdict) == ("rejected", ("lee",), "ask")


def test_each_revision_of_a_plan_is_a_story_of_its_own(asked: Ledger) -> None:
    """What became of the first is not hidden by the second, which still waits."""
    asked.cast(Vote(remedy_id="rem-1", revision=1, person="lee", choice="reject", at=NOW, reason="no"))
    again = proposal().model_copy(update={"revision": 2, "made_at": NOW + timedelta(hours=1)})
    asked.file(again, ruling().model_copy(update={"revision": 2}))
    assert [story.fate for story in remedy_stories(asked, "inc-1")] == ["rejected", "pending"]


# --- the people ------------------------------------------------------------------------------------------------


def people(*answers: Answer) -> ScriptedApprover:
    return ScriptedApprover({"contract-review": answers}, truth=(), owners={"legal": "lee"}, on_call="finn")


def test_a_scripted_person_answers_after_their_time_by_the_ledgers_own_door(asked: Ledger, clock: Clock) -> None:
    """Not before, and then with name and reason."""
    script = people(Answer("approve", timedelta(minutes=20), "go on"))
    assert script.look(asked, NOW + timedelta(minutes=19)) == []
    clock.now = NOW + timedelta(minutes=20)
    (cast,) = script.look(asked, clock.now)
    assert cast.status == "decided"
    assert cast.decision is not None
    assert (cast.decision.outcome, cast.decision.decided_by, cast.decision.reason) == ("approved", ("lee",), "go on")
    assert script.look(asked, clock.now) == []


def test_a_person_who_is_not_there_never_answers(asked: Ledger, clock: Clock) -> None:
    """The question then ends by the clock."""
    clock.now = NOW + timedelta(hours=23)
    assert people(Answer(None)).look(asked, clock.now) == []
    clock.now = NOW + timedelta(hours=24)
    (ended,) = asked.expire_due(clock.now)
    assert ended.outcome == "approval_expired"


# --- the words -------------------------------------------------------------------------------------------------


def test_the_narrator_tells_each_change_once(asked: Ledger, clock: Clock) -> None:
    """Opened, cause, proposed; then only what is new."""
    fresh = open_ledger("sqlite://", clock=clock)
    narrator = Narrator(fresh, Window(start=NOW - timedelta(days=1), end=NOW + timedelta(days=1)))
    assert narrator.news(NOW) == []
    fresh.save_incident(incident())
    fresh.save_finding(finding())
    fresh.file(proposal(), ruling())
    assert [event.kind for event in narrator.news(NOW)] == ["opened", "cause", "proposed"]
    fresh.cast(Vote(remedy_id="rem-1", revision=1, person="lee", choice="reject", at=NOW, reason="not now"))
    (event,) = narrator.news(NOW)
    assert (event.kind, event.where) == ("decided", "legal/contract-review")
    assert "lee" in event.says
    assert "not now" in event.says
    assert narrator.news(NOW) == []


def test_text_from_traffic_is_shown_as_text_and_never_as_markup_or_control() -> None:
    """A team named like a style or an escape sequence changes nothing but letters."""
    screen = io.StringIO()
    hostile = Event(NOW, "opened", "inc-1", "[bold red]x[/]", "\x1b[2Jgone\u202e [link=http://evil]click[/link]")
    Console(file=screen, width=132).print(event_line(hostile))
    shown = screen.getvalue()
    assert "[bold red]x[/]" in shown
    assert "[link=http://evil]" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_place_is_named_by_team_and_app_where_it_has_them() -> None:
    """Anything else is named in full."""
    assert place(Scope.of(team="a", app="b", model="m")) == "a/b"
    assert place(Scope.of(model="m")) == "model=m"
    assert place(TOTAL) == "everything"


# --- a small story ---------------------------------------------------------------------------------------------


def test_a_small_story_plays_through_the_real_service(tmp_path: Path) -> None:
    """Three days and a night: an agent loops in staging, a rule caps its session, it is told, and no file is lost."""
    night = datetime(2026, 11, 16, tzinfo=UTC)
    loop = AgentLoop("pr-reviewer", Window(start=night + timedelta(hours=1), end=night + timedelta(hours=9)))
    story = Story(
        before=Window(start=night - timedelta(days=3), end=night),
        live=Window(start=night, end=night + timedelta(hours=7)),
        week="2026-W47",
        faults=(loop,),
        answers=ANSWERS,
        owners=OWNERS,
        on_call=ON_CALL,
    )
    (tmp_path / "thesis.txt").write_text("mine")
    told: list[Progress] = []
    result = play(story, seed=7, out=tmp_path, open_service=open_service, prices=price_table, tell=told.append)
    document = result.document()
    (row,) = [row for row in result.rows if row.truth is not None]
    assert (row.line.cause, row.true_cause, row.verdict, row.outcome) == ("agent_loop", "agent_loop", "apply", "worked")
    assert row.decided_by[0].startswith("policy:")
    assert row.line.avoided_nanos > 0
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert {"seconds", "incidents", "summary"} <= set(document)
    assert all(path.stat().st_size > 0 for path in result.files)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert told[-1].done == 1.0
    assert {"opened", "cause", "proposed", "decided", "applied", "verified"} <= {
        event.kind for progress in told for event in progress.news
    }
    screen = io.StringIO()
    print_result(result, Console(file=screen, width=132))
    assert "devtools/pr-reviewer" in screen.getvalue()
    assert "worked" in screen.getvalue()
