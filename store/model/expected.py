"""Spend that people expect: events of a calendar, and explanations that a person gave for an incident."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from store.model.usage import TOTAL, Scope, Window

ExpectedKind = Literal["planned", "explained"]


class Expected(BaseModel):
    """One entry: incidents inside its scope and window are shown, and not acted upon. It expires with its window.

    `incident_id` is the incident that an explanation was given for; None for an event of the calendar.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    kind: ExpectedKind
    scope: Scope = TOTAL
    window: Window
    owner: str
    because: str = ""
    incident_id: str | None = None
    made_at: AwareDatetime

    def state(self, now: datetime) -> Literal["ahead", "running", "expired"]:
        """Where it stands at that time."""
        if now < self.window.start:
            return "ahead"
        return "running" if now < self.window.end else "expired"
