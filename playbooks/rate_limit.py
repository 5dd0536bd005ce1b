"""Limit the requests a minute of one part of the traffic."""

import math

from pydantic import Field

from playbooks.estimate import Case, case_of, draft, first_known
from playbooks.normal import larger, requests_per_minute
from playbooks.ordinary_day import Day, ordinary_day
from playbooks.own_hours import limited_beside_the_usual, own_hours_day
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts, number
from playbooks.replay.limits import beyond_rate, replay_rate_limit
from playbooks.replay.outcome import Replayed
from playbooks.season import OWN_HOURS, limited_day_over_window
from playbooks.targets import ACTORS, limit_target
from store.model.incident import Finding
from store.model.remedy import SetRateLimit
from store.model.usage import to_us


class RateLimitParams(Params):
    """Bounds keep the limit above normal traffic."""

    multiple: float = Field(default=1.5, ge=1.0, le=10)
    """Of the normal 95th percentile of requests a minute."""
    floor_per_minute: int = Field(default=5, ge=1, le=10_000)
    """Never a limit below this many requests a minute."""


class RateLimit(Playbook):
    """Refuses requests above a multiple of what is normal for that key, user or app.

    Fits: a retry storm, one end user who burns the budget, a backfill in the wrong lane.
    Parameters: `multiple` (1 to 10) of the normal p95 of requests per minute, `floor_per_minute` (1 to 10,000),
    `lease_hours` (0.01 to 168).
    Risk: low. It can throttle real users in an outage, and delay a job.
    Undo: the limit is removed; the next minute's requests pass.
    Verified: half of the replayed share of the excess is gone within an hour, errors flat, refusals as replayed.
    """

    name = "rate_limit"
    causes = ("retry_storm", "denial_of_wallet", "batch_backfill", "fan_out")
    kinds = ("set_rate_limit",)
    risk = "low"
    reversible = True
    params = RateLimitParams
    harm_if_wrong = 0.5

    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """A limit at a multiple of normal; None where normal is not known or the limit would refuse nothing."""
        assert isinstance(params, RateLimitParams)
        case = case_of(self, finding, facts, limit_target(finding))
        normal = None if case is None else _normal(finding, facts, case)
        if case is None or normal is None:
            return None
        limit = max(params.floor_per_minute, math.ceil(normal * params.multiple))
        replayed = replay_rate_limit(case.records, per_minute=limit)
        day = _day(case, replayed, limit)
        return draft(
            self,
            case,
            SetRateLimit(target=case.target, requests_per_minute=limit),
            replayed,
            params,
            quality_note=f"Requests above {limit} a minute are refused "
            f"({replayed.refused_share:.0%} of those recorded); normal is up to {normal:.0f} a minute.",
            undo_note="The limit is removed; the next minute's requests pass.",
            day_over_window=_day_over_window(case, limit) if day is None else None,
            day=day,
        )


def _day(case: Case, replayed: Replayed, limit: int) -> Day | None:
    """Of traffic with hours of its own, a day of it beside the usual requests; else a normal day of such calls."""
    if case.cause in OWN_HOURS:
        records, reference, now_us = case.records, case.reference_records, to_us(case.now)
        return own_hours_day(
            records,
            reference,
            replayed,
            case.window,
            lambda since: limited_beside_the_usual(records, reference, since, now_us, per_minute=limit),
        )
    return ordinary_day(
        case.records,
        case.reference_records,
        case.window,
        replayed,
        lambda records: beyond_rate(records, per_minute=limit),
        at_us=to_us(case.now),
    )


def _day_over_window(case: Case, limit: int) -> int | None:
    """Where calls cannot be told apart: a day of the window's minutes, as much busier as its hours normally are."""
    pasts = (case.reference_records, case.around)
    return first_known(
        limited_day_over_window(case.records, past, case.window, case.now, per_minute=limit) for past in pasts
    )


def _normal(finding: Finding, facts: ProposalFacts, case: Case) -> float | None:
    """The p95 of requests a minute: of the target itself, else, for a new actor, of the others of its kind."""
    own = requests_per_minute(case.reference_records)
    if case.target == finding.scope:
        return larger(number(finding, "requests_per_minute_p95_normal"), own)
    kind = next((name for name in ACTORS if case.target.get(name) is not None), None)
    if own is None and kind is not None:
        return requests_per_minute(facts.reference_records, per=kind)
    return own
