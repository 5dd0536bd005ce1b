"""Changes near the onset: releases and models that had not been seen in the days before, with time order respected."""

from typing import NamedTuple

import numpy as np

from agent.analyst.columns import share
from agent.analyst.notebook import Datum, Note
from store.model.usage import NONE, Cube, Window, from_us, iso

KINDS = ("release", "requested_model", "model")
BEFORE_SECONDS = 2 * 3600
"""A change works at once, or when a deploy has reached all replicas."""
AFTER_SECONDS = 3600
"""The onset is known to a bucket of the detector, which is an hour at most."""
LEAST_SHARE = 0.1


class Change(NamedTuple):
    """A value that was not there before: its share of the window's requests, and when it was first seen."""

    kind: str
    value: str
    share: float
    first_s: int


def look_at_changes(seen: Cube, window: Window) -> Note | None:
    """The change near the onset that reaches most requests; None where there was none, or nothing to compare with.

    `seen` reaches back before the window. What first came later than an hour after the onset is no cause of it.
    """
    onset = window.start_us // 10**6
    inside = seen.bucket >= onset
    if not inside.any() or not (seen.bucket < onset - BEFORE_SECONDS).any():
        return None
    found = [change for kind in KINDS for change in _new(seen, kind, onset, inside)]
    if not found:
        return None
    # The kinds stand in the order in which a change in one brings about the next.
    change = max(found, key=lambda one: (one.share, -KINDS.index(one.kind), -one.first_s))
    data: dict[str, Datum] = {
        "change_share": change.share,
        "change_kind": change.kind,
        "change_minutes_after_onset": (change.first_s - onset) / 60,
        "changes_near_onset": len(found),
    }
    when = iso(from_us(change.first_s * 10**6))
    what = change.kind.replace("_", " ")
    says = (
        f"{what} {change.value} was first seen at {when}; it makes {change.share:.0%} of the requests since the onset."
    )
    return Note("changes", says, data)


def _new(seen: Cube, kind: str, onset: int, inside: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[Change]:
    codes, requests = seen.codes[kind], seen.measures["requests"]
    total = requests[inside].sum()
    found = []
    for code in np.unique(codes[inside]):
        value = seen.values[kind][int(code)]
        mine = codes == code
        first = int(seen.bucket[mine].min())
        part = share(requests[mine & inside].sum(), total)
        if value != NONE and onset - BEFORE_SECONDS <= first <= onset + AFTER_SECONDS and part >= LEAST_SHARE:
            found.append(Change(kind, value, part, first))
    return found
