"""What the simulated gateway holds: absolute rules by slot, the log of every change, and the keys it has answered."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from store.model.remedy import Action, ActionKind, SetModelAlias, Settings
from store.model.usage import Scope

Verb = Literal["observe", "apply", "probe", "revert"]

Change = Literal["apply", "revert"]

Fault = Literal[
    "ok",
    "lost_request",  # the request never arrives; the caller gets no answer
    "lost_answer",  # the change is made; the caller gets no answer
    "error_after_apply",  # the change is made; the answer is a 500
    "garbage",  # the change is made; the answer cannot be read
    "late",  # no answer in time; the request arrives `late_seconds` after it was sent
    "refused",  # no permission; nothing changes
    "no_effect",  # the answer is 200; nothing was stored
    "not_enforced",  # the answer is 200 and the value is stored; traffic never meets it
    "silent_reset",  # the change is made and dropped again at once, without a word
]
"""What goes wrong with one call. For observe and probe everything but "ok" is an answer that cannot be trusted."""

NO_ANSWER: dict[Fault, str] = {
    "lost_request": "timed out after 10 s",
    "lost_answer": "timed out after 10 s",
    "late": "timed out after 10 s",
    "error_after_apply": "500 Internal Server Error",
    "garbage": "200 with a body that is not JSON",
}

Slot = tuple[ActionKind, Scope, str]
"""The unit of state: action kind, target, and `from_model` for an alias ("" otherwise)."""


def slot_of(action: Action) -> Slot:
    """The slot that an action sets."""
    return action.kind, action.target, action.from_model if isinstance(action, SetModelAlias) else ""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Value):
    """What one slot holds. `value` {}: nothing. `beneath` is what comes back when the rule expires."""

    value: Settings
    marker: str | None
    version: int
    set_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    beneath: Settings = {}
    enforced: bool = True


class Mutation(_Value):
    """One change of the state: the truth about effects. `who` is a remedy's marker, a person, or "gateway"."""

    at: AwareDatetime
    who: str
    what: Literal["apply", "revert", "edit", "expire", "reset"]
    slot: Slot
    value: Settings


class Sent(_Value):
    """A change on its way to the gateway."""

    verb: Change
    slot: Slot
    to: Settings
    was: Settings
    marker: str
    key: str
    expected_version: str | None
    expires_at: AwareDatetime | None = None
    arrives_at: AwareDatetime


class GatewayState(BaseModel):
    """All that survives a restart of the gateway."""

    model_config = ConfigDict(extra="forbid")

    rules: list[tuple[Slot, Rule]] = []
    log: list[Mutation] = []
    answered: dict[str, int] = {}
    """Idempotency key -> the version that its change made."""
    in_flight: list[Sent] = []
