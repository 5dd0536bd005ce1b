"""What the operator says about the guard."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from tools.http import checked_url


class GuardSettings(BaseModel):
    """The part `guard:` of the configuration: the plugin that runs inside the LiteLLM proxies, and how to reach one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr = Field(min_length=16)
    """What the proxies show us; use ${BURSAR_GUARD_TOKEN}."""
    private_key: Path | None = None
    """The Ed25519 key that signs the rules; None: guard.key in the data directory. Replicas share one."""
    poll_seconds: int = Field(default=10, ge=1, le=300)
    """How often the proxies ask for rules; the same number as at the guard."""
    proxy_url: str | None = None
    """Where a probe is sent: the address that the apps use. None: no probe, and so no remedy without a person."""
    probe_key: SecretStr | None = None
    """A key of the proxy that may send requests; it costs nothing, a probe never reaches a model."""
    probe_route: str = Field(default="/v1/chat/completions", pattern=r"^/")
    probe_model: str | None = None
    """A model that the probe key may name; None: the model that the remedy is about."""

    @field_validator("proxy_url")
    @classmethod
    def _url(cls, text: str | None) -> str | None:
        return None if text is None else checked_url(text)
