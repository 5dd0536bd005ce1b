"""From which record on an incident's requests are dearer than they would have been."""

import numpy as np

from playbooks.replay.outcome import Nanos, Replayed, numbers
from store.model.usage import RecordTable, Window, from_us


def began(gain: Nanos, like: Nanos | None = None) -> int:
    """The row from which on something is gained: where nothing before and `like` times a factor after fit best.

    By least squares; `like` is what a gain goes with, default: one for each row. 0 where nothing is gained at all.
    """
    size = np.ones(len(gain)) if like is None or not like.any() else like.astype(np.float64)
    squares = np.maximum((size**2)[::-1].cumsum()[::-1], 1.0)
    after = (gain * size)[::-1].cumsum()[::-1].clip(0)
    return int(np.argmax(after**2 / squares)) if len(gain) else 0


def from_row(replayed: Replayed, first: int) -> Replayed:
    """The same where the records before that row are left as they were."""
    kept = np.arange(len(replayed.before)) < first
    cautious = None if replayed.cautious is None else np.where(kept, replayed.before, replayed.cautious)
    return replayed._replace(after=np.where(kept, replayed.before, replayed.after), cautious=cautious)


def since_dearer(
    records: RecordTable, replayed: Replayed, window: Window, *, always: bool, like: Nanos | None = None
) -> Window:
    """The window from about the first record that tells of the fault: a usual pause before it.

    Refusals by themselves tell of no start: a limit, a cap or a budget lets the first of it pass. Of a caller that was
    not `always` there, each record tells. `like`: see began.
    """
    at_us = numbers(records, "occurred_us")
    if not replayed.refused.any():
        gain = replayed.before - replayed.after
        telling = at_us[began(gain, like) :][gain[began(gain, like) :] > 0]
    elif not always:
        telling = at_us
    else:
        return window
    if len(telling) == 0:
        return window
    end_us, first_us = window.end_us, int(telling[0])
    pause_us = (end_us - first_us) // len(telling)
    start_us = min(max(window.start_us, first_us - pause_us), end_us - 10**6)
    return Window(start=from_us(start_us), end=window.end)
