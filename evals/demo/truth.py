"""Which seeded incident an incident that Bursar opened really is."""

from collections.abc import Sequence
from datetime import timedelta

from evals.world.world import TrueIncident
from store.model.usage import Scope, Window

TAIL = timedelta(hours=6)
"""An incident may be held open so long after its cause has ended."""


def true_incident(scope: Scope, window: Window, truth: Sequence[TrueIncident]) -> TrueIncident | None:
    """The seeded incident that shares most dimensions and then most time with it; None: a false alarm.

    At least one dimension must be shared and none may differ, and the times must overlap.
    """
    rated = [(_shared(scope, one), _overlap_seconds(window, one), one) for one in truth if scope.overlaps(one.scope)]
    fitting = [rating for rating in rated if rating[0] > 0 and rating[1] > 0]
    return max(fitting, key=lambda rating: rating[:2])[2] if fitting else None


def _shared(scope: Scope, one: TrueIncident) -> int:
    return len(set(scope.dims) & set(one.scope.dims))


def _overlap_seconds(window: Window, one: TrueIncident) -> float:
    return (min(window.end, one.end + TAIL) - max(window.start, one.start)).total_seconds()
