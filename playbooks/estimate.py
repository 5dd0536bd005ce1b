"""From a replay to a draft: the part of the traffic to look at, the saving with its interval, and its check."""

from typing import NamedTuple

from playbooks.playbook import DAY, HOUR, Draft, Params, Playbook, ProposalFacts, best_cause, rows_in
from playbooks.replay.outcome import Replayed, numbers, select
from store.model.incident import Cause, Finding
from store.model.remedy import Action, Check, HarmGuard, Saving
from store.model.usage import CASH_MODES, RecordTable, Scope

_PARTS = 3


class Case(NamedTuple):
    """What one playbook looks at: the best cause that it answers, and the traffic of its target."""

    cause: Cause
    confidence: float
    excess_nanos: int
    target: Scope
    records: RecordTable
    reference_records: RecordTable
    seconds: int


def case_of(playbook: Playbook, finding: Finding, facts: ProposalFacts, target: Scope) -> Case | None:
    """The playbook's case; None where the finding names no cause that it answers, or the target has no records."""
    matched = best_cause(finding, playbook.causes)
    records = select(facts.records, rows_in(facts.records, target))
    if matched is None or records.rows == 0:
        return None
    reference = select(facts.reference_records, rows_in(facts.reference_records, target))
    return Case(*matched, finding.excess_nanos, target, records, reference, facts.seconds)


def draft(
    playbook: Playbook,
    case: Case,
    action: Action,
    replayed: Replayed,
    params: Params,
    *,
    quality_note: str,
    undo_note: str,
) -> Draft | None:
    """The draft of one action; None where the replay finds that it saves nothing."""
    if replayed.spent_after_nanos >= replayed.spent_before_nanos:
        return None
    return Draft(
        playbook=playbook.name,
        cause=case.cause,
        confidence=case.confidence,
        actions=(action,),
        risk=playbook.risk,
        reversible=playbook.reversible,
        saving=saving_per_day(replayed, case.records, seconds=case.seconds),
        quality_cost=playbook.quality_cost,
        harm_if_wrong=playbook.harm_if_wrong,
        quality_note=quality_note,
        undo_note=undo_note,
        check=check_for(replayed, excess_nanos=case.excess_nanos),
        lease_seconds=params.lease_seconds,
    )


def saving_per_day(replayed: Replayed, records: RecordTable, *, seconds: int) -> Saving:
    """The replayed saving, extrapolated to a day on which the traffic goes on as it was.

    `mid` is over the whole window, `low` and `high` over its weakest and strongest third. Exact integers.

    Args:
        replayed: the replay of `records`.
        records: needs occurred_us and billing_mode; its window ends where the covered time ends.
        seconds: how much time before the window's end the records cover.
    """
    seconds = max(seconds, 1)
    gain = replayed.before - replayed.after
    start_us = records.window.end_us - seconds * 10**6
    part = (numbers(records, "occurred_us") - start_us) * _PARTS // (seconds * 10**6)
    parts = [int(gain[part.clip(0, _PARTS - 1) == n].sum()) * _PARTS for n in range(_PARTS)]
    cash = [mode in CASH_MODES for mode in records.column("billing_mode").tolist()]
    return Saving(
        low=_daily(min(parts), seconds),
        mid=_daily(int(gain.sum()), seconds),
        high=_daily(max(parts), seconds),
        cash_mid=_daily(int(gain[cash].sum()), seconds),
        assumption=f"replay of {records.rows:,} recorded requests over {seconds / HOUR:.1f} h, traffic going on as it "
        f"was; low and high are the weakest and strongest third of that time; {replayed.note}",
    )


def check_for(replayed: Replayed, *, excess_nanos: int) -> Check:
    """Worked means half of the replayed share of the excess is gone; refusals may rise as far as the replay says."""
    saved = replayed.spent_before_nanos - replayed.spent_after_nanos
    share = saved / excess_nanos if excess_nanos > 0 else 1.0
    refused = min(1.0, replayed.refused_share + 0.15)
    return Check(
        window_seconds=HOUR,
        min_reduction=round(min(0.8, max(0.05, share / 2)), 2),
        harm=(
            HarmGuard(metric="error_share", max_rise=0.05),
            HarmGuard(metric="refused_share", max_rise=round(refused, 2)),
        ),
    )


def _daily(nanos: int, seconds: int) -> int:
    return nanos * DAY // seconds
