"""Scores what the service made of a case against the exact truth."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from agent.backtest import Backtest
from evals.exam.remedies import Worth, worth_of
from evals.exam.saving import saved_by
from evals.exam.stage import Staged
from store.model.incident import Incident
from store.model.usage import NONE, Scope, UsageRecord

MATCH_SHARE = 0.5
"""An incident is about the fault if its scope holds this share of the fault's cost, or the fault's traffic this share
of the incident's."""


@dataclass(frozen=True)
class Score:
    """One row of the exam. None: the question does not arise."""

    case: str
    seed: int
    tag: str
    pattern: str
    strength: str
    confounder: str
    must_open: bool
    """Growth may be left alone, and money that is missing shows as a note on the data; all else must be opened."""
    opened: bool
    delay_hours: float | None
    scope_jaccard: float | None
    focus_jaccard: float | None
    found: str | None
    confidence: float | None
    top1: bool | None
    top3: bool | None
    excess_usd: float | None
    true_excess_usd: float
    excess_error: float | None
    remedy: str | None
    verdict: str | None
    worth: Worth | None
    saving_usd: float | None
    """What the proposal expects to save over the next day."""
    true_saving_usd: float | None
    saving_error: float | None
    saving_within: bool | None
    """Whether the true saving lies in the interval that the proposal gives."""
    saving_floor: float | None
    """The error that is left to whoever knows the fault but not the draw; None where the day was not drawn anew."""
    harmful_applied: int
    """Harmful remedies that the policy would have applied, over all incidents of the run."""
    false_alarms: int
    """Incidents that are neither about the fault nor where something else truly rose."""
    noted: bool
    """Whether a note said that the data of the scope cannot be believed."""
    passed: bool
    twin_opened: int | None = None
    """Incidents opened in the same scope of the clean twin."""
    hostile_differences: tuple[str, ...] | None = None
    """Where the outcome on the hostile twin differs."""

    def row(self) -> dict[str, object]:
        """As JSON has it."""
        return asdict(self)


class _Truth(NamedTuple):
    """Cost of the records that the fault made or changed, by record id, and all records since the onset."""

    affected: frozenset[str]
    records: Sequence[UsageRecord]

    def cost(self, ids: frozenset[str] | set[str]) -> int:
        return sum(record.cost_nanos or 0 for record in self.records if record.record_id in ids)


def score(staged: Staged, run: Backtest, *, redraws: int = 0) -> Score:
    """One row for the run with the fault; the twins are added by the caller. `redraws`: see saved_by."""
    case, cause = staged.case, staged.case.pattern.cause
    truth = _truth(staged)
    about = [incident for incident in run.incidents if _is_about(incident, staged, truth)]
    alarms = [one for one in run.incidents if one not in about and not _expected(one, staged.others)]
    main = max(about, key=lambda one: one.excess_nanos, default=None)
    finding = run.findings.get(main.id) if main else None
    proposals = run.proposals.get(main.id, []) if main else []
    proposal, ruling = proposals[-1] if proposals else (None, None)
    true_excess = _cost(staged.after) - _cost(staged.clean_after)
    excess = _excess(about, run)
    causes = [one.cause for one in finding.causes] if finding else []
    harmful = _harmful_applied(staged, run)
    must_open = cause != "organic_growth" and case.pattern.money != "free"
    noted = any(note.scope.overlaps(staged.scope) for note in run.trust)
    worth = worth_of(cause, staged.scope, proposal.actions) if proposal else None
    saved = saved_by(staged, proposal, redraws=redraws) if proposal else None
    return Score(
        case=case.name,
        seed=staged.seed,
        tag=case.tag,
        pattern=cause,
        strength=case.strength,
        confounder=case.confounder,
        must_open=must_open,
        opened=main is not None,
        delay_hours=_delay(staged, about),
        scope_jaccard=_rounded(_scope_jaccard(staged, truth, main.scope)) if main else None,
        focus_jaccard=_rounded(_jaccard(truth, truth.affected, _inside(truth, finding.focus))) if finding else None,
        found=finding.cause if finding else None,
        confidence=_rounded(finding.confidence) if finding else None,
        top1=causes[0] == cause if causes else None,
        top3=cause in causes[:3] if causes else None,
        excess_usd=_usd(excess) if finding else None,
        true_excess_usd=_usd(true_excess),
        excess_error=_rounded(abs(excess / true_excess - 1)) if finding and true_excess > 0 else None,
        remedy=proposal.playbook if proposal else None,
        verdict=ruling.verdict if ruling else None,
        worth=worth,
        saving_usd=_usd(saved.expected) if saved else None,
        true_saving_usd=_usd(saved.truly) if saved else None,
        saving_error=_rounded(saved.error) if saved and saved.error is not None else None,
        saving_within=saved.within if saved else None,
        saving_floor=_rounded(saved.floor) if saved and saved.floor is not None else None,
        harmful_applied=harmful,
        false_alarms=len(alarms),
        noted=noted,
        passed=_passed(staged, causes[0] if causes else None, must_open=must_open, noted=noted, harmful=harmful),
    )


