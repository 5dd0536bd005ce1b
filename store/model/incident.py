"""Incidents: a spike that a detector saw, the incident it became, and the finding that explains it."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from store.model.usage import Scope, Window

Signal = Literal["spend", "unit_cost", "cache_hit_ratio", "session_calls", "new_series"]

Cause = Literal[
    "agent_loop",
    "retry_storm",
    "leaked_key",
    "cache_break",
    "cache_ttl",
    "cache_below_minimum",
    "tokenizer_change",
    "model_switch",
    "reasoning_effort",
    "context_bloat",
    "long_context_tier",
    "fast_mode",
    "price_change",
    "cache_write_premium",
    "batch_backfill",
    "denial_of_wallet",
    "runaway_output",
    "fan_out",
    "telemetry_fault",
    "organic_growth",
    "unknown",
]

Driver = Literal[
    "request_volume",
    "input_per_request",
    "output_per_request",
    "reasoning",
    "model_mix",
    "cache_mix",
    "tier_speed",
    "price",
    "tokenizer",
    "residual",
    "expected_change",
]

IncidentStatus = Literal["open", "closed"]


class _Noun(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spike(_Noun):
    """One series that spends more than it should.

    `excess_nanos` is actual minus baseline spend from `started_at` (the start of the first abnormal bucket) to
    `seen_until` (the end of the last judged bucket). `opened_at` is when the alert could first be raised: the end
    of the bucket that made it pass. `score` in [0, 1].
    """

    series: Scope
    group_by: tuple[str, ...]
    signal: Signal
    opened_at: AwareDatetime
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    seen_until: AwareDatetime
    score: float = Field(ge=0, le=1)
    excess_nanos: int
    baseline_nanos: int
    actual_nanos: int
    detail: str = ""
    """One plain sentence with the numbers that made it pass."""


class Incident(_Noun):
    """Related spikes at the deepest scope that explains them.

    The revision rises only on a changed scope, a new signal kind, an excess that doubled, or a stale plan.
    """

    id: str
    revision: int = 1
    scope: Scope
    status: IncidentStatus = "open"
    opened_at: AwareDatetime
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    seen_until: AwareDatetime
    revised_at: AwareDatetime
    excess_nanos: int
    baseline_nanos: int
    actual_nanos: int
    revised_excess_nanos: int
    """The excess when the revision was made; the revision rises when it has doubled."""
    spikes: tuple[Spike, ...] = ()
    planned: str | None = None
    """The name of the planned event that holds the alert back, if one does."""

    @property
    def window(self) -> Window:
        """From the first abnormal bucket to the last judged one."""
        return Window(start=self.started_at, end=max(self.started_at, self.ended_at or self.seen_until))

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The kinds of signal that raised it, sorted."""
        return tuple(sorted({spike.signal for spike in self.spikes}))


class Evidence(_Noun):
    """One checked fact: the query that made it, over what, and what it says. `data` holds numbers and ids only."""

    id: str
    query: str
    scope: Scope
    window: Window
    says: str
    data: dict[str, float | int | str | bool | None] = {}


class DriverShare(_Noun):
    """A part of the excess, in nano-USD at whole cents; the shares of a finding add up to its excess exactly."""

    driver: Driver
    nanos: int


class CauseScore(_Noun):
    """How well a cause fits: confidence in [0, 1], and the evidence ids for and against it."""

    cause: Cause
    confidence: float = Field(ge=0, le=1)
    supported_by: tuple[str, ...] = ()
    contradicted_by: tuple[str, ...] = ()
    because: str = ""


class Suspect(_Noun):
    """A combination of dimension values and the share of the excess that it explains."""

    scope: Scope
    explained: float
    nanos: int


class Finding(_Noun):
    """What an investigation found for one incident revision.

    `causes` are best first and their confidences add up to at most 1. `focus` is the deepest scope that the
    evidence names (a session, a key, an end user): where a remedy should act.
    """

    incident_id: str
    revision: int
    scope: Scope
    focus: Scope
    window: Window
    reference: Window
    excess_nanos: int
    drivers: tuple[DriverShare, ...]
    causes: tuple[CauseScore, ...] = Field(min_length=1)
    suspects: tuple[Suspect, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    facts: dict[str, float | int | str | bool | None] = {}
    """Parameters that playbooks need, by documented name (agent/analyst/facts.py)."""
    made_by: Literal["analyst", "reasoner"] = "analyst"
    cost_nanos: int = 0
    """What the investigation itself cost."""
    review: str = ""
    """What came of a model's review, in one sentence; empty where none was asked."""

    @property
    def cause(self) -> Cause:
        """The best cause."""
        return self.causes[0].cause

    @property
    def confidence(self) -> float:
        """Its confidence."""
        return self.causes[0].confidence


class TrustNote(_Noun):
    """Why the data of a scope may not be believed; no spend action is taken there."""

    scope: Scope
    kind: Literal["unpriced", "silent_source", "disagreement", "zero_cost", "reported_twice", "late"]
    says: str


class Doubt(TrustNote):
    """A trust note with its time, as the ledger keeps it; `ended_at` None: it still holds."""

    since: AwareDatetime
    seen_at: AwareDatetime
    ended_at: AwareDatetime | None = None
