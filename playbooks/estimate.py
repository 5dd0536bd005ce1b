"""From a replay to a draft: the part of the traffic to look at, the saving with its interval, and its check."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from playbooks.interval import interval, of_sessions_to_come, of_the_sample
from playbooks.ordinary_day import Day
from playbooks.outlook import Outlook, Whole, Work, day_over_window
from playbooks.playbook import DAY, HOUR, Draft, Params, Playbook, ProposalFacts, best_cause, number, rows_in, text
from playbooks.replay.onset import since_dearer
from playbooks.replay.outcome import Nanos, Replayed, numbers, requests, select
from playbooks.season import OWN_HOURS, PPM
from store.model.incident import Cause, Finding
from store.model.remedy import Action, Check, HarmGuard, Notify, Saving
from store.model.usage import CASH_MODES, RecordTable, Scope, Window

_PARTS = 3
_THIRDS = "low and high are the weakest and strongest third of that time"
_CHANCE = "9 in 10 such days lie between low and high"

Measure = Callable[[RecordTable], Nanos]
"""An amount for each record that the fault leaves as it is and a saving goes with, as thinking with visible output."""


class Case(NamedTuple):
    """What one playbook looks at: the best cause that it answers, and the traffic of its target."""

    cause: Cause
    confidence: float
    excess_nanos: int
    target: Scope
    records: RecordTable
    reference_records: RecordTable
    seconds: int
    now: datetime
    around: RecordTable
    """The reference of the whole finding, for the season of a target that has no past of its own."""
    whole: int | None = None
    """Requests of the target in the window, where the records are only those of one model; None: the records are all,
    or nobody knows."""

    @property
    def window(self) -> Window:
        """The time that the records cover."""
        end = self.records.window.end
        return Window(start=end - timedelta(seconds=max(1, self.seconds)), end=end)


def case_of(playbook: Playbook, finding: Finding, facts: ProposalFacts, target: Scope) -> Case | None:
    """The playbook's case; None where the finding names no cause that it answers, or the target has no records."""
    matched = best_cause(finding, playbook.causes)
    records = select(facts.records, rows_in(facts.records, target))
    if matched is None or records.rows == 0:
        return None
    reference = select(facts.reference_records, rows_in(facts.reference_records, target))
    return Case(
        *matched,
        finding.excess_nanos,
        target,
        records,
        reference,
        facts.seconds,
        facts.now,
        facts.reference_records,
        _whole(finding, facts, records),
    )


def _whole(finding: Finding, facts: ProposalFacts, records: RecordTable) -> int | None:
    """How many requests the target had of all models, by the share of the one that the records are of."""
    model, share = facts.records.scope.get("model"), number(finding, "model_share_now")
    one_model = model is not None and facts.reference_records.scope.get("model") is None
    if not one_model or model != text(finding, "model") or not share:
        return None
    return round(int(numbers(records, "requests").sum()) / share)


def draft(
    playbook: Playbook,
    case: Case,
    action: Action,
    replayed: Replayed,
    params: Params,
    *,
    quality_note: str,
    undo_note: str,
    day_over_window: int | None = None,
    measure: Measure | None = None,
    day: Day | None = None,
) -> Draft | None:
    """The draft of one action; None where the replay finds that it saves nothing.

    `day_over_window`, `measure`: see saving_per_day. `day`: the next day's saving, where the playbook knows it.
    """
    if replayed.spent_after_nanos >= replayed.spent_before_nanos:
        return None
    return Draft(
        playbook=playbook.name,
        cause=case.cause,
        confidence=case.confidence,
        actions=(action,),
        risk=playbook.risk,
        reversible=playbook.reversible,
        saving=saving_per_day(replayed, case, busier=day_over_window, measure=measure)
        if day is None
        else saving_of(day, replayed, case),
        quality_cost=playbook.quality_cost,
        harm_if_wrong=playbook.harm_if_wrong,
        quality_note=quality_note,
        undo_note=undo_note,
        check=check_for(replayed, excess_nanos=case.excess_nanos),
        lease_seconds=params.lease_seconds,
        uptake=playbook.uptake,
    )


def advice(
    playbook: Playbook,
    case: Case,
    finding: Finding,
    message: str,
    replayed: Replayed,
    params: Params,
    *,
    measure: Measure | None = None,
) -> Draft | None:
    """The draft of instructions to the owner, for what no gateway can do; None where they would save nothing."""
    return draft(
        playbook,
        case,
        Notify(target=finding.scope, message=message),
        replayed,
        params,
        quality_note="Nothing changes until somebody follows the instructions.",
        undo_note="There is nothing to undo at a gateway.",
        measure=measure,
    )


