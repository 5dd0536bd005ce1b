"""What an investigation has before it: the incident, and what the queries fetched for it, now and in the reference."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from store.model.incident import Incident
from store.model.prices import PriceTable
from store.model.span import Span
from store.model.usage import Cube, RecordTable, Scope, Window, floor_to

Data = TypeVar("Data")

WEEK = timedelta(days=7)
MAX_WEEKS = 3
BUCKET_SECONDS = 300


class Reference(NamedTuple):
    """What "normal" is taken from: windows before the incident, newest first, and how that reads.

    Sums over all windows times `scale` are comparable with the incident's window.
    """

    windows: tuple[Window, ...]
    scale: float
    says: str


class Seen(NamedTuple, Generic[Data]):
    """The same question, asked of the incident's window and of each window of the reference."""

    now: Data
    before: tuple[Data, ...]


class KeyPast(NamedTuple):
    """How the key that rose most was used before: hourly rollup rows by model and environment, and its calls."""

    api_key_id: str
    window: Window
    hours: Cube
    calls: RecordTable


class CaseData(NamedTuple):
    """Everything that `analyse` looks at.

    `spend` is of the incident's scope, `wide` of the scope without the dimensions that a cause may change (model,
    release, session); all else is of `core`, the wide scope narrowed to the team and app that explain most. `key` is
    None where no key rose; `changes` reaches some days further back; `steps` are the spans of the core scope's traces.
    """

    incident: Incident
    window: Window
    reference: Reference
    core: Scope
    spend: Seen[Cube]
    wide: Seen[Cube]
    core_spend: Seen[Cube]
    mix: Seen[Cube]
    cache: Seen[Cube]
    calls: Seen[RecordTable]
    users: Seen[RecordTable]
    key: KeyPast | None
    changes: Cube
    prices: PriceTable
    steps: Seen[tuple[Span, ...]] = Seen((), ())


def incident_window(incident: Incident) -> Window:
    """The incident's window on 5-minute edges, at least one bucket long."""
    start = floor_to(incident.window.start, BUCKET_SECONDS)
    end = floor_to(incident.window.end - timedelta(microseconds=1), BUCKET_SECONDS) + timedelta(seconds=BUCKET_SECONDS)
    return Window(start=start, end=max(end, start + timedelta(seconds=BUCKET_SECONDS)))


def weeks_before(window: Window, first_at: datetime | None) -> tuple[Window, ...]:
    """The same hours of the week in up to three earlier weeks, newest first; only weeks that have data."""
    step = WEEK * max(1, -int(-window.seconds // WEEK.total_seconds()))
    earlier = (window.shifted(-step * k) for k in range(1, MAX_WEEKS + 1))
    return tuple(w for w in earlier if first_at is not None and w.start >= first_at)


def hours_before(window: Window, first_at: datetime | None) -> tuple[Window, ...]:
    """The time just before, six hours or the window's length, as far as there are data."""
    if first_at is None:
        return ()
    length = max(timedelta(hours=6), window.end - window.start)
    earliest = max(window.start - length, floor_to(first_at, BUCKET_SECONDS))
    return (Window(start=earliest, end=window.start),) if earliest < window.start else ()


def choose_reference(
    window: Window, *, weeks: Iterable[tuple[Window, int]], hours: tuple[Window, ...], baseline_nanos: int
) -> Reference:
    """The clean weeks where there are any, else the hours before.

    `weeks`: (window, nano-USD spent in it), newest first. A week that spent over twice the expected spend had an
    incident of its own and is left out while a cleaner one remains.
    """
    candidates = list(weeks)
    clean = [w for w, spent in candidates if spent <= 2 * baseline_nanos] or [w for w, _ in candidates]
    if clean:
        count = f"{len(clean)} earlier weeks" if len(clean) > 1 else "an earlier week"
        return Reference(tuple(clean), 1 / len(clean), f"the same hours of {count}")
    seconds = sum(w.seconds for w in hours)
    return Reference(hours, window.seconds / seconds if seconds else 0.0, "the hours before")
