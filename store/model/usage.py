"""Usage: what one model request was, who asked for it, what it cost, and windows and scopes over many.

Times are UTC. Inside records they are integer microseconds since the epoch (`_us`), because there are
millions of them; everywhere else they are aware datetimes. Windows are half-open. Money is nano-USD.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import AwareDatetime, BaseModel, ConfigDict, model_serializer, model_validator

NONE = "(none)"
"""The value of a dimension that a record does not have."""

TOKEN_CLASSES = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output")
"""Five disjoint classes; `reasoning` is a part of `output`, never added to it."""

ALLOCATION_DIMENSIONS = ("team", "app", "environment", "api_key_id", "route", "release", "job")
"""Who asked. `end_user`, `session_id` and `prompt_version` are read from records, not from rollups."""

CUBE_DIMENSIONS = (*ALLOCATION_DIMENSIONS, "provider", "model", "requested_model", "service_tier", "speed", "source")
"""The dimensions that rollups keep."""

RECORD_DIMENSIONS = (*CUBE_DIMENSIONS, "end_user", "prompt_version", "session_id", "trace_id", "operation", "region")
"""Every dimension that a scope may name; tags come as "tags.k"."""

CUBE_MEASURES = (
    "requests",
    "errors",
    "refused",
    "retries",
    *TOKEN_CLASSES,
    "reasoning",
    "cost_nanos",
    "cash_nanos",
    "billed_nanos",
    "unpriced",
    "latency_ms",
)
"""Sums that rollups keep. `errors`: failed calls, ours not among them; `refused`: calls that a remedy of ours refused;
`retries`: calls with attempt > 1; `cash_nanos`: the part of cost that is marginal cash; `latency_ms`: a sum."""

Role = Literal["metered", "reference"]
BillingMode = Literal["metered", "included", "overage", "provisioned", "prepaid"]
CASH_MODES = frozenset({"metered", "overage"})
Status = Literal["ok", "error", "refused"]
Grade = Literal["attested", "claimed"]


class UsageRecord(NamedTuple):
    """One model request, or one provider bucket (`requests` > 1, `period_seconds` > 0).

    `occurred_us` is the request's end, or the bucket's start. Of records with one `record_id` the greatest
    (observed_us, content hash) wins. An absent dimension is NONE; an absent amount is None.
    """

    record_id: str
    source: str
    observed_us: int
    occurred_us: int
    provider: str
    model: str
    requested_model: str = NONE
    operation: str = "chat"
    service_tier: str = "standard"
    speed: str = "standard"
    region: str = NONE
    status: Status = "ok"
    status_code: int = 200
    finish_reason: str = NONE
    latency_ms: int = 0
    requests: int = 1
    period_seconds: int = 0
    attempt: int = 1
    trace_id: str = NONE
    span_id: str = NONE
    session_id: str = NONE
    team: str = NONE
    app: str = NONE
    environment: str = NONE
    api_key_id: str = NONE
    end_user: str = NONE
    route: str = NONE
    prompt_version: str = NONE
    release: str = NONE
    job: str = NONE
    tags: tuple[tuple[str, str], ...] = ()
    input_uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    cost_nanos: int | None = None
    billed_nanos: int | None = None
    billing_mode: BillingMode = "metered"
    grade: Grade = "attested"
    prompt_hash: str = NONE
    prompt_chars: int = 0
    completion_chars: int = 0
    n_tools: int = 0
    prefix_hash: str = NONE
    prefix_tokens: int = 0
    prefix_break_at: int = 0
    prefix_break_kind: str = NONE
    remedy_id: str = NONE


class Quarantined(NamedTuple):
    """An input row that cannot be right, kept with the reason; `raw` is the row as it came, cut to 4,000 characters."""

    source: str
    observed_us: int
    reason: str
    raw: str


class Expired(NamedTuple):
    """What retention dropped: records from before `floor`, cells of the 5-minute and of the hourly roll-ups."""

    floor: datetime
    records: int
    fine: int
    coarse: int


class Arrival(NamedTuple):
    """Cost of a source's calls of an hour (its start in epoch seconds), first known so many whole hours after them."""

    source: str
    hour: int
    delay_hours: int
    cost_nanos: int


