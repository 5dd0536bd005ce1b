"""What the Messages API answers, as values of ours: a reply with its tokens, or why there is none."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store.model.transcript import ReviewOutcome
from store.model.usage import UsageRecord

Count = Annotated[int, Field(ge=0, le=10**9)]


class _Loose(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Written(_Loose):
    ephemeral_1h_input_tokens: Count | None = None


class _Detail(_Loose):
    thinking_tokens: Count | None = None


class _Usage(_Loose):
    input_tokens: Count
    output_tokens: Count
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation: _Written | None = None
    output_tokens_details: _Detail | None = None


class _Body(_Loose):
    id: str = Field(min_length=1, max_length=200)
    type: str = Field(pattern="^message$")
    role: str = Field(pattern="^assistant$")
    model: str = Field(max_length=200)
    content: list[dict[str, object]] = Field(max_length=1_000)
    stop_reason: str | None = None
    usage: _Usage


class Tokens(NamedTuple):
    """Disjoint classes; `reasoning` is a part of `output`."""

    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    reasoning: int

    @property
    def input(self) -> int:
        """All that went in."""
        return self.input_uncached + self.cache_read + self.cache_write_5m + self.cache_write_1h


@dataclass(frozen=True)
class Reply:
    """An answer of the API; `content` as it came, so that it can be sent back unchanged."""

    id: str
    model: str
    stop_reason: str | None
    content: list[dict[str, object]]
    tokens: Tokens


@dataclass(frozen=True)
class Failed:
    """No answer. `again`: another try may help; `free`: it cost nothing for sure."""

    outcome: ReviewOutcome
    says: str
    again: bool = False
    free: bool = False
    retry_after: float | None = None


def parse_reply(body: bytes) -> Reply | None:
    """The reply that a response body holds, or None where it is no message."""
    try:
        found = _Body.model_validate_json(body)
    except ValidationError:
        return None
    usage = found.usage
    written = usage.cache_creation_input_tokens or 0
    hour = min(written, (usage.cache_creation.ephemeral_1h_input_tokens or 0) if usage.cache_creation else 0)
    thought = (usage.output_tokens_details.thinking_tokens or 0) if usage.output_tokens_details else 0
    tokens = Tokens(
        input_uncached=usage.input_tokens,
        cache_read=usage.cache_read_input_tokens or 0,
        cache_write_5m=written - hour,
        cache_write_1h=hour,
        output=usage.output_tokens,
        reasoning=min(thought, usage.output_tokens),
    )
    return Reply(found.id, found.model, found.stop_reason, found.content, tokens)


def usage_record(reply: Reply, *, requested: str, route: str, session: str, now_us: int) -> UsageRecord:
    """A reply as a record of Bursar's own series; its id is the provider's, so that a gateway's record is the same."""
    return UsageRecord(
        record_id=reply.id,
        source="bursar",
        observed_us=now_us,
        occurred_us=now_us,
        provider="anthropic",
        model=reply.model,
        requested_model=requested,
        app="bursar",
        route=route,
        session_id=session,
        finish_reason=reply.stop_reason or "(none)",
        **reply.tokens._asdict(),
    )
