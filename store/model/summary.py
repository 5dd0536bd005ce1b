"""The weekly incident summary as data; agent/report renders it."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from store.model.incident import Cause, DriverShare, TrustNote
from store.model.remedy import Outcome, RemedyState, Verdict
from store.model.usage import Scope, Window


class _Noun(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RemedyLine(_Noun):
    """One remedy in the summary. Amounts are nano-USD; `saved_*` is measured, `expected_per_day` estimated."""

    remedy_id: str
    playbook: str
    what: str
    verdict: Verdict
    rule: str
    decided_by: tuple[str, ...]
    state: RemedyState
    outcome: Outcome | None
    expected_per_day: int
    saved_low: int = 0
    saved_mid: int = 0
    saved_high: int = 0
    cash_saved_mid: int = 0
    measured_seconds: int = 0
    """The length of the measured windows, to set `saved_*` beside `expected_per_day`; 0: not measured."""
    decided_at: AwareDatetime | None = None
    applied_at: AwareDatetime | None = None
    note: str = ""


class IncidentLine(_Noun):
    """One incident in the summary. Times to each step count seconds from `started_at`; None: it did not happen."""

    incident_id: str
    scope: Scope
    cause: Cause
    confidence: float
    started_at: AwareDatetime
    opened_at: AwareDatetime
    ended_at: AwareDatetime | None
    baseline_nanos: int
    excess_nanos: int
    """Lost: what was spent above the baseline."""
    avoided_nanos: int
    """Saved by remedies, measured against the counterfactual."""
    avoided_cash_nanos: int
    drivers: tuple[DriverShare, ...]
    because: str
    remedies: tuple[RemedyLine, ...]
    seconds_to_detect: int
    seconds_to_cause: int | None
    seconds_to_decide: int | None
    seconds_to_fix: int | None
    planned: str | None = None


class SpendPoint(_Noun):
    """One bucket of the chart: actual and expected spend in nano-USD."""

    at: AwareDatetime
    actual_nanos: int
    baseline_nanos: int


class BudgetStand(_Noun):
    """A budget and what was spent of it in the period that held the week's end."""

    name: str
    scope: Scope
    period: str
    budget_nanos: int
    spent_nanos: int


class WeeklySummary(_Noun):
    """One week, Monday to Monday in the team's time zone."""

    week: str
    window: Window
    time_zone: str
    made_at: AwareDatetime
    spend_nanos: int
    spend_before_nanos: int
    """The week before."""
    lost_nanos: int
    avoided_nanos: int
    avoided_cash_nanos: int
    incidents: tuple[IncidentLine, ...]
    still_open: tuple[str, ...]
    waiting: tuple[str, ...]
    """Remedy ids that wait for a person."""
    series: tuple[SpendPoint, ...]
    trust: tuple[TrustNote, ...] = ()
    by_team: tuple[tuple[str, int, int], ...] = ()
    """(team, spend, spend the week before), largest first. Spend is what the price book says, seats' list value too."""
    cash_by_team: tuple[tuple[str, int], ...] = ()
    """(team, the part of its spend that is marginal cash), where that is not all of it."""
    budgets: tuple[BudgetStand, ...] = ()
    audit_head: str = ""
    mode: Literal["shadow", "ask", "auto"] = "shadow"
