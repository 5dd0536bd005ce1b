"""What the guard's rule book holds, answers with, and hears from the proxies."""

from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from store.model.canonical import digest
from store.model.remedy import Action, ActionKind, SetModelAlias, Settings
from store.model.usage import Scope

_MOST = 2**53
_Name = Field(min_length=1, max_length=200)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Slot(NamedTuple):
    """The unit of state; `from_model` is "" but for an alias."""

    kind: ActionKind
    target: Scope
    from_model: str = ""

    @property
    def key(self) -> str:
        """The digest that the row is kept under."""
        return digest([self.kind, self.target.as_dict(), self.from_model])


def slot_of(action: Action) -> Slot:
    """The slot that an action sets."""
    return Slot(action.kind, action.target, action.from_model if isinstance(action, SetModelAlias) else "")


class Held(_Value):
    """What a slot holds. `value` {}: nothing. `marker` None: set by a person; `expires_at` None: no end of its own."""

    value: Settings = {}
    marker: str | None = None
    revision: int = 0
    expires_at: AwareDatetime | None = None
    reason: str = ""
    owner: str = ""


class Changed(_Value):
    """What a change of the book came to."""

    status: Literal["done", "conflict"]
    version: str | None
    detail: str = ""


class Issue(_Value):
    """The rules of one issue; equal for everybody who asks until the next one."""

    sequence: int
    issued_at: AwareDatetime
    rules: tuple[tuple[ActionKind, Scope, Held], ...]


class RefusedRule(BaseModel):
    """A rule that a proxy will not follow, and why."""

    model_config = ConfigDict(frozen=True)

    remedy_id: str = Field(max_length=200)
    why: str = Field(max_length=2_000)


class ProxyReport(BaseModel):
    """What one proxy says of itself; keys that a newer guard adds are passed over."""

    model_config = ConfigDict(frozen=True)

    proxy_id: str = _Name
    etag: str | None = Field(default=None, max_length=200)
    sequence: int | None = Field(default=None, ge=0, le=_MOST)
    version: str = Field(default="", max_length=200)
    litellm: str = Field(default="", max_length=200)
    started_at: AwareDatetime | None = None
    now: AwareDatetime | None = None
    off: bool = False
    part: tuple[int, int] = (0, 1)
    """Which of how many equal parts of each rate limit it grants."""
    refused_rules: tuple[RefusedRule, ...] = Field(default=(), max_length=1_000)
    counters: dict[str, int] = Field(default={}, max_length=100)


class Place(_Value):
    """Which of the live proxies one is, counted from 0 in the order of their names; rate limits are divided by `of`."""

    place: int
    of: int


class SeenProxy(_Value):
    """The newest report of a proxy, and when it came."""

    report: ProxyReport
    seen_at: AwareDatetime