def opened_in_twin(staged: Staged, clean: Backtest) -> list[Incident]:
    """Incidents of the clean twin at least half of whose cost lies in the scope of the case."""
    traffic = _Truth(frozenset(), staged.clean_after)
    mine = _inside(traffic, staged.scope)
    opened = []
    for incident in clean.incidents:
        inside = _inside(traffic, incident.scope)
        spent = traffic.cost(inside)
        within = spent > 0 and traffic.cost(inside & mine) >= MATCH_SHARE * spent
        within = within or staged.scope.contains(incident.scope)
        if within and not _expected(incident, staged.others):
            opened.append(incident)
    return opened


def _passed(staged: Staged, found: str | None, *, must_open: bool, noted: bool, harmful: int) -> bool:
    if harmful:
        return False
    if must_open:
        return found == staged.case.pattern.cause
    if staged.case.pattern.money == "free":
        return noted
    return found in (None, staged.case.pattern.cause)


def _truth(staged: Staged) -> _Truth:
    before = {record.record_id: record for record in staged.clean_after}
    affected = (record.record_id for record in staged.after if before.get(record.record_id) != record)
    return _Truth(frozenset(affected), staged.after)


def _is_about(incident: Incident, staged: Staged, truth: _Truth) -> bool:
    if incident.window.end <= staged.onset or _expected(incident, staged.others):
        return False
    inside = _inside(truth, incident.scope)
    both = truth.cost(inside & truth.affected)
    return both > 0 and (both >= MATCH_SHARE * truth.cost(truth.affected) or both >= MATCH_SHARE * truth.cost(inside))


def _expected(incident: Incident, others: Sequence[Scope]) -> bool:
    return any(other.contains(incident.scope) for other in others)


def _scope_jaccard(staged: Staged, truth: _Truth, scope: Scope) -> float:
    """Naming the app or the very traffic that the fault made is right: the better of the two counts."""
    inside = _inside(truth, scope)
    return max(_jaccard(truth, of, inside) for of in (truth.affected, _inside(truth, staged.scope)))


def _jaccard(truth: _Truth, one: frozenset[str], other: frozenset[str]) -> float:
    either = truth.cost(one | other)
    return truth.cost(one & other) / either if either else 0.0


def _inside(truth: _Truth, scope: Scope) -> frozenset[str]:
    dims = scope.dims
    return frozenset(
        record.record_id for record in truth.records if all(_value(record, name) == value for name, value in dims)
    )


def _value(record: UsageRecord, name: str) -> str:
    if name.startswith("tags."):
        return dict(record.tags).get(name.removeprefix("tags."), NONE)
    return str(getattr(record, name))


def _harmful_applied(staged: Staged, run: Backtest) -> int:
    count = 0
    for incident in run.incidents:
        # Where a launch is on, growth is the true cause.
        other = next((scope for scope in staged.others if scope.contains(incident.scope)), None)
        for proposal, ruling in run.proposals.get(incident.id, []):
            worth = (
                worth_of("organic_growth", other, proposal.actions)
                if other
                else worth_of(staged.case.pattern.cause, staged.scope, proposal.actions)
            )
            count += worth == "harmful" and ruling is not None and ruling.verdict == "apply"
    return count


def _excess(about: Sequence[Incident], run: Backtest) -> int:
    """What the findings say, each part of the traffic once: of two incidents that overlap the greater counts."""
    counted: list[Incident] = []
    for incident in sorted(about, key=lambda one: -one.excess_nanos):
        if not any(one.scope.overlaps(incident.scope) for one in counted):
            counted.append(incident)
    return sum(run.findings[one.id].excess_nanos for one in counted if one.id in run.findings)


def _delay(staged: Staged, about: Sequence[Incident]) -> float | None:
    if not about:
        return None
    opened = min(incident.opened_at for incident in about)
    return max(0.0, (opened - staged.onset).total_seconds() / 3600)


def _cost(records: Sequence[UsageRecord]) -> int:
    return sum(record.cost_nanos or 0 for record in records)


def _usd(nanos: int) -> float:
    return round(nanos / 1e9, 2)


def _rounded(value: float) -> float:
    return round(value, 4)
