"""A day of traffic that keeps hours of its own: a thief's, a job's, one user's who asks again and again.

It goes on at its own pace, by day and by night, from when it began: a window of whole buckets begins before that. When
it began is where the spend of the target rises once and for good, if that is no chance.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from playbooks.interval import interval
from playbooks.ordinary_day import Day
from playbooks.playbook import DAY
from playbooks.replay.outcome import Nanos, Replayed, numbers
from playbooks.season import PPM, like_the_next_day, season_of
from store.model.usage import RecordTable, Window, from_us

_BEYOND_CHANCE = 1.86
"""A Brownian bridge rises so high one time in a thousand: exp(-2 x^2)."""
_MINUTE_US = 60 * 10**6
_MINUTES = 24 * 60

_Floats = npt.NDArray[np.float64]

DayOverWindow = Callable[[Window], int | None]
"""How much more than in a window is saved in the next day, in millionths; None: as much as the day is longer."""


def own_hours_day(
    records: RecordTable, reference: RecordTable, replayed: Replayed, window: Window, over: DayOverWindow | None = None
) -> Day | None:
    """What is saved in the next day if the traffic goes on as since it began; None where nothing was saved since then.

    Between `low` and `high` lie nine in ten such days by the chance of its minutes; `low` is also no more than the
    cautious reading of the replay.
    """
    since = since_it_began(records, window, always=reference.rows > 0)
    gain = replayed.before - replayed.after
    total = int(gain.sum())
    if total <= 0:
        return None
    seconds = max(1, round(since.seconds))
    told = None if over is None else over(since)
    times = DAY * PPM // seconds if told is None else told
    mid = total * times // PPM
    low, high = interval(mid, _variance(gain, numbers(records, "occurred_us"), since))
    cautious = total if replayed.cautious is None else int((replayed.before - replayed.cautious).sum())
    return Day(
        low=min(low, cautious * times // PPM),
        mid=mid,
        high=high,
        says=f"what goes on since {from_us(since.start_us):%H:%M} UTC keeps its pace, day and night; 9 in 10 such days "
        f"lie between low and high; assumed: {replayed.note}",
    )


def since_it_began(records: RecordTable, window: Window, *, always: bool) -> Window:
    """The window from where the spend of its records rose for good, a usual pause before the first that is dearer.

    By the greatest fall of the spend so far below an even one; the whole window where chance falls as low, or, of a
    target that was not `always` there, from its first record. Source: Page, "Continuous inspection schemes", 1954, for
    the sum; Kolmogorov's limit for its chance.
    """
    at_us, cost = numbers(records, "occurred_us"), numbers(records, "cost_nanos").astype(np.float64)
    spent = np.cumsum(cost) - cost
    even = (at_us - window.start_us) / max(1, window.end_us - window.start_us) * cost.sum()
    begins = int(np.argmax(even - spent))
    if float((even - spent)[begins]) <= _BEYOND_CHANCE * float((cost**2).sum()) ** 0.5:
        if always:
            return window
        begins = 0
    pause_us = (window.end_us - int(at_us[begins])) // (len(at_us) - begins)
    start_us = min(max(window.start_us, int(at_us[begins]) - pause_us), window.end_us - 10**6)
    return Window(start=from_us(start_us), end=window.end)


def limited_beside_the_usual(
    records: RecordTable, reference: RecordTable, since: Window, now_us: int, *, per_minute: int
) -> int | None:
    """What a limit refuses in the next day over what it refused since then, in millionths; None: not enough is known.

    The limit counts the target's usual requests, too, of which the next day has others than the hours that were seen:
    any minute of the traffic that goes on may meet any minute that the week before had at the hours of a day.
    """
    single = (numbers(records, "requests") == 1) & (numbers(records, "occurred_us") >= since.start_us)
    at_us = numbers(records, "occurred_us")[single]
    refused = np.maximum(_by_minute(at_us, since) - per_minute, 0).sum()
    usual = _usual_minutes(reference, since, now_us)
    if refused == 0 or usual is None:
        return None
    # Of the requests seen, as many as are usual belong to the usual ones: every so manieth, as nobody can tell them.
    strange = max(0.0, 1 - usual.expected / len(at_us))
    counted = (np.arange(len(at_us)) * strange % 1) + strange >= 1
    # It began within a minute, of which only the rest was seen.
    going_on = _by_minute(at_us[counted], since)[1:]
    if len(going_on) == 0:
        return None
    share = np.bincount(going_on) / len(going_on)
    beyond = np.arange(len(share))[:, None] + np.arange(len(usual.minutes)) - per_minute
    day = float(share @ np.maximum(beyond, 0) @ usual.minutes)
    return round(day / float(refused) * PPM)


class _Usual(NamedTuple):
    """The target's usual requests: those expected in the window, and how many minutes of a day have 0, 1, 2... ."""

    expected: float
    minutes: _Floats


def _usual_minutes(reference: RecordTable, since: Window, now_us: int) -> _Usual | None:
    if reference.rows == 0:
        return _Usual(0.0, np.array([float(_MINUTES)]))
    like, expected = like_the_next_day(reference, now_us), season_of(reference).expected(since.start_us, since.end_us)
    if like is None or not np.isfinite(expected):
        return None
    normal = _by_minute(numbers(reference, "occurred_us"), reference.window)
    first_us = reference.window.start_us // _MINUTE_US * _MINUTE_US
    weight, _ = like.of(first_us + np.arange(len(normal)) * _MINUTE_US)
    return _Usual(expected, np.asarray(np.bincount(normal, weights=weight), dtype=np.float64))


def _by_minute(at_us: npt.NDArray[np.int64], window: Window) -> npt.NDArray[np.int64]:
    """Requests in each calendar minute of the window."""
    first, last = window.start_us // _MINUTE_US, (window.end_us - 1) // _MINUTE_US
    return np.bincount((at_us // _MINUTE_US - first).clip(0, last - first), minlength=last - first + 1)


def _variance(gain: Nanos, at_us: npt.NDArray[np.int64], since: Window) -> float:
    """Relative, of a day's gain told by that of the minutes seen: their chance, and that of the day's own minutes."""
    gain, at_us = gain[at_us >= since.start_us], at_us[at_us >= since.start_us]
    first, last = since.start_us // _MINUTE_US, (since.end_us - 1) // _MINUTE_US
    minutes = np.bincount((at_us // _MINUTE_US - first).clip(0, last - first), weights=gain, minlength=last - first + 1)
    if minutes.sum() <= 0:
        return 1.0
    return float(minutes.var() / minutes.mean() ** 2 * (1 / len(minutes) + 1 / _MINUTES))
