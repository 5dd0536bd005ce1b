"""A week as a company lives it: six incidents of different causes, as the summary holds them."""

import math
from datetime import UTC, datetime, timedelta

from agent.report.week import week_window
from store.model.incident import Cause, Driver, DriverShare, TrustNote
from store.model.money import to_nanos
from store.model.remedy import Outcome, RemedyState, Verdict
from store.model.summary import IncidentLine, RemedyLine, SpendPoint, WeeklySummary
from store.model.usage import Scope

ZONE = "Europe/Berlin"
WEEK = "2026-W47"
WINDOW = week_window(WEEK, ZONE)


def remedy(
    number: int,
    what: str,
    *,
    playbook: str,
    verdict: Verdict = "ask",
    rule: str = "ask-owner",
    decided_by: tuple[str, ...] = ("ann@example.com",),
    state: RemedyState = "closed",
    outcome: Outcome | None = "worked",
    expected: str = "900",
    saved: tuple[str, str, str] | None = None,
    hours: int = 24,
    applied: datetime | None = None,
    note: str = "",
) -> RemedyLine:
    """A remedy; `saved` is (low, mid, high) in USD over `hours`."""
    low, mid, high = (to_nanos(usd) for usd in saved or ("0", "0", "0"))
    return RemedyLine(
        remedy_id=f"rem-{number:010x}",
        playbook=playbook,
        what=what,
        verdict=verdict,
        rule=rule,
        decided_by=decided_by,
        state=state,
        outcome=outcome,
        expected_per_day=to_nanos(expected),
        saved_low=low,
        saved_mid=mid,
        saved_high=high,
        cash_saved_mid=mid,
        measured_seconds=hours * 3600 if saved else 0,
        applied_at=applied,
        decided_at=applied,
        note=note,
    )