def saving_per_day(
    replayed: Replayed, case: Case, *, busier: int | None = None, measure: Measure | None = None
) -> Saving:
    """The replayed saving of the case's records, extrapolated to the next day.

    Where the fault lies in the application's own requests, the day is as much busier than the window as it normally
    is; else, or where that is not known, the traffic goes on as it was. Between `low` and `high` lie nine in ten such
    days, as far as the week before tells; where it tells nothing they are the window's weakest and strongest third.
    `low` is also no more than what is saved where that which the replay does not know goes against us. The window of an
    incident is whole buckets; where nothing is refused it is taken from where requests began to be dearer, and of a
    caller that was never seen before from its first request.
    `busier`: how much more than in the window is saved in the next day, in millionths, where the playbook knows better.
    `measure`: what the saving goes with, where that is not the number of requests.
    """
    unknown = case.reference_records.rows == 0 and case.around.rows > 0
    like = (measure or requests)(case.records)
    window = since_dearer(case.records, replayed, case.window, always=not unknown, like=like)
    seconds = max(1, round(window.seconds))
    inside = numbers(case.records, "occurred_us") >= window.start_us
    gain = np.where(inside, replayed.before - replayed.after, 0)
    total = int(gain.sum())
    like = np.where(inside, like, 0)
    known = None if busier is not None or case.cause in OWN_HOURS else _outlook(case, window, inside, like, measure)
    busier = busier if known is None else known.times
    scale = DAY * PPM // seconds if busier is None else busier
    part = (numbers(case.records, "occurred_us") - window.start_us) * _PARTS // (seconds * 10**6)
    parts = [int(gain[part.clip(0, _PARTS - 1) == n].sum()) * _PARTS for n in range(_PARTS)]
    mid = total * scale // PPM
    if known is None or mid <= 0:
        low, high, told = min(*parts, total) * scale // PPM, max(max(parts) * scale // PPM, mid), _THIRDS
    else:
        variance = known.variance + of_the_sample(case.records, gain, like if known.usual else None)
        variance += of_sessions_to_come(case.records, gain, mid, share=replayed.share)
        low, high, told = *interval(mid, variance), _CHANCE
    cautious = total if replayed.cautious is None else int((replayed.before - replayed.cautious)[inside].sum())
    cash = int(gain[np.isin(case.records.column("billing_mode"), sorted(CASH_MODES))].sum())
    goes_on = "traffic going on as it was" if busier is None else f"the next day making {busier / PPM:.1f} times of it"
    return Saving(
        low=min(low, cautious * scale // PPM),
        mid=mid,
        high=high,
        cash_mid=cash * mid // max(total, 1),
        assumption=f"replay of {case.records.rows:,} recorded requests over {seconds / HOUR:.1f} h, {goes_on}; {told}; "
        f"assumed: {replayed.note}",
    )


def _outlook(
    case: Case, window: Window, inside: npt.NDArray[np.bool_], like: Nanos, measure: Measure | None
) -> Outlook | None:
    """What the week before tells of the next day: of the target itself, else of the whole finding's traffic."""
    seen = int(requests(case.records)[inside].sum())
    whole = None if case.whole is None else Whole(case.window, case.whole)
    mine, around = case.reference_records, case.around

    def told(past: RecordTable, whole: Whole | None, *, alike: bool) -> Outlook | None:
        work = None if measure is None or past.rows == 0 else Work(measure(past), int(like.sum()))
        return day_over_window(past, window, case.now, seen=seen, whole=whole, alike=alike, work=work)

    found = told(mine, whole, alike=mine.scope == case.records.scope)
    return told(around, None, alike=False) if found is None else found


def saving_of(day: Day, replayed: Replayed, case: Case) -> Saving:
    """The saving of a day that is known, with the share of it that the window's replay would have paid in cash."""
    gain = replayed.before - replayed.after
    cash = int(gain[np.isin(case.records.column("billing_mode"), sorted(CASH_MODES))].sum())
    return Saving(
        low=day.low,
        mid=day.mid,
        high=day.high,
        cash_mid=day.mid * cash // max(1, int(gain.sum())),
        assumption=f"replay of {case.records.rows:,} recorded requests over {case.seconds / HOUR:.1f} h: {day.says}",
    )


def first_known(found: Iterable[int | None]) -> int | None:
    """The first that is not None."""
    return next((one for one in found if one is not None), None)


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
