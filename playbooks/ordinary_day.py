"""The next day as it normally is, with the incident's calls in place of the normal ones.

A limit refuses what comes close together, a cap what comes late in a session. A few hours of an incident hold too few
such moments to tell a day by them; the week before holds many, and differs in one thing only: what each call is made
of. So each of its calls becomes one of the incident's, with all its attempts or sub-calls, when and in whose session it
was, and what would then be refused is counted.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from playbooks.interval import interval
from playbooks.replay.limits import Refused
from playbooks.replay.onset import began
from playbooks.replay.outcome import Replayed, numbers
from playbooks.season import like_the_next_day, season_of
from store.model.usage import NONE, RecordTable, Window, from_us

_BEYOND_CHANCE = 3.0
"""Standard errors of a difference."""
_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it fall evenly into [0, 1), however many there are."""


class Day(NamedTuple):
    """What a remedy saves in the next day, nano-USD; `says` is what that rests on."""

    low: int
    mid: int
    high: int
    says: str


class _Calls(NamedTuple):
    """Records by call: those of one trace. Calls in order of their first records."""

    of: npt.NDArray[np.int64]
    """The call of each record."""
    first: npt.NDArray[np.int64]
    """The row of each call's first record."""
    size: npt.NDArray[np.int64]


def ordinary_day(
    records: RecordTable,
    reference: RecordTable,
    window: Window,
    seen: Replayed,
    refuses: Callable[[RecordTable], Refused],
    *,
    at_us: int,
) -> Day | None:
    """What a rule would save in the day from `at_us` on that `refuses` some records; None: the calls do not tell.

    `seen`: the replay of the incident's own records, of which the cautious reading and the note are taken.
    They tell where they are made of more records than normal ones, beyond chance, from when on that is so, and where
    the week before knows the hours of the next day. `low` and `high`: see `says`.
    """
    if reference.rows == 0 or records.rows == 0:
        return None
    now, usual = _calls(records), _calls(reference)
    chosen = np.arange(began(now.size - 1), len(now.size))
    like = like_the_next_day(reference, at_us)
    if like is None or not _larger(now.size[chosen], usual.size):
        return None
    start_us = int(numbers(records, "occurred_us")[now.first[chosen[0]]])
    alone = _first_records(reference, usual)
    season, faulty = season_of(alone), Window(start=from_us(start_us), end=window.end)
    if not season.knows(faulty):
        return None
    level = season.level(faulty, len(chosen))
    week = _week(records, now, chosen, reference, usual)
    weight, rank = like.of(numbers(week, "occurred_us"))
    gain = np.where(refuses(week), numbers(week, "cost_nanos"), 0) * weight * level
    mid = int(gain.sum())
    # A weight spreads a day over all that are like it; each of them by itself is so many times more.
    days = np.asarray(np.bincount(rank, weights=gain, minlength=like.days)[: like.days] * like.days, dtype=np.float64)
    variance = _of_days(days) + _of_calls(seen, now, chosen)
    low, high = interval(mid, variance)
    surely = (
        1.0 if seen.cautious is None else (seen.before - seen.cautious).sum() / max(1, (seen.before - seen.after).sum())
    )
    return Day(
        low=min(low, int(mid * surely)),
        mid=mid,
        high=high,
        says=f"on {like.days} days of the week before, with {level:.1f} times their calls, made as the incident's "
        f"{len(chosen):,} are; 9 in 10 such days lie between low and high; assumed: {seen.note}",
    )


def _larger(now: npt.NDArray[np.int64], usual: npt.NDArray[np.int64]) -> bool:
    """Whether calls are made of more records on average than usual, beyond chance."""
    error = (now.var() / len(now) + usual.var() / len(usual)) ** 0.5
    return bool(now.mean() - usual.mean() > _BEYOND_CHANCE * error)


def _of_days(days: npt.NDArray[np.float64]) -> float:
    """The relative variance of a further day, told from the mean of these."""
    if len(days) < 2 or days.sum() <= 0:
        return 1.0
    return float(days.var(ddof=1) / days.mean() ** 2 * (1 + 1 / len(days)))


def _of_calls(seen: Replayed, now: _Calls, chosen: npt.NDArray[np.int64]) -> float:
    """The relative variance of what so many calls save, told from these ones."""
    gain = np.bincount(now.of, weights=seen.before - seen.after)[chosen]
    return float(gain.var() / gain.mean() ** 2 / len(gain)) if gain.sum() > 0 else 1.0


def _calls(records: RecordTable) -> _Calls:
    traces = records.column("trace_id").tolist()
    known: dict[object, int] = {}
    # Named by the order in which they come: a name decides nothing.
    of = np.array(
        [known.setdefault(row if trace == NONE else trace, len(known)) for row, trace in enumerate(traces)],
        dtype=np.int64,
    )
    return _Calls(of, np.unique(of, return_index=True)[1], np.bincount(of))


def _first_records(records: RecordTable, calls: _Calls) -> RecordTable:
    """One record for each call."""
    columns = {name: records.column(name)[calls.first] for name in ("occurred_us", "session_id")}
    return records._replace(columns={**columns, "requests": np.ones(len(calls.first), dtype=np.int64)})


def _week(
    records: RecordTable, now: _Calls, chosen: npt.NDArray[np.int64], reference: RecordTable, usual: _Calls
) -> RecordTable:
    """The reference with its calls made as the chosen ones; each costs as much more or less than its like as before."""
    rows = np.argsort(now.of, kind="stable")
    begins = np.searchsorted(now.of[rows], np.arange(len(now.first)))
    many = len(usual.first)
    # Evenly over the chosen ones, in an order that has nothing to do with theirs.
    lot = chosen[(np.arange(many) * _GOLDEN % 1 * len(chosen)).astype(np.int64)]
    size = now.size[lot]
    call = np.repeat(np.arange(many), size)
    member = np.arange(len(call)) - np.repeat(np.cumsum(size) - size, size)
    row = rows[begins[lot[call]] + member]
    at_us, cost = numbers(records, "occurred_us"), numbers(records, "cost_nanos")
    spent = np.bincount(usual.of, weights=numbers(reference, "cost_nanos").astype(np.float64))
    dearer = spent / spent.mean() if spent.any() else np.ones(many)
    moment = numbers(reference, "occurred_us")[usual.first][call] + at_us[row] - at_us[now.first[lot[call]]]
    order = np.argsort(moment, kind="stable")
    columns: dict[str, npt.NDArray[np.generic]] = {
        "occurred_us": moment,
        "requests": numbers(records, "requests")[row],
        "session_id": reference.column("session_id")[usual.first][call],
        "cost_nanos": np.rint(cost[row] * dearer[call]).astype(np.int64),
    }
    return reference._replace(columns={name: values[order] for name, values in columns.items()})
