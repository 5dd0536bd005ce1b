"""The operator's policy as one tree: rules, limits, owners, quorum. Pure; `agent.policy` rules by it."""

from datetime import datetime, time
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from store.model.canonical import digest
from store.model.incident import Cause
from store.model.remedy import Risk, Verdict
from store.model.usage import Scope

Mode = Literal["shadow", "ask", "auto"]


class Part(BaseModel):
    """A part of the tree: frozen, and a word that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class When(Part):
    """The conditions of a rule; one that is not given holds for every proposal."""

    causes: tuple[Cause, ...] | None = None
    playbooks: tuple[str, ...] | None = None
    risk: tuple[Risk, ...] | None = None
    environments: tuple[str, ...] | None = None
    """All traffic of the target must be in these; traffic without an environment is in none."""
    teams: tuple[str, ...] | None = None
    """All traffic of the target must be of these."""
    max_saving_usd_per_day: Decimal | None = None
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    reversible: bool | None = None


class Rule(Part):
    """One rule; the first that matches gives the verdict."""

    name: str = Field(min_length=1, pattern=r"^[a-z0-9_-]+$")
    when: When = When()
    verdict: Verdict


class QuietHours(Part):
    """Local hours in which nothing is applied without a person; they may run over midnight."""

    start: time
    end: time
    time_zone: str = "UTC"

    @field_validator("start", "end", mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        """YAML reads an unquoted 22:00 as the number 1320, to the base 60: minutes since midnight."""
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
            return time(value // 60, value % 60)
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"unknown time zone {name!r}; use a name such as Europe/Berlin") from error
        return name

    def hold(self, now: datetime) -> bool:
        """Whether the moment lies in them."""
        local = now.astimezone(ZoneInfo(self.time_zone)).time()
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


class Freeze(Part):
    """A span [start, end) in which nothing is applied without a person."""

    name: str
    start: AwareDatetime
    end: AwareDatetime


class Limits(Part):
    """Bounds on what is applied without a person. They can only lower a verdict."""

    effects_per_hour: int = Field(default=3, ge=0)
    effects_per_day: int = Field(default=10, ge=0)
    effects_per_scope_per_day: int = Field(default=2, ge=0)
    scopes_per_day: int = Field(default=5, ge=0)
    """Blast radius: in how many different scopes."""
    spend_usd_per_day: Decimal = Field(default=Decimal(5000), ge=0)
    """Blast radius: the target's own spend."""
    min_confidence: float = Field(default=0.7, ge=0, le=1)
    min_attested_share: float = Field(default=0.5, gt=0, le=1)
    """Of the target's records: what clients merely claim never justifies an effect."""
    only_reversible: bool = True
    quiet_hours: QuietHours | None = None
    freeze: tuple[Freeze, ...] = ()


class Owner(Part):
    """Who answers for a part of the traffic: {dimension: glob}; the first entry that matches counts."""

    scope: dict[str, str] = Field(min_length=1)
    people: tuple[str, ...] = ()
    channel: str | None = None
    approvers: tuple[str, ...] | None = None
    """None: the global list. Empty: nobody."""


class Quorum(Part):
    """How many different people must approve. A high-risk remedy is a brake: it should not wait for two by default."""

    low: int = Field(default=1, ge=1)
    medium: int = Field(default=1, ge=1)
    high: int = Field(default=1, ge=1)

    def of(self, risk: Risk) -> int:
        """The number for one risk."""
        return {"low": self.low, "medium": self.medium, "high": self.high}[risk]


SHIPPED_RULES: tuple[Rule, ...] = (
    Rule(
        name="small-limits-outside-production",
        when=When(
            playbooks=("session_cap", "rate_limit"),
            risk=("low",),
            environments=("staging", "dev", "development", "test", "sandbox"),
            min_confidence=0.8,
            reversible=True,
        ),
        verdict="apply",
    ),
)


class Policy(Part):
    """The operator's policy. As shipped it only watches; in auto mode it limits non-production traffic by itself."""

    mode: Mode = "shadow"
    rules: tuple[Rule, ...] = SHIPPED_RULES
    limits: Limits = Limits()
    never_touch: tuple[Scope, ...] = ()
    """Keys and routes that no remedy may act upon; Bursar's own are added by the application."""
    approvers: tuple[str, ...] = ()
    """Who may approve where no owner's list says otherwise; empty: nobody."""
    owners: tuple[Owner, ...] = ()
    owners_may_tighten: bool = True
    """Whether an owner's people may approve a tighter limit on their own scope."""
    quorum: Quorum = Quorum()

    @model_validator(mode="after")
    def _distinct(self) -> "Policy":
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError(f"two rules have one name: {names}")
        return self

    @property
    def version(self) -> str:
        """The digest of the whole policy; every ruling carries it."""
        return digest(self.model_dump(mode="json"))
