"""Every detector over every series of a cube: data up to a moment in, spikes out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial

import numpy as np

from agent.detectors.cache_ratio import judge_cache_ratio
from agent.detectors.judge import Judged
from agent.detectors.learned import Learned
from agent.detectors.new_series import judge_new_series
from agent.detectors.series import SeriesSet, fold, joined
from agent.detectors.sessions import session_spikes
from agent.detectors.settings import DetectorSettings
from agent.detectors.spells import Spell, spells
from agent.detectors.spend import judge_spend
from agent.detectors.unit_cost import judge_unit_cost
from store.model.incident import Signal, Spike
from store.model.money import NANOS_PER_CENT
from store.model.usage import Cube, RecordTable, from_us

Judge = Callable[..., Judged]

_AT_ONCE = 2_000
"""Series. More at once would take more memory, and no less time."""

DETECTORS: tuple[tuple[Signal, Judge], ...] = (
    ("spend", judge_spend),
    ("unit_cost", judge_unit_cost),
    ("cache_hit_ratio", judge_cache_ratio),
    ("new_series", judge_new_series),
)
"""Each takes (SeriesSet, *, start, settings)."""

_SAYS: dict[Signal, str] = {
    "spend": "USD {actual:,.2f} where USD {baseline:,.2f} was usual for these hours",
    "unit_cost": "USD {actual:,.2f} for requests that used to cost USD {baseline:,.2f}",
    "cache_hit_ratio": "fewer cached tokens: USD {actual:,.2f} for input that used to cost USD {baseline:,.2f}",
    "new_series": "USD {actual:,.2f} from a series without history",
}


def detect(
    cube: Cube,
    *,
    until: datetime,
    settings: DetectorSettings,
    records: RecordTable | None = None,
    learned: Learned | None = None,
) -> list[Spike]:
    """Find the series that spend more than they should.

    Judges whole buckets that ended by `until`, and looks at nothing later: a backtest and the live service see the
    same. Returns spikes of the last `settings.horizon_days`, running ones and ended ones, by start, scope and signal.
    The excess is in nano-USD at whole cents over [started_at, seen_until); of an ended spike seen_until is its end.
    `records` (see sessions.py) adds the sessions that are far too large. `learned` spares a later look at the same day
    a part of the work, and changes no verdict.
    """
    found: list[Spike] = []
    leaves = fold(cube, until=until, dims=settings.dims)
    if not leaves.stack.shape[2]:
        return found
    start = max(0, leaves.stack.shape[2] - settings.horizon_days * settings.buckets_per_day)
    judges: dict[Signal, Judge] = dict(DETECTORS)
    if learned is not None:
        learned.turn(until.toordinal())
        judges["spend"] = partial(judge_spend, worst=learned)
    for sets in _together(leaves.by(group_by) for group_by in settings.group_bys):
        series = joined(sets)
        for signal, judge in judges.items():
            found.extend(_spikes(sets, signal, judge(series, start=start, settings=settings), settings))
    if records is not None:
        found.extend(session_spikes(records, until=until, settings=settings))
    return sorted(found, key=lambda spike: (spike.started_at, spike.series.dims, spike.signal))


def score_of(ratio: float) -> float:
    """Excess over threshold as a score in [0, 1]: 0.5 is where an alert begins."""
    return ratio / (1 + ratio) if ratio > 0 else 0.0


def _together(sets: Iterable[SeriesSet]) -> Iterator[list[SeriesSet]]:
    """Group-bys that are judged as one: for few series the calls take longer than the work."""
    some: list[SeriesSet] = []
    for one in sets:
        if some and sum(len(other.usd) for other in (*some, one)) > _AT_ONCE:
            yield some
            some = []
        some.append(one)
    yield some


def _spikes(sets: Sequence[SeriesSet], signal: Signal, judged: Judged, settings: DetectorSettings) -> Sequence[Spike]:
    begins = np.cumsum([0, *(len(one.usd) for one in sets)])
    found = []
    for spell in spells(judged, quiet=settings.buckets(settings.end_after_hours)):
        row = int(judged.rows[spell.row])
        of = int(np.searchsorted(begins, row, side="right")) - 1
        found.append(_spike(sets[of], row - int(begins[of]), signal, judged, spell, settings))
    return found


def _spike(
    series: SeriesSet, row: int, signal: Signal, judged: Judged, spell: Spell, settings: DetectorSettings
) -> Spike:
    last = spell.end if spell.end is not None else judged.actual.shape[1]
    span = slice(spell.onset, last)
    actual = float(judged.actual[spell.row, span].sum())
    baseline = float(judged.baseline[spell.row, span].sum())
    actual_cents, baseline_cents = round(actual * 100), round(baseline * 100)
    hours = spell.window * settings.bucket_seconds / 3600

    def moment(column: int) -> datetime:
        return from_us((series.start_s + column * series.bucket_seconds) * 10**6)

    return Spike(
        series=series.scope(row),
        group_by=series.group_by,
        signal=signal,
        opened_at=moment(spell.alarm + 1),
        started_at=moment(spell.onset),
        ended_at=None if spell.end is None else moment(spell.end),
        seen_until=moment(last),
        score=score_of(spell.ratio),
        excess_nanos=(actual_cents - baseline_cents) * NANOS_PER_CENT,
        baseline_nanos=baseline_cents * NANOS_PER_CENT,
        actual_nanos=actual_cents * NANOS_PER_CENT,
        detail=f"{_SAYS[signal].format(actual=actual, baseline=baseline)}; seen over {hours:g} h.",
    )