class Intake(BaseModel):
    """What became of the rows that came in: in = accepted + duplicate + superseded + quarantined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accepted: int = 0
    duplicate: int = 0
    superseded: int = 0
    quarantined: int = 0

    @property
    def total(self) -> int:
        """All rows that came in."""
        return self.accepted + self.duplicate + self.superseded + self.quarantined

    def __add__(self, other: "Intake") -> "Intake":
        """The counts of two intakes together."""
        return Intake(
            accepted=self.accepted + other.accepted,
            duplicate=self.duplicate + other.duplicate,
            superseded=self.superseded + other.superseded,
            quarantined=self.quarantined + other.quarantined,
        )


class Window(BaseModel):
    """A half-open span of time [start, end), UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: AwareDatetime
    end: AwareDatetime

    @model_validator(mode="after")
    def _ordered(self) -> "Window":
        if self.end < self.start:
            raise ValueError(f"a window cannot end ({self.end}) before it starts ({self.start})")
        return self

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return (self.end - self.start).total_seconds()

    @property
    def start_us(self) -> int:
        """Its start in microseconds since the epoch."""
        return to_us(self.start)

    @property
    def end_us(self) -> int:
        """Its end in microseconds since the epoch."""
        return to_us(self.end)

    def shifted(self, delta: timedelta) -> "Window":
        """The same length, moved by delta."""
        return Window(start=self.start + delta, end=self.end + delta)


class Scope(BaseModel):
    """A part of the traffic: {dimension: value}; {} is the total. Serialises as that mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dims: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_mapping(cls, value: object) -> object:
        if isinstance(value, Mapping) and "dims" not in value:
            return {"dims": tuple(sorted((str(k), str(v)) for k, v in value.items()))}
        return value

    @model_validator(mode="after")
    def _known(self) -> "Scope":
        names = [name for name, _ in self.dims]
        if len(set(names)) != len(names):
            raise ValueError(f"a scope names a dimension twice: {names}")
        for name in names:
            if name not in RECORD_DIMENSIONS and not name.startswith("tags."):
                raise ValueError(f"unknown dimension {name!r}; known: {', '.join(RECORD_DIMENSIONS)}, tags.NAME")
        return self

    @model_serializer
    def _as_mapping(self) -> dict[str, str]:
        return dict(self.dims)

    @classmethod
    def of(cls, mapping: Mapping[str, str] | None = None, /, **dims: str) -> "Scope":
        """Scope.of(team="search") or Scope.of({"tags.k": "v"})."""
        both = {**(mapping or {}), **dims}
        return cls(dims=tuple(sorted(both.items())))

    def __eq__(self, other: object) -> bool:
        # pydantic's own compares whole models; scopes are compared half a million times in a backtest of a week.
        return isinstance(other, Scope) and self.dims == other.dims

    def __hash__(self) -> int:
        return hash(self.dims)

    def as_dict(self) -> dict[str, str]:
        """{dimension: value}."""
        return dict(self.dims)

    def get(self, dimension: str) -> str | None:
        """The value of a dimension, or None where the scope does not name it."""
        return dict(self.dims).get(dimension)

    @property
    def text(self) -> str:
        """As people read it, `team=search app=indexer`; "everything" for the total."""
        return " ".join(f"{name}={value}" for name, value in self.dims) or "everything"

    def contains(self, other: "Scope") -> bool:
        """Whether all traffic of the other scope is in this one."""
        return set(self.dims) <= set(other.dims)

    def overlaps(self, other: "Scope") -> bool:
        """Whether no dimension tells the two apart."""
        mine, theirs = dict(self.dims), dict(other.dims)
        return all(theirs[name] == value for name, value in mine.items() if name in theirs)


TOTAL = Scope()


class Cube(NamedTuple):
    """Rollup rows as columns: one row per (bucket, combination of `dims`), n rows in no promised order.

    `bucket`: int64, start of the bucket in seconds since the epoch. `codes[d]`: int32 of length n into
    `values[d]`. `measures[m]`: int64 of length n. `bucket_seconds` is the width of all buckets.
    """

    window: Window
    bucket_seconds: int
    bucket: npt.NDArray[np.int64]
    codes: dict[str, npt.NDArray[np.int32]]
    values: dict[str, list[str]]
    measures: dict[str, npt.NDArray[np.int64]]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.bucket)

    def mask(self, scope: Scope) -> npt.NDArray[np.bool_]:
        """Which rows lie in the scope. A dimension that the cube does not have raises KeyError."""
        keep = np.ones(self.rows, dtype=np.bool_)
        for name, value in scope.dims:
            known = self.values[name]
            keep &= self.codes[name] == (known.index(value) if value in known else -1)
        return keep

    def take(self, keep: npt.NDArray[np.bool_]) -> "Cube":
        """Only the rows where `keep` is true, and only the values that they have.

        A value that no row has would be knowledge from elsewhere: in a backtest, from the future.
        """
        codes: dict[str, npt.NDArray[np.int32]] = {}
        values: dict[str, list[str]] = {}
        for name, all_codes in self.codes.items():
            kept, known = all_codes[keep], self.values[name]
            used = np.flatnonzero(np.bincount(kept, minlength=len(known)))
            if len(used) < len(known):
                place = np.zeros(len(known), dtype=np.int32)
                place[used] = np.arange(len(used), dtype=np.int32)
                kept, known = place[kept], [known[i] for i in used.tolist()]
            codes[name], values[name] = kept, known
        return self._replace(
            bucket=self.bucket[keep],
            codes=codes,
            values=values,
            measures={name: sums[keep] for name, sums in self.measures.items()},
        )

    def within(self, window: Window) -> "Cube":
        """Only the rows whose bucket starts in the window."""
        start, end = window.start.timestamp(), window.end.timestamp()
        return self.take((self.bucket >= start) & (self.bucket < end))._replace(window=window)

    def over(self, dims: Sequence[str]) -> "Cube":
        """The same summed over all other dimensions, in order of (bucket, codes). KeyError: a dimension it has not."""
        keys = np.stack([self.bucket, *(self.codes[name].astype(np.int64) for name in dims)], axis=1)
        found, place = np.unique(keys, axis=0, return_inverse=True)
        sums = {name: np.zeros(len(found), dtype=np.int64) for name in self.measures}
        for name, amounts in self.measures.items():
            np.add.at(sums[name], place, amounts)
        return self._replace(
            bucket=found[:, 0],
            codes={name: found[:, at].astype(np.int32) for at, name in enumerate(dims, start=1)},
            values={name: self.values[name] for name in dims},
            measures=sums,
        )

    def total(self, measure: str) -> int:
        """The sum of a measure over all rows."""
        return int(self.measures[measure].sum())


class RecordTable(NamedTuple):
    """Deduplicated records as columns, in order of (occurred_us, record_id).

    Columns carry UsageRecord's names; text columns are object arrays, numbers int64; an absent cost is 0 with
    `unpriced` true. `cut`: whether a row limit left records out.
    """

    window: Window
    scope: Scope
    columns: dict[str, npt.NDArray[np.generic]]
    cut: bool = False

    @property
    def rows(self) -> int:
        """How many records it has."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def column(self, name: str) -> npt.NDArray[np.generic]:
        """One column; KeyError where it was not asked for."""
        return self.columns[name]


