"""What the operator says about the guard."""

from pathlib import Path
from typing import Literal

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


class _Api(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("url", check_fields=False)
    @classmethod
    def _url(cls, text: str) -> str:
        return checked_url(text)


class LiteLLMAdminSettings(_Api):
    """The part `litellm_admin:`: keys and teams of a LiteLLM proxy that has a database."""

    url: str
    admin_key: SecretStr
    """A key of the role proxy_admin, or the master key; use ${BURSAR_LITELLM_ADMIN_KEY}."""
    propagation_seconds: int = Field(default=60, ge=0, le=3600)
    """How long a proxy may go on with what it remembers of a key: user_api_key_cache_ttl of its configuration."""


class AnthropicAdminSettings(_Api):
    """The part `anthropic_admin:`: workspace rate limits and API keys of an Anthropic organisation."""

    url: str = "https://api.anthropic.com"
    admin_key: SecretStr
    """An Admin key (sk-ant-admin...); use ${BURSAR_ANTHROPIC_ADMIN_KEY}."""
    propagation_seconds: int = Field(default=3600, ge=0, le=6 * 3600)
    """Anthropic says of its limits: effective within about an hour."""


class OpenAIAdminSettings(_Api):
    """The part `openai_admin:`: project rate limits and spend limits of an OpenAI organisation."""

    url: str = "https://api.openai.com/v1"
    admin_key: SecretStr
    """An Admin key (sk-admin-...); use ${BURSAR_OPENAI_ADMIN_KEY}."""
    propagation_seconds: int = Field(default=3600, ge=0, le=6 * 3600)
    """OpenAI does not say; an hour is on the safe side."""


class PullRequestSettings(_Api):
    """The part `pull_request:`: branches, pull requests and issues in the repositories that are listed."""

    host: Literal["github", "gitlab"] = "github"
    url: str = "https://api.github.com"
    """The API's address; a GitLab's ends with /api/v4."""
    token: SecretStr
    """A token that may write contents, pull requests and issues of these repositories only; use ${BURSAR_GIT_TOKEN}."""
    repositories: tuple[str, ...] = Field(min_length=1)
    """ "owner/name"; nothing else is ever looked at or touched."""
    paths: tuple[str, ...] = ()
    """Globs of the files that a pull request may change, such as "prompts/*.md"; none: issues only."""
    patience_days: int = Field(default=14, ge=1, le=90)
    """People have so long to take one up before it is closed; after a merge it is measured for as long."""
