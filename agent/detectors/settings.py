"""What the operator may tune about detection; every default is meant to work untouched."""

import math

from pydantic import BaseModel, ConfigDict, Field, model_validator

from store.model.usage import CUBE_DIMENSIONS, Scope, Window

DAY_SECONDS = 86_400
BUCKET_WIDTHS = (60, 300, *(hours * 3600 for hours in range(1, 25) if 24 % hours == 0))
"""What the warehouse can sum usage by, in seconds."""

DEFAULT_GROUP_BYS: tuple[tuple[str, ...], ...] = (
    (),
    ("team",),
    ("team", "app"),
    ("team", "app", "api_key_id"),
    ("model",),
    ("team", "app", "model"),
)


class PlannedEvent(BaseModel):
    """Spend that people expect: incidents inside its scope and window are shown, and not acted upon."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    scope: Scope = Scope()
    window: Window
    owner: str = ""
    """Whom to ask about it."""


class DetectorSettings(BaseModel):
    """The part `detectors:` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bucket_seconds: int = 3600
    """Width of a judged bucket; 3600 (default), 300, or 60 where traffic is little: no rollup keeps minutes.

    A series is never finer than its coarsest source.
    """
    group_bys: tuple[tuple[str, ...], ...] = DEFAULT_GROUP_BYS
    """Which series are watched: one for every combination of values of each tuple of dimensions."""
    windows_hours: tuple[float, ...] = (1, 3, 12, 24, 72)
    """Lengths of the windows that are judged at the end of every bucket; one bucket is always among them."""
    history_days: int = Field(default=28, ge=2, le=120)
    """How far back usage is read to learn what is normal."""
    horizon_days: int = Field(default=7, ge=1, le=28)
    """How far back spikes are reported; a spike that began earlier keeps its start in the incident."""
    min_history_hours: int = Field(default=24, ge=1)
    """A series is judged against its own past from this age on; younger ones by `new_series_usd` and sessions only."""
    min_excess_usd: float = Field(default=5.0, ge=0)
    """The least excess in USD, within one window, that is worth an alert."""
    min_ratio: float = Field(default=1.35, gt=1)
    """The least spend in a window beyond its noise, as a multiple of its baseline; growth below it is no incident."""
    cold_ratio: float = Field(default=3.0, gt=1)
    """The same while fewer than three days could be judged; it falls to `min_ratio` until ten could."""
    false_alerts_per_series_week: float = Field(default=0.02, gt=0, lt=1)
    """The false-alert budget: the fewer are tolerated, the further a window must leave its past behind."""
    end_after_hours: float = Field(default=6, gt=0)
    """A spike has ended once no bucket was abnormal for so long."""
    unit_min_ratio: float = Field(default=1.2, gt=1)
    """The least rise in USD per request (or per input token, for cache breaks)."""
    unit_min_requests: int = Field(default=30, ge=1)
    """Requests that a window needs before its unit cost is judged."""
    cache_min_ratio: float = Field(default=0.2, ge=0, le=1)
    """Only series whose cache-hit ratio is normally at least this are watched for a drop."""
    cache_drop: float = Field(default=0.7, gt=0, lt=1)
    """A drop: the hit ratio of the window is below this share of the normal one."""
    new_series_usd: float = Field(default=10.0, ge=0)
    """What a series without any history may spend in its first three days before it is reported."""
    new_series_history_days: int = Field(default=7, ge=1)
    """How long the data as a whole must be known before "without history" means anything."""
    session_hours: int = Field(default=24, ge=1)
    """How far back records are read for the sizes of sessions."""
    session_min_calls: int = Field(default=60, ge=2)
    """Calls that a session may make in any case."""
    session_min_usd: float = Field(default=2.0, ge=0)
    """USD that a session may cost in any case."""
    session_ratio: float = Field(default=3.0, gt=1)
    """How far above the app's 99th percentile of calls per session is abnormal."""
    explained_share: float = Field(default=0.8, gt=0.5, le=1)
    """The share of a wider scope's excess that a deeper scope must account for to be the incident's scope."""
    reopen_hours: int = Field(default=24, ge=0)
    """A spike in the same scope so soon after closing extends the old incident."""
    late_hours: int = Field(default=48, ge=1)
    """Spikes that have ended, and could have been raised longer ago than this, make no new incident."""
    revise_after_minutes: int = Field(default=15, ge=0)
    """The least time between two revisions of an incident."""
    disagreement_share: float = Field(default=0.1, gt=0)
    """Metered and reference spend further apart than this are not believed."""
    planned: tuple[PlannedEvent, ...] = ()
    """Known events: launches, backfills, load tests; `bursar planned add` keeps others in the ledger."""

    @model_validator(mode="after")
    def _sound(self) -> "DetectorSettings":
        if self.bucket_seconds not in BUCKET_WIDTHS:
            raise ValueError(f"bucket_seconds is 60, 300 or whole hours that divide a day; got {self.bucket_seconds}")
        for group_by in self.group_bys:
            unknown = [name for name in group_by if name not in CUBE_DIMENSIONS]
            if unknown:
                raise ValueError(f"group_bys: unknown dimension {unknown[0]!r}; known: {', '.join(CUBE_DIMENSIONS)}")
        return self

    @property
    def dims(self) -> tuple[str, ...]:
        """The dimensions that any group-by names, in the order of CUBE_DIMENSIONS."""
        named = {name for group_by in self.group_bys for name in group_by}
        return tuple(name for name in CUBE_DIMENSIONS if name in named)

    @property
    def buckets_per_day(self) -> int:
        """Buckets in 24 hours."""
        return DAY_SECONDS // self.bucket_seconds

    def buckets(self, hours: float) -> int:
        """Buckets in so many hours, at least one."""
        return max(1, round(hours * 3600 / self.bucket_seconds))

    @property
    def windows(self) -> tuple[int, ...]:
        """Distinct window lengths in buckets, ascending, one bucket first."""
        return tuple(sorted({1, *(self.buckets(hours) for hours in self.windows_hours)}))

    @property
    def sigmas(self) -> float:
        """How many standard deviations the false-alert budget asks for.

        The expected number of exceedances of a Gaussian over n looks is about n exp(-z**2 / 2): the looks of one
        series in one week are windows x buckets.
        """
        looks = len(self.windows) * 7 * self.buckets_per_day
        return math.sqrt(2 * math.log(looks / self.false_alerts_per_series_week))