def incident(
    number: int,
    cause: Cause,
    scope: Scope,
    *,
    day: int,
    hour: int,
    lasts: int | None,
    lost: str,
    baseline: str,
    drivers: dict[Driver, str],
    because: str,
    remedies: tuple[RemedyLine, ...] = (),
    minutes: tuple[int, int | None, int | None, int | None] = (10, 11, 40, 46),
    confidence: float = 0.9,
) -> IncidentLine:
    """An incident on a day of the week (0 is Monday), `lasts` in hours (None: open), `minutes` to each step."""
    start = at(day, hour)
    detect, *others = minutes
    cause_s, decide_s, fix_s = (None if one is None else one * 60 for one in others)
    return IncidentLine(
        incident_id=f"inc-{number:010x}",
        scope=scope,
        cause=cause,
        confidence=confidence,
        started_at=start,
        opened_at=start + timedelta(minutes=detect),
        ended_at=None if lasts is None else start + timedelta(hours=lasts),
        baseline_nanos=to_nanos(baseline),
        excess_nanos=to_nanos(lost),
        avoided_nanos=sum(one.saved_mid for one in remedies),
        avoided_cash_nanos=sum(one.cash_saved_mid for one in remedies),
        drivers=tuple(DriverShare(driver=name, nanos=to_nanos(usd)) for name, usd in drivers.items()),
        because=because,
        remedies=remedies,
        seconds_to_detect=detect * 60,
        seconds_to_cause=cause_s,
        seconds_to_decide=decide_s,
        seconds_to_fix=fix_s,
    )


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of the week, in hours after its local Monday."""
    return WINDOW.start + timedelta(days=day, hours=hour, minutes=minute)


def a_week() -> WeeklySummary:
    """The week that the tests and the look-over render."""
    incidents = _incidents()
    losses = [one for one in incidents if one.cause != "organic_growth"]
    return WeeklySummary(
        week=WEEK,
        window=WINDOW,
        time_zone=ZONE,
        made_at=WINDOW.end + timedelta(hours=7),
        spend_nanos=sum(point.actual_nanos for point in _series(incidents)),
        spend_before_nanos=sum(point.baseline_nanos for point in _series(incidents)),
        lost_nanos=sum(one.excess_nanos for one in losses),
        avoided_nanos=sum(one.avoided_nanos for one in incidents),
        avoided_cash_nanos=sum(one.avoided_cash_nanos for one in incidents),
        incidents=incidents,
        still_open=(incidents[-1].incident_id,),
        waiting=(incidents[-1].remedies[0].remedy_id,),
        series=_series(incidents),
        trust=(
            TrustNote(
                scope=Scope.of(team="vision"),
                kind="unpriced",
                says="41 records (1,203,118 tokens) have no price and are in no sum: acme/pixtral-next",
            ),
        ),
        by_team=tuple(
            (team, to_nanos(now), to_nanos(before))
            for team, now, before in (
                ("search", "9120.44", "5210.10"),
                ("support", "6402.00", "6120.75"),
                ("growth", "4210.91", "2405.33"),
                ("data", "1904.18", "1899.00"),
                ("vision", "210.05", "0"),
            )
        ),
        audit_head="7d793037a0760186574b0282f2f435e7f93f1f4a6b0a8f2c3d1e5b7a9c0d2e4f",
        mode="auto",
    )


def _incidents() -> tuple[IncidentLine, ...]:
    return (
        incident(
            1,
            "agent_loop",
            Scope.of(team="search", app="indexer", environment="prod"),
            day=0,
            hour=9,
            lasts=2,
            lost="1240.50",
            baseline="88.20",
            drivers={"request_volume": "1102.10", "input_per_request": "171.40", "output_per_request": "-33.00"},
            because="One session made 4,812 calls, where 62 is the 99th percentile; 71 % repeat an earlier one.",
            remedies=(
                remedy(
                    1,
                    "At most 90 calls a session for app=indexer team=search (was: not set)",
                    playbook="session_cap",
                    verdict="apply",
                    rule="session-caps",
                    decided_by=("policy:session-caps",),
                    state="kept",
                    saved=("2890.00", "3310.25", "3702.10"),
                    expected="3600",
                    applied=at(0, 9, 14),
                    note="Spend fell by 96 % against the counterfactual; error share rose by 0.1 points.",
                ),
            ),
            minutes=(10, 11, 12, 14),
            confidence=0.96,
        ),
        incident(
            2,
            "retry_storm",
            Scope.of(team="support", app="triage"),
            day=1,
            hour=14,
            lasts=3,
            lost="412.08",
            baseline="120.00",
            drivers={"request_volume": "430.08", "input_per_request": "-18.00"},
            because="3.9 attempts per success, where 1.1 is normal; 64 % of calls failed with 529.",
            remedies=(
                remedy(
                    2,
                    "At most 40 requests a minute for app=triage team=support (was: requests_per_minute 600)",
                    playbook="rate_limit",
                    saved=("-41.00", "6.20", "52.00"),
                    outcome="no_effect",
                    expected="840",
                    hours=2,
                    applied=at(1, 15, 2),
                    note="The storm had ended by itself; the limit was taken back.",
                ),
            ),
            minutes=(15, 16, 52, None),
            confidence=0.88,
        ),
        incident(
            3,
            "model_switch",
            Scope.of(team="growth", app="copywriter"),
            day=2,
            hour=8,
            lasts=9,
            lost="706.31",
            baseline="201.12",
            drivers={"model_mix": "698.02", "output_per_request": "41.29", "request_volume": "-33.00"},
            because="claude-opus answers 92 % of the requests that claude-haiku answered until Wednesday 08:00.",
            remedies=(
                remedy(
                    3,
                    "Answer claude-opus with claude-haiku for app=copywriter team=growth (was: not set)",
                    playbook="model_downgrade",
                    decided_by=("ann@example.com", "raj@example.com"),
                    saved=("-122.00", "-80.40", "-41.00"),
                    outcome="harmed",
                    expected="1800",
                    hours=1,
                    applied=at(2, 9, 30),
                    note="Error share rose by 14 points, where 2 are allowed; reverted after one window.",
                ),
            ),
            minutes=(60, 61, 88, None),
            confidence=0.93,
        ),
        incident(
            4,
            "organic_growth",
            Scope.of(team="growth"),
            day=3,
            hour=6,
            lasts=40,
            lost="1180.00",
            baseline="2100.00",
            drivers={"request_volume": "1175.10", "residual": "4.90"},
            because="Users and sessions rose by 58 % with an unchanged cost per user: a launch, not a fault.",
            minutes=(90, 91, None, None),
            confidence=0.81,
        ),
        incident(
            5,
            "leaked_key",
            Scope.of(team="data", app="notebooks", api_key_id="key-7f31"),
            day=4,
            hour=2,
            lasts=4,
            lost="980.77",
            baseline="0.40",
            drivers={"request_volume": "940.00", "model_mix": "40.77"},
            because="A development key that is new to 3 models and 2 regions spends at night.",
            remedies=(
                remedy(
                    5,
                    "Block the key for api_key_id=key-7f31 (was: not set)",
                    playbook="block_key",
                    saved=("4102.00", "4420.00", "4800.00"),
                    expected="5400",
                    applied=at(4, 5, 40),
                ),
            ),
            minutes=(10, 12, 216, 220),
            confidence=0.84,
        ),
        incident(
            6,
            "cache_break",
            Scope.of(team="support", app="assistant", environment="prod"),
            day=5,
            hour=20,
            lasts=None,
            lost="388.90",
            baseline="640.00",
            drivers={"cache_mix": "402.10", "request_volume": "-13.20"},
            because="The cache-hit ratio fell from 87 % to 4 % with release 2026.11.21; prefixes change on each call.",
            remedies=(
                remedy(
                    6,
                    "Prompt cache of 5m for app=assistant team=support (was: not set)",
                    playbook="prompt_cache",
                    decided_by=(),
                    state="pending",
                    outcome=None,
                    expected="310",
                ),
            ),
            minutes=(65, 66, None, None),
            confidence=0.9,
        ),
    )


def _series(incidents: tuple[IncidentLine, ...]) -> tuple[SpendPoint, ...]:
    points = []
    hours = int(WINDOW.seconds // 3600)
    for hour in range(hours):
        moment = WINDOW.start + timedelta(hours=hour)
        work = 1.0 if hour // 24 < 5 else 0.45
        base = 40 + 130 * work * max(0.0, math.sin((hour % 24 - 6) / 24 * 2 * math.pi))
        extra = sum(
            float(line.excess_nanos)
            / 1e9
            / max(1, ((line.ended_at or WINDOW.end) - line.started_at).total_seconds() / 3600)
            for line in incidents
            if line.started_at <= moment < (line.ended_at or WINDOW.end)
        )
        noise = 1 + 0.07 * math.sin(hour * 12.9898)
        points.append(
            SpendPoint(
                at=moment.astimezone(UTC),
                actual_nanos=int((base * noise + extra) * 1e9),
                baseline_nanos=int(base * 1e9),
            )
        )
    return tuple(points)
