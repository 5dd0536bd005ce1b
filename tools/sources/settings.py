"""What the operator says of sources that are not files: APIs that are pulled, and the OTLP receiver."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from store.model.usage import BillingMode, Role


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PullSettings(_Part):
    """An API that `bursar serve` asks for usage, again and again."""

    base_url: str | None = None
    """None: the provider's own; LiteLLM has none."""
    key: SecretStr
    """An Admin key, a LiteLLM key that may read spend, or Langfuse's secret key; use ${NAME}."""
    public_key: str | None = None
    """Langfuse's."""
    every_minutes: int = Field(default=15, ge=1)
    lookback_hours: int | None = Field(default=None, ge=1, le=24 * 31)
    """What was pulled before is pulled again so far back: reports grow and are corrected afterwards, calls are logged
    late. None: 48 for buckets and days, 2 for single calls."""
    history_days: int = Field(default=7, ge=1, le=366)
    """How far back the first pull goes."""
    bucket: Literal["1m", "1h", "1d"] = "1h"
    """The width of Anthropic's and OpenAI's buckets. Another width or another `format` needs another `name`."""
    grain: Literal["calls", "days"] = "calls"
    """LiteLLM: single calls, or daily sums (as a reference to compare with)."""

    def check(self, name: str, kind: str) -> None:
        """Whether a source of that name and format can be pulled with these.

        Raises:
            ValueError: the format cannot be pulled, or something is missing.
        """
        if kind not in ("litellm", "anthropic", "openai", "langfuse"):
            raise ValueError(f"source {name}: {kind} is not pulled; litellm, anthropic, openai and langfuse are")
        if kind == "litellm" and self.base_url is None:
            raise ValueError(f"source {name}: give the proxy's `base_url`, such as https://litellm.internal:4000")
        if kind == "langfuse" and self.public_key is None:
            raise ValueError(f"source {name}: give the project's `public_key` beside its secret key")


class OtlpSettings(_Part):
    """OpenTelemetry exporters that send to POST /v1/traces and /v1/logs; this token opens nothing else."""

    token: SecretStr = Field(min_length=16)
    """What exporters show: OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN."""
    source: str = "otel"
    """Stands in every record."""
    role: Role = "metered"
    """`reference` where the same calls also come from a gateway."""
    billing_mode: BillingMode = "metered"
    """How coding agents are paid: `included` where people have seats. Spans are always metered."""
