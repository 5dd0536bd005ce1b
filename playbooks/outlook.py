"""What the week before tells of the next day: how much more it will have than the hours that were seen."""

from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from playbooks.season import DAY, PPM, season_of, work_over_day
from store.model.usage import RecordTable, Window, to_us


class Outlook(NamedTuple):
    """What a week tells of the next day."""

    times: int
    """How many times what the window had, in millionths."""
    usual: bool
    """Whether the day is taken to be as busy as it normally is, whatever the window was."""
    variance: float
    """Of how busy it will be, relative to the square of that, beyond the chance by which sessions come."""


class Whole(NamedTuple):
    """What the reference's traffic had in all, where the records are only a part of it: those of one model, say."""

    window: Window
    requests: int


class Work(NamedTuple):
    """What a saving goes with, other than requests: in each record of a reference, and all that the window has."""

    normal: npt.NDArray[np.int64]
    seen: int


def day_over_window(
    reference: RecordTable,
    window: Window,
    now: datetime,
    *,
    seen: int,
    whole: Whole | None = None,
    alike: bool = True,
    work: Work | None = None,
) -> Outlook | None:
    """Requests of the next day over those of the window; None: not enough is known.

    Where the window `seen` had as many requests as it normally has, but for chance, the day will have as many as it
    normally has: over the few that came, which would else carry their chance into the whole day. Where it had clearly
    more or fewer, the day is taken to have so many times more or fewer than normal, too. Of a `whole`, those seen are a
    part, and remain so. A reference that is not `alike`, of other traffic, tells of the hours only.
    With `work`, the work of the next day over that of the window: what the requests of a week have of it on average
    tells more of tomorrow's than the few of the window (a ratio estimator: Cochran, Sampling Techniques, chapter 6).
    """
    season = season_of(reference) if reference.rows else None
    if season is None or not season.knows(window):
        return None
    normal = season.expected(window.start_us, window.end_us)
    if whole is not None and whole.requests > 0 and season.knows(whole.window):
        usually = season.expected(whole.window.start_us, whole.window.end_us)
        level = season.level(whole.window, whole.requests) * seen / (whole.requests * normal / usually)
    else:
        level = season.level(window, seen) if alike else seen / normal
    if work is None or work.seen <= 0:
        day, over = season.expected(to_us(now), to_us(now + DAY)), seen
    else:
        day, over = work_over_day(reference, work.normal, now), work.seen
    if not np.isfinite(day):
        return None
    variance = season.variance(to_us(now), to_us(now + DAY))
    return Outlook(round(day * level / max(over, 1) * PPM), level == 1.0, variance)
