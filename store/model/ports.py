"""The ports: what Bursar needs of a gateway and of a usage warehouse, without knowing whose it is.

A `GatewayReader` looks, an `Actuator` touches. Only the steps apply, verify and revert are ever given an Actuator.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from store.model.prices import PriceKey, PriceTable
from store.model.remedy import Action, ActionKind, Settings
from store.model.span import SourceRow, Span
from store.model.statement import Offer, StatementState
from store.model.usage import (
    Arrival,
    Cube,
    Expired,
    Intake,
    Quarantined,
    RecordTable,
    Role,
    Scope,
    SourceState,
    UsageRecord,
    Window,
)
from store.model.usage_batch import Delivery, UsageBatch

Clock = Callable[[], datetime]
"""Now, in UTC."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Capabilities(_Value):
    """What a gateway can do for us. Autonomy needs readback, marker and probe."""

    handles: frozenset[ActionKind]
    readback: bool
    marker: bool
    cas: bool
    idempotency: bool
    probe: bool
    propagation_seconds: int
    permissions: tuple[str, ...] = ()
    expiry: bool = True
    """Drops a change by itself at its end; without it Bursar must be there to take it back."""
    patience_seconds: int = 0
    """Above 0: nothing takes effect until people take it up, and they are given so long before it is taken back."""


class Taken(_Value):
    """What people made of a remedy's pull request or issue: `up` (merged, done) or turned down, and when."""

    remedy: str
    up: bool
    at: datetime


class Observed(_Value):
    """What a gateway holds for one action's kind and target now. `value` {}: not set. `marker`: whose change it is."""

    value: Settings
    marker: str | None
    version: str | None
    taken: Taken | None = None
    """Only where people take up what Bursar proposes to them, and have answered."""


class Preview(_Value):
    """What an action would change, for people: `before` and `after` as plain text."""

    before: str
    after: str


class Applied(_Value):
    """What a call to change a gateway did.

    done: the gateway says that it holds the value. conflict: compare-and-set refused, nothing changed.
    refused: the gateway said no, nothing changed. unsure: no trustworthy answer (timeout, 5xx, garbage):
    observe before anything else.
    """

    status: Literal["done", "conflict", "refused", "unsure"]
    version: str | None = None
    detail: str = ""


class Probed(_Value):
    """Whether live traffic of the target meets the change. no: the change is not in force (yet)."""

    status: Literal["yes", "no", "unsure"]
    detail: str = ""


class Unreadable(Exception):
    """The gateway could not be read: what was asked, of whom, and what came back."""


class GatewayReader(Protocol):
    """Looks at a gateway; never changes it. Handed to propose, rule and observe."""

    @property
    def name(self) -> str:
        """The gateway's name in the configuration."""
        ...

    def capabilities(self) -> Capabilities:
        """What this gateway can do; no I/O."""
        ...

    def observe(self, action: Action) -> Observed:
        """Read what the gateway holds now for the action's kind and target (and `from_model`, for an alias).

        Raises:
            Unreadable: no trustworthy answer.
        """
        ...

    def preview(self, action: Action) -> Preview:
        """Before and after in words; no I/O."""
        ...


class Actuator(Protocol):
    """Changes a gateway. Handed to apply, verify and revert only. No method raises for a gateway's fault."""

    def apply(
        self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None, expires_at: datetime
    ) -> Applied:
        """Set the absolute value, with our marker; the gateway drops it by itself at `expires_at` where it can.

        Where the gateway has compare-and-set, a version other than `expected_version` is a conflict.
        Applying twice equals applying once.
        """
        ...

    def probe(self, action: Action, *, marker: str) -> Probed:
        """Ask the live data path whether the change is in force."""
        ...

    def revert(self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None) -> Applied:
        """Restore `action.was`, only where the value and marker are still ours; otherwise conflict."""
        ...


