"""Transcripts: what was sent to a model about an incident and what it answered, redacted, with cost and caps."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

ReviewOutcome = Literal[
    "answered",
    "refused",
    "empty",
    "cut",
    "malformed",
    "endless",
    "rejected",
    "unavailable",
    "misconfigured",
    "late",
    "incident_usd",
    "incident_tokens",
    "day_usd",
    "paused",
]
"""How a review by a model ended. Only `answered` changes a finding; the last four met a limit of ours."""

Purpose = Literal["plan", "extract"]


class _Noun(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Noun):
    """One thing that was sent or that came back, as redacted text; an answer carries its model, tokens and cost."""

    kind: Literal["sent", "answer", "failed"]
    purpose: Purpose
    text: str
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0


class Transcript(_Noun):
    """One review of one incident revision by a model. `says`: what came of it, in one sentence."""

    incident_id: str
    revision: int
    made_at: AwareDatetime
    outcome: ReviewOutcome
    says: str
    cost_nanos: int
    calls: int
    caps: dict[str, float | int]
    entries: tuple[Entry, ...] = ()
    names: dict[str, str] = {}
    """What the opaque ids of this review stand for, redacted; no model was sent it."""
