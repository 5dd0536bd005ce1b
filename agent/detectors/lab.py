"""The shipped detector on any table of series, without a warehouse, a ledger or a model."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from agent.detectors.cache_ratio import judge_cache_ratio
from agent.detectors.detect import score_of
from agent.detectors.judge import Judged
from agent.detectors.new_series import judge_new_series
from agent.detectors.scores import anomaly_scores
from agent.detectors.series import Ints, Matrix, SeriesSet
from agent.detectors.settings import DAY_SECONDS, DetectorSettings
from agent.detectors.spells import Spell, spells
from agent.detectors.spend import judge_spend
from agent.detectors.unit_cost import judge_unit_cost
from store.errors import BadInput
from store.model.incident import Signal
from store.model.usage import from_us, iso

Table = Mapping[str, Sequence[object]]
_MEASURES = ("cost_usd", "requests", "tokens", "cached_tokens")
_SPARE = 4


class Alert(NamedTuple):
    """One alert of the lab; `excess` is in the unit of cost_usd, from started_at to its end or the last bucket."""

    series: str
    opened_at: datetime
    started_at: datetime
    ended_at: datetime | None
    score: float
    excess: float
    signal: Signal

    def document(self) -> dict[str, object]:
        """The alert as `bursar detect --json` shows it."""
        ended = None if self.ended_at is None else iso(self.ended_at)
        shown = {"opened_at": iso(self.opened_at), "started_at": iso(self.started_at), "ended_at": ended}
        return {**self._asdict(), **shown}


class Scored(NamedTuple):
    """What detect_table found. `scores` has the columns series, bucket_start, score; one row per bucket, causal."""

    alerts: list[Alert]
    scores: dict[str, list[object]]


class _Rows(NamedTuple):
    name: str
    start_s: int
    last: int
    first: int
    columns: Ints
    measures: Matrix

    def moved(self, columns: int, start_s: int) -> "_Rows":
        """The same rows on an axis that begins so many columns earlier, at `start_s`."""
        return self._replace(
            start_s=start_s, last=self.last + columns, first=self.first + columns, columns=self.columns + columns
        )


def detect_table(table: Table, *, bucket_seconds: int, settings: DetectorSettings | None = None) -> Scored:
    """Judge every bucket of every series with data up to its end only.

    `table` has columns of equal length: series, bucket_start (aware or UTC datetimes, ISO 8601 text, or seconds since
    the epoch), cost_usd, and if known requests, tokens (input) and cached_tokens (those of them read from a cache).
    Missing buckets are zero; rows of one bucket add up. A series begins with its first row that is not zero; one that
    begins a week after the others is new. The score of a bucket lies in [0, 1]; from 0.5 on it is part of an alert.

    Raises:
        BadInput: a column is missing, of another length, or holds what cannot be read.
    """
    tuned = (settings or DetectorSettings()).model_copy(update={"bucket_seconds": bucket_seconds})
    alerts: list[Alert] = []
    scores: dict[str, list[object]] = {"series": [], "bucket_start": [], "score": []}
    for batch in _batches(_read(table, bucket_seconds), bucket_seconds):
        _judge_batch(batch, tuned, alerts, scores)
    return Scored(sorted(alerts, key=lambda alert: (alert.series, alert.opened_at)), scores)


def strangeness(table: Table, *, bucket_seconds: int) -> dict[tuple[str, datetime], float]:
    """How strange every bucket that has rows is within its series (scores.py), by series and start of the bucket.

    In [0, 1], from spend alone, without any unit and of no use for USD floors. `table` and errors as for detect_table;
    buckets without rows are left out and not learned from.
    """
    found: dict[tuple[str, datetime], float] = {}
    for rows in _read(table, bucket_seconds):
        columns, row = np.unique(rows.columns, return_inverse=True)
        usd = np.bincount(row, weights=rows.measures[0], minlength=len(columns)).astype(np.float64)
        scores = anomaly_scores(usd, buckets_per_day=max(1, DAY_SECONDS // bucket_seconds))
        starts = rows.start_s + columns * bucket_seconds
        for start_s, score in zip(starts.tolist(), scores.tolist(), strict=True):
            found[rows.name, from_us(start_s * 10**6)] = score
    return found


def _batches(found: list[_Rows], bucket_seconds: int) -> list[list[_Rows]]:
    """All series on one axis, unless they lie so far apart that it would mostly be empty: then alike ones together."""
    start_s = min((rows.start_s for rows in found), default=0)
    late = [(rows.start_s - start_s) // bucket_seconds for rows in found]
    columns = max((rows.last + shift for rows, shift in zip(found, late, strict=True)), default=0)
    if len(found) * columns <= _SPARE * sum(rows.last + 1 for rows in found):
        return [[rows.moved(shift, start_s) for rows, shift in zip(found, late, strict=True)]] if found else []
    alike: dict[tuple[int, int], list[_Rows]] = {}
    for rows in found:
        alike.setdefault((rows.start_s, rows.last), []).append(rows)
    return list(alike.values())


def _judge_batch(
    batch: list[_Rows], settings: DetectorSettings, alerts: list[Alert], scores: dict[str, list[object]]
) -> None:
    series = _series(batch, settings)
    judged: list[tuple[Signal, Judged]] = [("spend", judge_spend(series, start=0, settings=settings, every=True))]
    judged.append(("new_series", judge_new_series(series, start=0, settings=settings)))
    if series.requests.any():
        judged.append(("unit_cost", judge_unit_cost(series, start=0, settings=settings)))
    if series.cache_read.any():
        judged.append(("cache_hit_ratio", judge_cache_ratio(series, start=0, settings=settings)))
    score = np.zeros(series.usd.shape)
    found: dict[int, list[tuple[Signal, Judged, Spell]]] = {}
    for signal, verdict in judged:
        score[verdict.rows] = np.maximum(score[verdict.rows], _scores(verdict))
        for spell in spells(verdict, quiet=settings.buckets(settings.end_after_hours)):
            found.setdefault(int(verdict.rows[spell.row]), []).append((signal, verdict, spell))
    moments = [_moment(series, column) for column in range(series.buckets)]
    for row, rows in enumerate(batch):
        alerts.extend(_events(rows, series, found.get(row, [])))
        known = slice(rows.first, rows.last + 1)
        scores["bucket_start"].extend(moments[known])
        scores["score"].extend(score[row, known].tolist())
        scores["series"].extend([rows.name] * (rows.last + 1 - rows.first))


def _scores(judged: Judged) -> Matrix:
    """Excess over threshold of the strongest window, of the bucket alone where it is not above normal itself."""
    ratio = np.where(judged.hot, judged.ratio.max(axis=0), judged.ratio[0])
    above = np.maximum(ratio, 0.0)
    scores: Matrix = above / (1 + above)
    return scores


def _events(rows: _Rows, series: SeriesSet, found: list[tuple[Signal, Judged, Spell]]) -> list[Alert]:
    """One alert for spells of any signal that overlap: raised by the first, counted by the larger."""
    columns = series.buckets
    events: list[tuple[int, int | None, int, float, float, Signal]] = []
    for signal, judged, spell in sorted(found, key=lambda item: (item[2].alarm, item[0])):
        end = columns if spell.end is None else spell.end
        excess = float(judged.excess[spell.row, spell.onset : end].sum())
        if events and (events[-1][1] is None or spell.onset < events[-1][1]):
            onset, until, alarm, ratio, most, first = events[-1]
            merged = None if until is None or spell.end is None else max(until, spell.end)
            events[-1] = (min(onset, spell.onset), merged, alarm, max(ratio, spell.ratio), max(most, excess), first)
        else:
            events.append((spell.onset, spell.end, spell.alarm, spell.ratio, excess, signal))
    return [
        Alert(
            series=rows.name,
            opened_at=_moment(series, alarm + 1),
            started_at=_moment(series, onset),
            ended_at=None if end is None else _moment(series, end),
            score=score_of(ratio),
            excess=round(excess, 2),
            signal=signal,
        )
        for onset, end, alarm, ratio, excess, signal in events
    ]


def _series(batch: list[_Rows], settings: DetectorSettings) -> SeriesSet:
    columns = max(rows.last for rows in batch) + 1
    stack = np.zeros((len(_MEASURES), len(batch), columns))
    for i, rows in enumerate(batch):
        for measure in range(len(_MEASURES)):
            np.add.at(stack[measure, i], rows.columns, rows.measures[measure])
    active = (stack[0] > 0) | (stack[1] > 0)
    first = np.where(active.any(axis=1), active.argmax(axis=1), columns)
    return SeriesSet(
        group_by=(),
        keys=[() for _ in batch],
        start_s=batch[0].start_s,
        bucket_seconds=settings.bucket_seconds,
        known_from=min(rows.first for rows in batch),
        first=first,
        usd=stack[0],
        requests=stack[1],
        tokens_in=stack[2],
        cache_read=stack[3],
    )


def _moment(series: SeriesSet, column: int) -> datetime:
    return from_us((series.start_s + column * series.bucket_seconds) * 10**6)


def _read(table: Table, bucket_seconds: int) -> list[_Rows]:
    for name in ("series", "bucket_start", "cost_usd"):
        if name not in table:
            raise BadInput(f"the table has no column {name!r}; it needs series, bucket_start and cost_usd")
    names = [str(name) for name in table["series"]]
    length = len(names)
    at = np.array([_seconds(moment, row) for row, moment in enumerate(table["bucket_start"], 1)], dtype=np.int64)
    measures = np.stack([_numbers(table, name, length) for name in _MEASURES])
    if len(at) != length:
        raise BadInput(f"column 'bucket_start' has {len(at)} rows where 'series' has {length}")
    found = []
    number = {name: i for i, name in enumerate(sorted(set(names)))}
    series = np.array([number[name] for name in names], dtype=np.int64)
    order, ends = np.argsort(series, kind="stable"), np.cumsum(np.bincount(series, minlength=len(number)))
    for name, begin, end in zip(number, [0, *ends.tolist()], ends.tolist(), strict=False):
        mine = order[begin:end]
        start_s = int(at[mine].min()) // DAY_SECONDS * DAY_SECONDS
        columns = (at[mine] - start_s) // bucket_seconds
        found.append(_Rows(name, start_s, int(columns.max()), int(columns.min()), columns, measures[:, mine]))
    return found


def _numbers(table: Table, name: str, length: int) -> Matrix:
    if name not in table:
        return np.zeros(length)
    try:
        values = np.asarray(table[name], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"column {name!r} holds what is not a number: {error}") from error
    if len(values) != length:
        raise BadInput(f"column {name!r} has {len(values)} rows where 'series' has {length}")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise BadInput(f"column {name!r}, row {int(bad[0]) + 1}: not a finite number; correct or remove the row")
    return values


def _seconds(moment: object, row: int) -> int:
    if isinstance(moment, np.datetime64):
        return int(moment.astype("datetime64[s]").astype(np.int64))
    if isinstance(moment, int | float | np.integer | np.floating):
        return int(moment)
    try:
        read = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    except ValueError as error:
        raise BadInput(f"column 'bucket_start', row {row}: {moment!r} is no ISO 8601 time") from error
    return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
