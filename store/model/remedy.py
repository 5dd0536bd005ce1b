"""Remedies: from the proposal to the books. An action is absolute: "set X to V, was W"."""

import json
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from store.model.canonical import canonical_json, digest
from store.model.incident import Cause
from store.model.usage import Scope, Window

Settings = dict[str, bool | int | str | None]
"""The value that an action sets, as flat JSON; {} means "not set"."""


class _Noun(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# --- actions ---------------------------------------------------------------------------------------------------


class _Action(_Noun):
    """`target` says whose traffic; `was` is the value that the gateway held when the plan was made."""

    target: Scope
    was: Settings = {}

    @property
    def to(self) -> Settings:
        """The value that the action sets."""
        return self.model_dump(exclude={"kind", "target", "was"})


class SetModelAlias(_Action):
    """Requests of the target for one model are answered by another; with `percent` only that share of the sessions."""

    kind: Literal["set_model_alias"] = "set_model_alias"
    from_model: str
    to_model: str
    percent: int | None = Field(default=None, ge=1, le=99)
    """A canary: so many of a hundred sessions; None is all of them."""


class SetRateLimit(_Action):
    """At most so many requests or tokens a minute; None leaves that limit as it is."""

    kind: Literal["set_rate_limit"] = "set_rate_limit"
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)


class SetSessionCap(_Action):
    """At most so many calls in one session (its own counter starts when the action takes effect for old sessions)."""

    kind: Literal["set_session_cap"] = "set_session_cap"
    max_calls: int = Field(ge=1)


class SetOutputCap(_Action):
    """At most so many output tokens per request."""

    kind: Literal["set_output_cap"] = "set_output_cap"
    max_tokens: int = Field(ge=1)


class SetContextCap(_Action):
    """Requests of the target with more input tokens than this are refused."""

    kind: Literal["set_context_cap"] = "set_context_cap"
    max_input_tokens: int = Field(ge=1)


class SetReasoningEffort(_Action):
    """Requests that ask for more reasoning than this get this much; those that ask for less, or nothing, are left."""

    kind: Literal["set_reasoning_effort"] = "set_reasoning_effort"
    effort: Literal["minimal", "low", "medium", "high"]


class SetServiceTier(_Action):
    """Requests for a dearer tier or speed (priority, fast) run at the standard one."""

    kind: Literal["set_service_tier"] = "set_service_tier"
    tier: Literal["standard"] = "standard"


class SetBudget(_Action):
    """The target may spend so much in each period; the gateway refuses what goes beyond."""

    kind: Literal["set_budget"] = "set_budget"
    max_nanos: int = Field(gt=0)
    period: Literal["day", "week", "month"]


class SetPromptCache(_Action):
    """The gateway puts a cache breakpoint behind the system prompt ("5m" or "1h"), or removes breakpoints ("off")."""

    kind: Literal["set_prompt_cache"] = "set_prompt_cache"
    ttl: Literal["5m", "1h", "off"]


class BlockKey(_Action):
    """The key named by the target's api_key_id answers nothing more."""

    kind: Literal["block_key"] = "block_key"
    blocked: Literal[True] = True


class OpenIssue(_Action):
    """An issue at a code host, for people who can mend what no gateway can."""

    kind: Literal["open_issue"] = "open_issue"
    repository: str
    title: str
    body: str


class OpenPullRequest(_Action):
    """A pull request that puts `content` into one file of a repository; it changes nothing until people merge it."""

    kind: Literal["open_pull_request"] = "open_pull_request"
    repository: str
    path: str
    content: str
    title: str
    body: str


class Notify(_Action):
    """Nothing changes at a gateway; the owner is told."""

    kind: Literal["notify"] = "notify"
    message: str


Action = Annotated[
    SetModelAlias
    | SetRateLimit
    | SetSessionCap
    | SetOutputCap
    | SetContextCap
    | SetReasoningEffort
    | SetServiceTier
    | SetBudget
    | SetPromptCache
    | BlockKey
    | OpenIssue
    | OpenPullRequest
    | Notify,
    Field(discriminator="kind"),
]
ActionKind = Literal[
    "set_model_alias",
    "set_rate_limit",
    "set_session_cap",
    "set_output_cap",
    "set_context_cap",
    "set_reasoning_effort",
    "set_service_tier",
    "set_budget",
    "set_prompt_cache",
    "block_key",
    "open_issue",
    "open_pull_request",
    "notify",
]
ACTIONS: TypeAdapter[tuple[Action, ...]] = TypeAdapter(tuple[Action, ...])


def plan_hash(actions: tuple[Action, ...]) -> str:
    """The digest that a decision binds to: what was approved is what runs, byte for byte."""
    return digest(ACTIONS.dump_python(actions, mode="json"))


def joined_versions(versions: Sequence[str | None]) -> str | None:
    """A plan's `base_version` from the versions of its effects, in order: that of the only one, or all of them."""
    return versions[0] if len(versions) == 1 else canonical_json(list(versions))


def base_versions(base_version: str | None, effects: int) -> list[str | None]:
    """The versions again, one for each effect; a plan that holds fewer has none for the rest."""
    if effects == 1 or base_version is None:
        return [base_version] * effects
    found = json.loads(base_version)
    return [*found, *[None] * effects][:effects]


# --- proposal --------------------------------------------------------------------------------------------------


class Saving(_Noun):
    """Expected saving in nano-USD a day: list value, and the part that is cash. low <= mid <= high."""

    low: int
    mid: int
    high: int
    cash_mid: int
    assumption: str


HarmMetric = Literal["error_share", "refused_share", "latency_ms", "retries_share"]


