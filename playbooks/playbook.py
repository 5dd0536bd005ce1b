"""The interface of a playbook: from a finding to a draft of a remedy, purely.

A playbook looks at what was fetched for it and never fetches, never touches. What it drafts has no `was` yet: the
step `propose` reads that from the gateway and drops every draft that fails its own checks.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from playbooks.models import ModelChoice
from store.model.incident import Cause, Finding
from store.model.ports import Capabilities
from store.model.prices import PriceTable
from store.model.remedy import Action, ActionKind, Check, Risk, Saving
from store.model.usage import RecordTable, Scope

HOUR = 3600
DAY = 24 * HOUR

RECORD_COLUMNS = (
    "occurred_us",
    "provider",
    "model",
    "requested_model",
    "service_tier",
    "speed",
    "requests",
    "status",
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "prompt_chars",
    "completion_chars",
    "attempt",
    "cost_nanos",
    "billing_mode",
    "grade",
    "prefix_hash",
    "prefix_tokens",
    "team",
    "app",
    "environment",
    "api_key_id",
    "route",
    "release",
    "job",
    "source",
    "end_user",
    "prompt_version",
    "session_id",
    "trace_id",
    "operation",
    "region",
)
"""The record columns that playbooks and the steps around them may read."""


@dataclass(frozen=True, kw_only=True)
class ProposalFacts:
    """What was fetched for the playbooks of one finding.

    `records`: the finding's scope in the abnormal window, `reference_records`: the same scope, whatever the model, in
    the week before it; both with RECORD_COLUMNS. `seconds`: how much of the window the records cover (less than all of
    it where a row limit cut them). `alternatives`: {model: cheaper ones, dearest first}. `gateway`: None where there is
    none.
    """

    records: RecordTable
    reference_records: RecordTable
    prices: PriceTable
    seconds: int
    now: datetime
    alternatives: Mapping[str, tuple[ModelChoice, ...]]
    gateway: Capabilities | None
    never_touch: tuple[Scope, ...] = ()


class Params(BaseModel):
    """The parameters that every playbook has; each adds its own, all with bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lease_hours: float = Field(default=24, ge=0.01, le=168)
    """How long the change lasts before it is returned by itself; 0.01 is 36 seconds."""

    @property
    def lease_seconds(self) -> int:
        """The same in whole seconds."""
        return round(self.lease_hours * HOUR)


class Draft(BaseModel):
    """A remedy before it has met the gateway; playbooks.ranking says what it is worth."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    playbook: str
    cause: Cause
    confidence: float = Field(ge=0, le=1)
    actions: tuple[Action, ...] = Field(min_length=1)
    risk: Risk
    reversible: bool
    saving: Saving
    quality_cost: float = Field(ge=0, le=1)
    """The worth that is lost for each dollar saved, even when the cause is right."""
    harm_if_wrong: float = Field(ge=0)
    """The worth that is lost for each dollar saved when the cause is wrong: good requests refused, worse answers."""
    quality_note: str
    undo_note: str
    check: Check
    lease_seconds: int = Field(gt=0)
    uptake: float = Field(default=1.0, ge=0, le=1)
    """How much of the saving is expected to come about: all of it where a gateway does it, less where people must."""
    otherwise: "Draft | None" = None
    """The plan for where no gateway can carry this one out."""


class Playbook(ABC):
    """One remedy that Bursar knows; its docstring is its entry in the catalogue."""

    name: ClassVar[str]
    causes: ClassVar[tuple[Cause, ...]]
    kinds: ClassVar[tuple[ActionKind, ...]]
    """The actions that it may draft, and no others."""
    risk: ClassVar[Risk]
    reversible: ClassVar[bool]
    params: ClassVar[type[Params]] = Params
    quality_cost: ClassVar[float] = 0.0
    """See Draft."""
    harm_if_wrong: ClassVar[float]
    """See Draft."""
    uptake: ClassVar[float] = 1.0
    """See Draft."""

    @abstractmethod
    def propose(self, finding: Finding, facts: ProposalFacts, params: Params) -> Draft | None:
        """A draft, or None where it does not fit or would not pay. `params` is an instance of its `params`."""


def best_cause(finding: Finding, causes: tuple[Cause, ...]) -> tuple[Cause, float] | None:
    """The most confident of the causes that the finding names, with its confidence; None where it names none."""
    named = [(score.confidence, score.cause) for score in finding.causes if score.cause in causes]
    if not named:
        return None
    confidence, cause = max(named, key=lambda pair: pair[0])
    return cause, confidence


def number(finding: Finding, name: str) -> float | None:
    """A fact as a finite number, or None where it is absent, not a number, or not finite."""
    value = finding.facts.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        return None
    return float(value)


def text(finding: Finding, name: str) -> str | None:
    """A fact as text, or None where it is absent or something else."""
    value = finding.facts.get(name)
    return value if isinstance(value, str) and value else None


def rows_in(records: RecordTable, scope: Scope) -> npt.NDArray[np.bool_]:
    """Which records lie in the scope. A dimension that is neither a column nor part of the table's scope has none."""
    keep = np.ones(records.rows, dtype=np.bool_)
    for name, value in scope.dims:
        if records.scope.get(name) != value:
            keep &= records.column(name) == value if name in records.columns else False
    return keep
