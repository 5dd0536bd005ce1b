"""The operator's `reasoner:` part."""

from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

PersonalData = Literal["email", "phone", "card"]
Usd = Annotated[Decimal, Field(gt=0, le=10_000, allow_inf_nan=False)]


class ReasonerSettings(BaseModel):
    """The model that looks at findings again. Absent: the analyst alone, no call to a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: SecretStr = Field(min_length=8)
    """Written as ${ANTHROPIC_API_KEY}; with a gateway, its key."""
    base_url: str = "https://api.anthropic.com"
    """A gateway that speaks the Messages API may stand here."""
    model: str = "claude-opus-5-5"
    """Weighs the causes; sees numbers, enums and opaque ids only."""
    extractor_model: str = "claude-haiku-5-5"
    """Reads names that came with the traffic, and answers in a closed form."""
    effort: Literal["low", "medium", "high"] | None = None
    """None: the model's own default."""
    usd_per_incident: Usd = Decimal("1.00")
    usd_per_day: Usd = Decimal(20)
    tokens_per_incident: int = Field(default=400_000, ge=1_000)
    """Input and output together; a call is set aside at its most before it is made."""
    steps: int = Field(default=12, ge=1, le=40)
    """Calls to the model in one review."""
    questions: int = Field(default=24, ge=0, le=60)
    """Read-only queries in one review."""
    answer_tokens: int = Field(default=8_192, ge=512, le=16_000)
    """max_tokens of one answer; what the model thinks is part of it."""
    seconds: int = Field(default=300, ge=5, le=500)
    """For a whole review, retries included."""
    call_seconds: int = Field(default=120, ge=1, le=300)
    attempts: int = Field(default=3, ge=1, le=6)
    """At one call: 408, 409, 429, 5xx and broken connections are tried again, nothing else."""
    min_excess_usd: Decimal = Field(default=Decimal(0), ge=0, allow_inf_nan=False)
    """Smaller incidents are left to the analyst."""
    redact: frozenset[PersonalData] = frozenset({"email", "phone", "card"})
    """Personal data that never leave, beside secrets and keys of known formats, which never do."""
    record_usage: bool = True
    """Whether calls become usage records (app "bursar"). Say false where a metered source reports them under other ids
    than the provider's."""

    @field_validator("base_url")
    @classmethod
    def _private(cls, url: str) -> str:
        """A key never leaves in the clear, except to this machine itself."""
        parts = urlsplit(url)
        loopback = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}
        if not (loopback or (parts.scheme == "https" and parts.hostname)) or parts.username or parts.query:
            raise ValueError("write https://HOST[/PATH] without user or query; http only to this machine")
        return url.rstrip("/")
