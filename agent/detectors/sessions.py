"""Sessions that make far more calls than sessions of their app do: an agent that loops needs no history to be seen."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from agent.detectors.series import Ints
from agent.detectors.settings import DetectorSettings
from store.model.incident import Spike
from store.model.money import NANOS_PER_CENT, to_cents, usd_text
from store.model.usage import NONE, RecordTable, Scope, from_us, to_us

COLUMNS = ("session_id", "occurred_us", "cost_nanos", "team", "app")
"""What a table of records must carry."""
GROUP_BY = ("team", "app", "session_id")
_MIN_SESSIONS = 20
_PERCENTILE = 99


def session_spikes(
    records: RecordTable,
    *,
    until: datetime,
    settings: DetectorSettings,
    normal_calls: Mapping[str, float] | None = None,
) -> list[Spike]:
    """Find sessions with too many calls that also cost too much.

    `normal_calls` maps an app to the 99th percentile of calls per session; an app that it does not name is measured
    against its other sessions in the table, if it has twenty, else only against the floors. The alarm is the end of
    the bucket in which calls and USD had both passed; calls from `until` on are not looked at.
    """
    ids = records.column("session_id").astype(str)
    at = records.column("occurred_us").astype(np.int64)
    keep = np.flatnonzero((ids != NONE) & (at < to_us(until)))
    if not len(keep):
        return []
    _, first, session = np.unique(ids[keep], return_index=True, return_inverse=True)
    calls = np.bincount(session)
    nanos = np.bincount(session, weights=records.column("cost_nanos")[keep].astype(np.float64))
    apps = records.column("app")[keep][first].astype(str)
    suspects = (calls > settings.session_min_calls) & (nanos >= settings.session_min_usd * 1e9)
    found = []
    for suspect in np.flatnonzero(suspects):
        app = str(apps[suspect])
        others = calls[(apps == app) & (np.arange(len(calls)) != suspect)]
        usual = (normal_calls or {}).get(app) or _usual_calls(others)
        limit = max(float(settings.session_min_calls), settings.session_ratio * usual)
        if calls[suspect] > limit:
            rows = keep[session == suspect]
            rows = rows[np.argsort(at[rows], kind="stable")]
            found.append(_spike(records, rows, limit=limit, usual=usual, until=until, settings=settings))
    return [spike for spike in found if spike is not None]


def _usual_calls(others: Ints) -> float:
    return float(np.percentile(others, _PERCENTILE)) if len(others) >= _MIN_SESSIONS else 0.0


def _spike(
    records: RecordTable, rows: Ints, *, limit: float, usual: float, until: datetime, settings: DetectorSettings
) -> Spike | None:
    width = settings.bucket_seconds * 10**6
    at = records.column("occurred_us").astype(np.int64)[rows]
    nanos = records.column("cost_nanos").astype(np.int64)[rows]
    spent = np.cumsum(nanos)
    passed = np.flatnonzero((np.arange(1, len(rows) + 1) > limit) & (spent >= settings.session_min_usd * 1e9))
    opened = (int(at[passed[0]]) // width + 1) * width if len(passed) else None
    if opened is None or opened > to_us(until):
        return None
    last = (int(at[-1]) // width + 1) * width
    quiet = settings.buckets(settings.end_after_hours) * width
    over = last + quiet <= to_us(until)
    actual = to_cents(int(spent[-1]))
    normal = round(actual / NANOS_PER_CENT * min(1.0, usual / len(rows))) * NANOS_PER_CENT
    dims = {name: str(records.column(name)[rows[0]]) for name in GROUP_BY}
    compared = f"its app's sessions stay under {usual:,.0f}" if usual else f"more than {limit:,.0f} are not expected"
    return Spike(
        series=Scope.of(dims),
        group_by=GROUP_BY,
        signal="session_calls",
        opened_at=from_us(opened),
        started_at=from_us(int(at[0]) // width * width),
        ended_at=from_us(last) if over else None,
        seen_until=from_us(last) if over else until,
        score=len(rows) / (len(rows) + limit),
        excess_nanos=actual - normal,
        baseline_nanos=normal,
        actual_nanos=actual,
        detail=f"one session made {len(rows):,} calls for {usd_text(actual)}; {compared}.",
    )
