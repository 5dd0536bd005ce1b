"""The operator's `slack:` part."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

ChannelId = Annotated[str, Field(pattern=r"^[CG][A-Z0-9]{2,20}$")]
AccountName = Annotated[str, Field(pattern=r"^[TE][A-Z0-9]{2,20}/[UW][A-Z0-9]{2,20}$")]
"""TEAM/USER, as Slack numbers them; with Enterprise Grid the organisation's E... may stand for the team."""


class SlackSettings(BaseModel):
    """Where people decide. Absent: no Slack, decisions by the command line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bot_token: SecretStr
    """xoxb-..., written as ${NAME}."""
    app_token: SecretStr
    """xapp-..., for Socket Mode; written as ${NAME}."""
    channel: ChannelId
    """Where threads are opened when the owner of the scope has no channel; also the weekly summary."""
    channels: dict[str, ChannelId] = {}
    """The ids of channels that `policy.owners` names: {"#search": "C0123"}."""
    people: dict[AccountName, str] = {}
    """Whose account is whose name in the policy: {"T0123/U0456": "ann"}. Whoever is not listed decides nothing."""
    base_url: str = "https://slack.com/api/"

    @field_validator("base_url")
    @classmethod
    def _private(cls, url: str) -> str:
        """A token never leaves in the clear, except to this machine itself."""
        parts = urlsplit(url)
        loopback = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}
        if not (loopback or (parts.scheme == "https" and parts.hostname)) or not url.endswith("/"):
            raise ValueError("write https://HOST/api/ with the slash at its end; http only to this machine")
        return url
