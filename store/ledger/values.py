"""What the ledger answers with, beside the nouns of store.model."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from store.model.remedy import Decision

Payload = dict[str, Any]
"""A JSON object."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cast(_Value):
    """What became of a person's word; expected outcomes are values.

    `says` is a plain sentence for the person who spoke; `decision` is the one that stands, if there is one.
    """

    status: Literal["decided", "counted", "already_decided", "not_allowed", "expired", "stale_revision", "unknown"]
    decision: Decision | None = None
    says: str


class OutboxRow(_Value):
    """One message that people must get; `attempts` counts the failed sends."""

    id: int
    kind: str
    key: str
    payload: Payload
    attempts: int
    created_at: AwareDatetime


class AuditRow(_Value):
    """One link of the audit chain; `hash` covers every other field, the payload through `payload_hash`."""

    seq: int
    at: AwareDatetime
    actor: str
    action: str
    subject: str
    payload: Payload
    payload_hash: str
    prev_hash: str
    hash: str


class AuditReport(_Value):
    """Whether the chain holds; `head` is the hash of the last good row, `problem` the first fault in words."""

    ok: bool
    rows: int
    head: str
    problem: str | None = None


class Anchor(_Value):
    """A chain head that was noted in a second place, so that truncation and a full re-stamp can be found."""

    seq: int
    head: str
    count: int
    at: AwareDatetime
