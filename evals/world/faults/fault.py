"""What a fault is: a change to one app's traffic over a window, which draws from a random stream of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zlib import crc32

import numpy as np

from evals.world.company import AppSpec
from evals.world.streams import id_stem, stream
from store.model.incident import Cause
from store.model.usage import UsageRecord, Window, to_us


class Fault(Protocol):
    """One seeded incident. `cause` is its true name; the app's own traffic outside `window` stays as it was."""

    @property
    def app(self) -> str:
        """The app that it befalls."""
        ...

    @property
    def window(self) -> Window:
        """When."""
        ...

    @property
    def cause(self) -> Cause:
        """What it truly is."""
        ...

    @property
    def brings(self) -> tuple[str, ...]:
        """Models of the app's provider that the app does not use otherwise."""
        ...

    @property
    def counts(self) -> Mapping[str, float]:
        """Models whose tokenizer makes so many times the tokens of a text that the one of the app's own model makes."""
        ...

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:
        """The app's records of that hour as the fault makes them, unpriced, in no promised order."""
        ...


@dataclass(frozen=True)
class Affected:
    """The part that all faults share: which app, and when."""

    app: str
    window: Window

    @property
    def brings(self) -> tuple[str, ...]:
        """No new model, unless a fault says so."""
        return ()

    @property
    def counts(self) -> Mapping[str, float]:
        """One tokenizer, unless a fault says otherwise."""
        return {}

    @property
    def stream_name(self) -> str:
        """Names the fault's own random stream."""
        return f"{type(self).__name__} {self.app} {self.window.start.isoformat()}"

    def draw(self, seed: int, hour: datetime) -> np.random.Generator:
        """The fault's own draws in one hour."""
        return stream(seed, self.stream_name, hour)

    def stem(self, seed: int, hour: datetime) -> str:
        """The start of the ids of records that only the fault makes."""
        return id_stem(seed, self.stream_name, hour)

    def span(self, hour: datetime) -> tuple[int, int]:
        """The part of the hour that lies in the window, as microseconds [start, end); empty where start >= end."""
        end = hour + timedelta(hours=1)
        return max(to_us(hour), self.window.start_us), min(to_us(end), self.window.end_us)

    def holds(self, record: UsageRecord) -> bool:
        """Whether the record lies in the window."""
        return self.window.start_us <= record.occurred_us < self.window.end_us

    def split(self, calls: Iterable[UsageRecord]) -> tuple[list[UsageRecord], list[UsageRecord]]:
        """The records inside the window, and the others."""
        inside: list[UsageRecord] = []
        outside: list[UsageRecord] = []
        for record in calls:
            (inside if self.holds(record) else outside).append(record)
        return inside, outside


def hit(record: UsageRecord, share: float) -> bool:
    """Whether a fault that reaches a `share` of the calls reaches this one; the same ones for every fault."""
    return crc32(record.record_id.encode()) % 1000 < 1000 * share


def spread(start_us: int, end_us: int, per_hour: float, draw: np.random.Generator) -> list[int]:
    """Moments of a Poisson stream in [start, end), ascending, in microseconds."""
    if start_us >= end_us:
        return []
    count = int(draw.poisson(per_hour * (end_us - start_us) / 3.6e9))
    return sorted(draw.integers(start_us, end_us, count).tolist())
