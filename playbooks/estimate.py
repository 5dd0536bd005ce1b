"""From a replay to a draft: the part of the traffic to look at, the saving with its interval, and its check."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from playbooks.playbook import DAY, HOUR, Draft, Params, Playbook, ProposalFacts, best_cause, rows_in
from playbooks.replay.outcome import Replayed, numbers, select
from playbooks.season import OWN_HOURS, PPM, day_over_window
from store.model.incident import Cause, Finding
from store.model.remedy import Action, Check, HarmGuard, Notify, Saving
from store.model.usage import CASH_MODES, RecordTable, Scope, Window, from_us

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
    now: datetime
    around: RecordTable
    """The reference of the whole finding, for the season of a target that has no past of its own."""

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
    )


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
) -> Draft | None:
    """The draft of one action; None where the replay finds that it saves nothing.

    `day_over_window`: see saving_per_day.
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
        saving=saving_per_day(replayed, case, busier=day_over_window),
        quality_cost=playbook.quality_cost,
        harm_if_wrong=playbook.harm_if_wrong,
        quality_note=quality_note,
        undo_note=undo_note,
        check=check_for(replayed, excess_nanos=case.excess_nanos),
        lease_seconds=params.lease_seconds,
        uptake=playbook.uptake,
    )


def advice(
    playbook: Playbook, case: Case, finding: Finding, message: str, replayed: Replayed, params: Params
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
    )


def saving_per_day(replayed: Replayed, case: Case, *, busier: int | None = None) -> Saving:
    """The replayed saving of the case's records, extrapolated to the next day.

    Where the fault lies in the application's own requests, the day is as much busier than the window as it normally
    is; else, or where that is not known, the traffic goes on as it was. A loop, whose context grows, is taken to grow
    for as long again as it has. `low` and `high` are the window's weakest and strongest third; `low` is also no more
    than what is saved where that which the replay does not know goes against us. Exact integers. The window of an
    incident is whole buckets; where nothing is refused it is taken from the first request that would be cheaper, and of
    a caller that was never seen before from its first request.
    `busier`: how much more than in the window is saved in the next day, in millionths, where the playbook knows better.
    """
    gain = replayed.before - replayed.after
    window = _since_start(replayed, case)
    seconds = max(1, round(window.seconds))
    part = (numbers(case.records, "occurred_us") - window.start_us) * _PARTS // (seconds * 10**6)
    parts = [int(gain[part.clip(0, _PARTS - 1) == n].sum()) * _PARTS for n in range(_PARTS)]
    total = int(gain.sum())
    if busier is None and case.cause not in OWN_HOURS:
        inside = numbers(case.records, "occurred_us") >= window.start_us
        seen = int(numbers(case.records, "requests")[inside].sum())
        pasts = (case.reference_records, case.around)
        busier = first_known(day_over_window(past, window, case.now, seen=seen) for past in pasts)
    scale = DAY * PPM // seconds if busier is None else busier
    mid = max(total, _growing(parts, seconds)) if case.cause == "agent_loop" else total
    cautious = total if replayed.cautious is None else int((replayed.before - replayed.cautious).sum())
    cash = int(gain[np.isin(case.records.column("billing_mode"), sorted(CASH_MODES))].sum())
    goes_on = "traffic going on as it was" if busier is None else f"the next day making {busier / PPM:.1f} times of it"
    return Saving(
        low=min(*parts, total, cautious) * scale // PPM,
        mid=mid * scale // PPM,
        high=max(*parts, mid) * scale // PPM,
        cash_mid=cash * mid // max(total, 1) * scale // PPM,
        assumption=f"replay of {case.records.rows:,} recorded requests over {seconds / HOUR:.1f} h, {goes_on}; low and "
        f"high are the weakest and strongest third of that time, low also the cautious reading of: {replayed.note}",
    )


def _since_start(replayed: Replayed, case: Case) -> Window:
    """The case's window from about the first record that tells of the fault: a usual pause before it.

    Refusals by themselves tell of no start: a limit, a cap or a budget lets the first of it pass.
    """
    if not replayed.refused.any():
        tells = replayed.before > replayed.after
    elif case.reference_records.rows == 0 and case.around.rows > 0:
        tells = np.ones(case.records.rows, dtype=np.bool_)
    else:
        return case.window
    at_us = numbers(case.records, "occurred_us")[tells]
    if len(at_us) == 0:
        return case.window
    end_us = case.window.end_us
    pause_us = (end_us - int(at_us[0])) // len(at_us)
    return Window(
        start=from_us(min(max(case.window.start_us, int(at_us[0]) - pause_us), end_us - 10**6)), end=case.window.end
    )


def first_known(found: Iterable[int | None]) -> int | None:
    """The first that is not None."""
    return next((one for one in found if one is not None), None)


def _growing(parts: Sequence[int], seconds: int) -> int:
    """The window's gain if its trend goes on for as long again as the window and then stays, on the day's average.

    `parts` are the gains of the window's thirds, each as if the whole window had been so.
    """
    step = max(0, parts[-1] - parts[0]) // (_PARTS - 1)
    end = parts[-1] + step // 2
    plateau = end + _PARTS * step
    rising = min(seconds, DAY)
    return ((end + plateau) // 2 * rising + plateau * (DAY - rising)) // DAY


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