class HarmGuard(_Noun):
    """A harm metric of the target's traffic that may rise at most by `max_rise` (absolute) above what it was before."""

    metric: HarmMetric
    max_rise: float


class Check(_Noun):
    """When a remedy counts as working: the share of the excess spend that must be gone over `window_seconds`."""

    window_seconds: int = Field(gt=0)
    min_reduction: float = Field(ge=0, le=1)
    harm: tuple[HarmGuard, ...] = ()


Risk = Literal["low", "medium", "high"]


class Proposal(_Noun):
    """A remedy as it is put before the policy and people; immutable for one revision.

    `base_version` is the gateway's version of every effect's slot when the plan was made (see `base_versions`): if one
    moved, the plan is stale.
    """

    remedy_id: str
    revision: int = 1
    incident_id: str
    incident_revision: int
    scope: Scope
    playbook: str
    cause: Cause
    confidence: float
    gateway: str
    actions: tuple[Action, ...]
    base_version: str | None = None
    risk: Risk
    reversible: bool
    saving: Saving
    quality_note: str
    undo_note: str
    check: Check
    lease_seconds: int = Field(gt=0)
    """How long the change lasts before it is returned by itself."""
    made_at: AwareDatetime
    expires_at: AwareDatetime
    """When the request for approval ends."""
    made_by: str = "bursar"
    rank: float = 0.0
    """Expected net benefit in USD a day; among the proposals of one incident the greatest is put forward."""
    because: str = ""
    """Why it was put forward, or to what it lost."""

    @property
    def plan_hash(self) -> str:
        """What a decision binds to."""
        return plan_hash(self.actions)


# --- ruling and decision ---------------------------------------------------------------------------------------

Verdict = Literal["observe", "ask", "apply"]


class Ruling(_Noun):
    """What the policy says of a proposal, and which rule and limits made it so."""

    remedy_id: str
    revision: int
    verdict: Verdict
    rule: str
    lowered_by: tuple[str, ...] = ()
    policy_version: str
    ruled_at: AwareDatetime
    phase: Literal["proposal", "apply"] = "proposal"
    approvers: tuple[str, ...] = ()
    quorum: int = 1


Choice = Literal["approve", "reject"]


class Vote(_Noun):
    """One person's word on one revision."""

    remedy_id: str
    revision: int
    person: str
    choice: Choice
    at: AwareDatetime
    reason: str = ""
    via: Literal["cli", "slack", "api", "script"] = "cli"


DecisionOutcome = Literal["approved", "rejected", "approval_expired", "withdrawn", "stale"]


class Decision(_Noun):
    """The one decision on a revision, bound to the hash of its actions."""

    remedy_id: str
    revision: int
    outcome: DecisionOutcome
    decided_by: tuple[str, ...]
    """People, or ("policy:RULE",), or ("clock",)."""
    decided_at: AwareDatetime
    plan_hash: str
    reason: str = ""


# --- the remedy's walk -----------------------------------------------------------------------------------------

RemedyState = Literal[
    "observed",  # shadow: recorded, nobody is asked
    "pending",  # waits for a decision
    "approved",  # a decision to apply exists, no intent yet
    "applying",  # an intent is committed, its outcome is not
    "unknown",  # the gateway did not say; observe before anything else
    "verifying",  # applied, read back and probed; the check window runs
    "kept",  # worked; runs until its lease ends
    "reverting",  # an intent to revert is committed, its outcome is not
    "closed",
    "paging",  # a person must look: revert failed, or undecidable
]

Outcome = Literal[
    "approved",
    "rejected",
    "approval_expired",
    "withdrawn",
    "stale",
    "applied",
    "unknown",
    "failed",
    "worked",
    "no_effect",
    "harmed",
    "inconclusive",
    "returned",
    "extended",
    "made_permanent",
    "drifted",
    "revert_failed",
    "undecidable",
]


class Remedy(_Noun):
    """Where a remedy stands. `due_at` is when the reconciler must look again; None: nothing is due."""

    remedy_id: str
    revision: int
    incident_id: str
    state: RemedyState
    outcome: Outcome | None = None
    fence: int = 0
    lease_owner: str | None = None
    due_at: AwareDatetime | None = None
    applied_at: AwareDatetime | None = None
    lease_ends_at: AwareDatetime | None = None
    revert_reason: str | None = None
    attempts: int = 0
    """How often an unknown outcome was observed."""
    reverts: int = 0


class Claim(_Noun):
    """The right to move one remedy, until the lease ends or a greater fence is given out."""

    remedy_id: str
    owner: str
    fence: int


class Application(_Noun):
    """One attempt to change a gateway: an intent before the call, an outcome after it."""

    id: str
    remedy_id: str
    revision: int
    verb: Literal["apply", "revert"]
    fence: int
    plan_hash: str
    intended_at: AwareDatetime
    outcome: Literal["applied", "reverted", "refused", "conflict", "drifted", "unsure"] | None = None
    outcome_at: AwareDatetime | None = None
    detail: str = ""


VerificationOutcome = Literal["worked", "no_effect", "harmed", "inconclusive"]


class Verification(_Noun):
    """What a remedy did over a window after it took effect: actual spend against the counterfactual, and harm.

    Amounts are nano-USD over `window`; `saved_*_nanos` is counterfactual minus actual with its interval.
    """

    remedy_id: str
    revision: int
    window: Window
    outcome: VerificationOutcome
    actual_nanos: int
    counterfactual_nanos: int
    saved_low_nanos: int
    saved_mid_nanos: int
    saved_high_nanos: int
    cash_saved_mid_nanos: int
    harm: dict[HarmMetric, float] = {}
    """The rise of each guarded metric."""
    says: str
    at: AwareDatetime
