"""What is watched: every series with its baseline, what it spends now, and what the detectors say of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import numpy as np

from agent.detectors.series import Flags, SeriesSet, fold
from agent.detectors.settings import DetectorSettings
from agent.detectors.spend import expected_spend
from agent.detectors.unit_rates import Rate, unit_rates
from store.model.incident import Signal, Spike
from store.model.usage import Cube, Scope, from_us

State = Literal["normal", "abnormal", "learning", "silent"]


class Watched(NamedTuple):
    """One series. USD of the last judged bucket and of the last 24 hours; a baseline is None while unknown."""

    scope: Scope
    group_by: tuple[str, ...]
    first_seen: datetime
    state: State
    signals: tuple[Signal, ...]
    bucket_usd: float
    bucket_baseline_usd: float | None
    day_usd: float
    day_baseline_usd: float | None
    rates: dict[str, Rate]


def watched(cube: Cube, *, until: datetime, settings: DetectorSettings, spikes: Sequence[Spike]) -> list[Watched]:
    """Every series of every group-by as of `until`, the largest spend of the last 24 hours first.

    `abnormal`: one of `spikes` is in it and has not ended. `learning`: too young to be judged against its own past.
    `silent`: it made no request in the last 24 hours, and usually spends `min_excess_usd` in them; that is no spike, it
    says that a source may be missing.
    """
    leaves = fold(cube, until=until, dims=settings.dims)
    if not leaves.stack.shape[2]:
        return []
    running: dict[Scope, set[Signal]] = {}
    for spike in spikes:
        if spike.ended_at is None:
            running.setdefault(spike.series, set()).add(spike.signal)
    found = [
        one
        for group_by in settings.group_bys
        for one in _of(leaves.by(group_by), running, unit_rates(cube, group_by, until=until), settings)
    ]
    return sorted(found, key=lambda one: (-one.day_usd, len(one.group_by), one.scope.dims))


def _of(
    series: SeriesSet,
    running: dict[Scope, set[Signal]],
    rates: dict[Scope, dict[str, Rate]],
    settings: DetectorSettings,
) -> list[Watched]:
    baseline, known = expected_spend(series, settings)
    day = slice(-settings.buckets_per_day, None)
    spent, usual = series.usd[:, day].sum(axis=1), np.where(known, baseline, 0.0)[:, day].sum(axis=1)
    judged: Flags = known[:, day].min(axis=1)
    calls = series.requests[:, day].sum(axis=1)
    found = []
    for row in np.flatnonzero(series.first < series.buckets):
        scope = series.scope(int(row))
        signals = tuple(sorted(running.get(scope, ())))
        state: State = "normal" if judged[row] else "learning"
        if signals:
            state = "abnormal"
        elif judged[row] and calls[row] == 0 and usual[row] >= settings.min_excess_usd:
            state = "silent"
        found.append(
            Watched(
                scope=scope,
                group_by=series.group_by,
                first_seen=from_us((series.start_s + int(series.first[row]) * series.bucket_seconds) * 10**6),
                state=state,
                signals=signals,
                bucket_usd=float(series.usd[row, -1]),
                bucket_baseline_usd=float(baseline[row, -1]) if known[row, -1] else None,
                day_usd=float(spent[row]),
                day_baseline_usd=float(usual[row]) if judged[row] else None,
                rates=rates.get(scope, {}),
            )
        )
    return found
