"""Which incidents and remedies a FOCUS row has to do with."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from store.model.usage import Scope, Window
from tools.focus.groups import DIMENSIONS


class Mark(NamedTuple):
    """An incident, or a remedy that was in force, in [start, end) of a scope; `end` None: it still is."""

    id: str
    scope: Scope
    start: datetime
    end: datetime | None

    def touches(self, day: Window, dims: dict[str, str]) -> bool:
        """Whether usage of that day and combination of DIMENSIONS may lie in it; what is finer is not told apart."""
        if self.start >= day.end or (self.end is not None and self.end <= day.start):
            return False
        return all(dims[name] == value for name, value in self.scope.dims if name in DIMENSIONS)


def marked(marks: Sequence[Mark], day: Window, dims: dict[str, str]) -> str | None:
    """The ids of all marks that the row has to do with, sorted and joined by commas; None where there is none."""
    return ",".join(sorted({mark.id for mark in marks if mark.touches(day, dims)})) or None
