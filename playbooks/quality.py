"""How good models are at which kind of work, with dates: what a cheaper model would lose.

Scores are percent of tasks solved; they compare models within one family of tasks and one source only. The operator
adds rows of his own evaluations in `playbooks.model_downgrade.quality` of the configuration.
"""

import csv
import re
from collections.abc import Iterable
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")


class Quality(BaseModel):
    """One model's score at one kind of work ("coding", "support", ...), from a date on; the model without its date."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1, max_length=200)
    task: str = Field(min_length=1, max_length=100)
    score: float = Field(ge=0, le=100)
    """Percent of tasks solved."""
    effective_from: date
    source: str = Field(min_length=1, max_length=200)
    """Who measured it; only scores of one source are compared."""


@cache
def shipped_quality() -> tuple[Quality, ...]:
    """The table that Bursar ships; each row names its source."""
    text = (files("playbooks") / "quality.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(Quality.model_validate(row) for row in csv.DictReader(lines))


class Loss(NamedTuple):
    """What a model loses against another at one kind of work: its part of the other's score that is missing."""

    task: str
    share: float
    before: Quality
    after: Quality

    @property
    def text(self) -> str:
        """As people read it."""
        return (
            f"{self.task}: {self.after.score:g} % of tasks solved instead of {self.before.score:g} % "
            f"({self.after.source})"
        )


def loss(
    model: str, other: str, *, now: datetime, task: str | None = None, more: Iterable[Quality] = ()
) -> Loss | None:
    """What `other` loses against `model`; None where no source has scored both.

    Of several kinds of work the worst loss counts, unless one is named. Only rows in force `now` count, of one source
    the newest. `more`: the operator's rows beside those that are shipped.
    """
    rows = (*shipped_quality(), *more)
    losses = []
    for kind in sorted({row.task for row in rows} if task is None else {task}):
        for source in sorted({row.source for row in rows}):
            before, after = (_score(rows, name, kind, source, now.date()) for name in (model, other))
            if before is not None and after is not None and before.score > 0:
                losses.append(Loss(kind, max(0.0, 1 - after.score / before.score), before, after))
    return max(losses, key=lambda one: one.share, default=None)


def _score(rows: tuple[Quality, ...], model: str, task: str, source: str, today: date) -> Quality | None:
    name = _DATED.sub("", model)
    found = [
        row for row in rows if (row.model, row.task, row.source) == (name, task, source) and row.effective_from <= today
    ]
    return max(found, key=lambda row: row.effective_from, default=None)
