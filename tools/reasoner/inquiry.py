"""What a review asks a model, what the model may ask back, and what it answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from store.model.incident import Cause
from store.model.transcript import ReviewOutcome

OpaqueId = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z_0-9.()]+(#[0-9]+|-[0-9]+)?$")]
"""An id of ours: "app#3" for a value that came with the traffic, "ev-4" or "q-2" for evidence."""


class Arguments(BaseModel):
    """The arguments of a question; a model that invents one is told so."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Cell = float | int | bool | str | None


@dataclass(frozen=True)
class Answer:
    """What a read-only query found, and over what; a question that cannot be asked is an answer too.

    `rows` hold numbers, words of ours and opaque ids. `untrusted` are (opaque id, text that came with the traffic):
    only the extractor ever sees them, and its typed labels come in their place.
    """

    evidence_id: str
    status: Literal["ok", "empty", "error"]
    query: str
    scope: dict[str, str]
    window: dict[str, str]
    filters: dict[str, str]
    says: str
    rows: tuple[dict[str, Cell], ...] = ()
    untrusted: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Question:
    """One read-only query that a model may ask; `ask` takes an instance of `arguments` and never raises for its values.

    The description and the schema are the same for every incident: they are the part of the prompt that is cached.
    """

    name: str
    description: str
    arguments: type[Arguments]
    ask: Callable[[Any], Answer]


class RuledOut(BaseModel):
    """A cause that the evidence speaks against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cause: Cause
    evidence: list[OpaqueId] = Field(min_length=1, max_length=20)


class Diagnosis(BaseModel):
    """The model's answer. `why` is shown to people in the transcript and goes nowhere else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cause: Cause
    confidence: float = Field(ge=0, le=1, allow_inf_nan=False)
    evidence: list[OpaqueId] = Field(max_length=20)
    ruled_out: list[RuledOut] = Field(max_length=21)
    why: str = Field(max_length=2_000)


@dataclass(frozen=True)
class Inquiry:
    """One case for review. `brief`: JSON of numbers, words of ours and opaque ids. `evidence`: ids that it names."""

    incident_id: str
    revision: int
    brief: str
    evidence: frozenset[str]
    questions: Sequence[Question]
    names: Callable[[], dict[str, str]] = dict
    """What the opaque ids stand for; for people only, asked at the end."""


@dataclass(frozen=True)
class Opinion:
    """How a review ended: a checked diagnosis, or None and why. `says` is one sentence of ours."""

    diagnosis: Diagnosis | None
    outcome: ReviewOutcome
    says: str
    cost_nanos: int = 0
