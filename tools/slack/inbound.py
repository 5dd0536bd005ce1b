"""What Slack sends, checked before anything is believed: a click on one of our buttons, or nothing of ours."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store.model.canonical import digest
from tools.slack.blocks import APPROVE, REASONS, REJECT, UNDO

CLICK = "slack_click"
"""The kind of an inbox row that holds a Click."""

_TARGET = re.compile(r"(?P<remedy>[A-Za-z0-9._-]{1,100})@(?P<revision>[1-9][0-9]{0,5})(?::(?P<reason>[a-z]{1,20}))?")
_ID = r"^[A-Z][A-Z0-9]{1,20}$"
_MOMENT = r"^[0-9]{1,12}\.[0-9]{1,9}$"
_CHOICES: dict[str, Literal["approve", "reject", "undo"]] = {APPROVE: "approve", REJECT: "reject", UNDO: "undo"}


class Click(BaseModel):
    """One person's click. `team_id` is the person's own workspace; `enterprise_id` the organisation above it, or ""."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team_id: str = Field(pattern=_ID)
    enterprise_id: str = Field(default="", pattern=r"^$|" + _ID)
    user_id: str = Field(pattern=_ID)
    channel_id: str = Field(pattern=_ID)
    message_ts: str = Field(pattern=_MOMENT)
    action_ts: str = Field(pattern=_MOMENT)
    choice: Literal["approve", "reject", "undo"]
    remedy_id: str
    revision: int
    reason: str = ""
    """A code of REASONS, or ""."""

    @property
    def dedupe_key(self) -> str:
        """Equal for every delivery of one click, whatever envelope brings it."""
        return f"{CLICK}:{digest(self.model_dump(mode='json'))}"

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names under which the operator may have listed the person, the workspace's first."""
        teams = (self.team_id, self.enterprise_id) if self.enterprise_id else (self.team_id,)
        return tuple(f"{team}/{self.user_id}" for team in teams)


def click_of(kind: str, payload: object) -> Click | None:
    """The click that an envelope of Socket Mode carries; None where it is no click on a button of ours.

    Total: whatever comes, it neither raises nor believes more than the fields that it names.
    """
    if kind != "interactive" or not isinstance(payload, dict) or payload.get("type") != "block_actions":
        return None
    actions = payload.get("actions")
    if not isinstance(actions, list) or len(actions) != 1 or not isinstance(actions[0], dict):
        return None
    action = actions[0]
    choice = _CHOICES.get(str(action.get("action_id")))
    target = _TARGET.fullmatch(_value(action))
    if choice is None or target is None or (target["reason"] or "expected") not in REASONS:
        return None
    user, container = _part(payload, "user"), _part(payload, "container")
    try:
        return Click.model_validate(
            {
                "team_id": user.get("team_id") or _part(payload, "team").get("id"),
                "enterprise_id": _part(payload, "enterprise").get("id") or "",
                "user_id": user.get("id"),
                "channel_id": container.get("channel_id") or _part(payload, "channel").get("id"),
                "message_ts": container.get("message_ts") or _part(payload, "message").get("ts"),
                "action_ts": action.get("action_ts"),
                "choice": choice,
                "remedy_id": target["remedy"],
                "revision": int(target["revision"]),
                "reason": target["reason"] or "",
            }
        )
    except ValidationError:
        return None


def _value(action: dict[str, Any]) -> str:
    value = action.get("value") or _part(action, "selected_option").get("value")
    return value if isinstance(value, str) else ""


def _part(holder: dict[str, Any], name: str) -> dict[str, Any]:
    part = holder.get(name)
    return part if isinstance(part, dict) else {}