class Warehouse(Protocol):
    """Usage records and their rollups. One process writes; all reads are of deduplicated records."""

    def append(self, records: Sequence[UsageRecord] | UsageBatch, *, role: Role = "metered") -> Intake:
        """Add records; idempotent and order-free by `record_id`. Marks the buckets that changed as dirty."""
        ...

    def restate(
        self,
        offers: Sequence[Offer],
        batches: Iterable[tuple[Sequence[str], Sequence[UsageRecord]]],
        *,
        role: Role = "metered",
    ) -> Intake:
        """Take in whole statements, each of another slot; `batches` has the slot of each row, and the rows.

        Of the statements of a slot the greatest (version, digest) holds, whatever the order of arrival.
        """
        ...

    def statements(self) -> list[StatementState]:
        """The statements that hold, by source and account."""
        ...

    def pulls(self) -> dict[str, str]:
        """How far the scheduled pull of each source has come, as it was kept."""
        ...

    def keep_pull(self, source: str, body: str) -> None:
        """Keep how far a pull has come."""
        ...

    def quarantine(self, rows: Sequence[Quarantined]) -> None:
        """Keep rows that cannot be right, with their reasons; the same row twice is kept once."""
        ...

    def append_spans(self, found: Sequence[Span]) -> None:
        """Keep what ran in traces; idempotent and order-free by (trace_id, span_id)."""
        ...

    def spans(self, window: Window, *, scope: Scope = ..., limit: int) -> list[Span]:
        """The newest spans of the window, of traces in which a call of the scope ended then; oldest first."""
        ...

    def roll_up(self) -> Window | None:
        """Recompute all dirty 5-minute and hourly buckets in one transaction; the span they covered, or None."""
        ...

    def reprice(self, table_for: Callable[[Iterable[PriceKey]], PriceTable]) -> int:
        """Set the cost of rows that had no price and whose model is known by now; marks their buckets as dirty."""
        ...

    def expire(self, *, records_before: datetime, fine_before: datetime, coarse_before: datetime) -> Expired:
        """Drop records, 5-minute and hourly roll-ups from before those times; what was rolled up stays readable.

        Rows that come from before it later on are quarantined.
        """
        ...

    def cube(
        self, window: Window, *, bucket_seconds: int, dims: Sequence[str], scope: Scope = ..., role: Role = "metered"
    ) -> Cube:
        """Rollup rows of buckets that start in the window, summed over all other dimensions.

        `bucket_seconds` is 60, 300, 3600 or a multiple of 3600.
        """
        ...

    def records(
        self,
        window: Window,
        *,
        scope: Scope = ...,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        role: Role = "metered",
    ) -> RecordTable:
        """Deduplicated records with occurred_at in the window, oldest first; `limit` keeps the newest."""
        ...

    def sources(self) -> list[SourceState]:
        """How far each source has come."""
        ...

    def arrivals(self, window: Window) -> list[Arrival]:
        """How late the calls of the window's hours were first known; what came after its end is not told."""
        ...

    def taken(self) -> Intake:
        """What became of every row that ever came in: in = accepted + duplicate + superseded + quarantined."""
        ...

    def unpriced(self, window: Window) -> list[tuple[str, str, int, int]]:
        """(provider, model, records, tokens) of rows that have tokens and no price."""
        ...

    def quarantined(self, *, limit: int = 100) -> list[Quarantined]:
        """The newest quarantined rows."""
        ...

    def snapshot(self, window: Window, folder: Path) -> Path:
        """Write the deduplicated records of the window, both roles, to one Parquet file in the folder; its path."""
        ...

    def load_snapshot(self, path: Path) -> Intake:
        """Append the records of a snapshot."""
        ...

    def close(self) -> None:
        """Release the engine's files."""
        ...


class Source(Protocol):
    """Turns what one door delivers into records. Rows that cannot be right come out as Quarantined."""

    def read(self, paths: Iterable[Path]) -> Iterable[SourceRow]:
        """Rows in file order, lazily; memory does not grow with the number of rows.

        Raises:
            BadInput: a file cannot be read at all.
        """
        ...


@runtime_checkable
class ColumnSource(Protocol):
    """A source that can also deliver by columns, which is many times faster; the records are the same."""

    def deliveries(self, paths: Iterable[Path]) -> Iterable[Delivery]:
        """What the files hold, lazily; memory does not grow with the number of rows.

        Raises:
            BadInput: a file cannot be read (on); what came before was delivered.
        """
        ...