class SourceState(BaseModel):
    """How far one source has come."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    role: Role
    records: int
    first_at: AwareDatetime | None
    last_at: AwareDatetime | None
    last_observed_at: AwareDatetime | None
    unpriced: int


def to_us(moment: datetime) -> int:
    """Microseconds since the epoch of an aware datetime, exactly.

    Raises:
        ValueError: the datetime has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment}")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """The UTC datetime of microseconds since the epoch."""
    return _EPOCH + timedelta(microseconds=us)


def iso(moment: datetime) -> str:
    """ISO 8601 with Z, whole seconds unless there are fractions."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def floor_to(moment: datetime, seconds: int) -> datetime:
    """The start of the UTC bucket of that width which holds the moment."""
    return from_us(to_us(moment) // (seconds * 10**6) * seconds * 10**6)


def scopes_of(cube: Cube, group_by: Iterable[str]) -> list[Scope]:
    """The distinct combinations of the dimensions that the cube's rows have, sorted."""
    names = tuple(group_by)
    if not names:
        return [TOTAL]
    if cube.rows == 0:
        return []
    found = np.unique(np.stack([cube.codes[name] for name in names], axis=1), axis=0)
    return sorted(
        (Scope.of({n: cube.values[n][int(c)] for n, c in zip(names, row, strict=True)}) for row in found),
        key=lambda scope: scope.dims,
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
