"""Sessions that run on: what a loop that has passed a cap would still do in the next day.

A session that passed the cap and has not stopped is not one of many that come and go, of which the next day has so many
more: it is the same one, and all that it does from then on is refused, but for as many calls as the cap lets pass anew.

Its calls cost more and more while its context grows, and nobody knows up to what: where the agent compacts it, or its
model takes no more. A context that has come to c tokens is taken to have room for more than x with probability c / x,
the only law that names no number of tokens (Gott, "Implications of the Copernican principle for our future prospects",
Nature 363, 1993). One that grows by g tokens a second has then grown by c ln(1 + g s / c) after s seconds, as expected.
"""

from math import inf, isfinite, log

import numpy as np
import numpy.typing as npt

from playbooks.ordinary_day import Day
from playbooks.playbook import DAY
from playbooks.replay.outcome import Nanos, Replayed, numbers
from store.model.usage import NONE, RecordTable, Window

_BEYOND_CHANCE = 3.0
"""Standard errors of a trend."""
_SELDOM = 9.0
"""One context in ten grows by more than nine times as much again."""

_INPUT = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")

_Floats = npt.NDArray[np.float64]


class _Run:
    """One session that runs on: its calls a second, and what one of them costs now and a second later."""

    def __init__(self, at_us: Nanos, cost: Nanos, context: Nanos, end_us: int) -> None:
        pause_us = (at_us[-1] - at_us[0]) / (len(at_us) - 1)
        self.pace = len(at_us) / (float(end_us - at_us[0] + pause_us) / 1e6)
        # The newer half tells whether it still grows: a line through all of it would not see that it stopped.
        newer = slice(len(at_us) // 2, None)
        ago = (at_us[newer] - end_us) / 1e6
        self.cost, self.trend = _line(ago, cost[newer].astype(np.float64))
        now, growth = _line(ago, context[newer].astype(np.float64))
        self.doubles = now / growth if growth > 0 else inf
        """In so many seconds the context grows by as much again."""

    def spends(self, since: float, *, growing: float | None = None) -> int:
        """From `since` seconds from now to the end of the day, nano-USD; `growing`: for so long, else as expected."""
        grown = 0.0
        if isfinite(self.doubles):
            grown = _grown(DAY, self.doubles, growing) - _grown(since, self.doubles, growing)
        return round(self.pace * (self.cost * (DAY - since) + self.trend * grown))


def running_sessions(records: RecordTable, replayed: Replayed, *, max_calls: int, window: Window) -> Day | None:
    """What a cap on the calls of a session saves in the day from the window's end on; None: no session runs on.

    A session runs on where it has passed the cap and its last call is no longer ago than it ever paused. Of those that
    have stopped, the day has as many more as it is longer than the window. `low` is nothing: who begins the task anew
    in another session each time it is stopped goes around the cap. `high`: it grows as one context in ten does.
    """
    end_us = window.end_us
    known: dict[object, int] = {NONE: 0}
    session = np.array([known.setdefault(name, len(known)) for name in records.column("session_id").tolist()])
    at_us, cost, context = numbers(records, "occurred_us"), numbers(records, "cost_nanos"), _context(records)
    theirs = np.zeros(records.rows, dtype=np.bool_)
    mid = high = 0
    passed = np.flatnonzero(np.bincount(session) > max_calls)
    for mine in (session == number for number in passed.tolist() if number != known[NONE]):
        if end_us - at_us[mine][-1] > np.diff(at_us[mine]).max():
            continue
        run = _Run(at_us[mine], cost[mine], context[mine], end_us)
        passes = min(DAY, max_calls / run.pace)
        theirs |= mine
        mid += run.spends(passes)
        high += run.spends(passes, growing=_SELDOM * run.doubles)
    if not theirs.any():
        return None
    stopped = int((replayed.before - replayed.after)[~theirs].sum()) * DAY // max(1, round(window.seconds))
    says = (
        f"at most {max_calls} calls in a session; one that runs on goes on for the day, and a context that grew to c "
        "tokens is taken to outgrow x with probability c / x (high: to ten times as much); a stopped task is not begun "
        "anew (low: it is, each time)"
    )
    return Day(low=0, mid=mid + stopped, high=high + stopped, says=says)


def _line(at: _Floats, cost: _Floats) -> tuple[float, float]:
    """The cost of a call now and its rise a second, which is 0 where it is no more than chance."""
    away = at - at.mean()
    spread = float((away**2).sum())
    if spread == 0:
        return float(cost.mean()), 0.0
    rise = float((away * cost).sum()) / spread
    left = cost - cost.mean() - rise * away
    error = (float((left**2).sum()) / max(1, len(at) - 2) / spread) ** 0.5
    if rise <= _BEYOND_CHANCE * error:
        return float(cost.mean()), 0.0
    return float(cost.mean()) - rise * float(at.mean()), rise


def _grown(until: float, doubles: float, growing: float | None) -> float:
    """Seconds squared: for how long it has grown by then, summed over the time until then."""
    if growing is None:
        return doubles * ((doubles + until) * log(1 + until / doubles) - until)
    return until**2 / 2 if until < growing else growing * until - growing**2 / 2


def _context(records: RecordTable) -> Nanos:
    return sum((numbers(records, name) for name in _INPUT), np.zeros(records.rows, dtype=np.int64))
