"""A fault that reaches only a part of the calls, as behind a canary route."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from evals.world.company import AppSpec
from evals.world.faults.cache_break import CacheBreak
from evals.world.faults.fault import hit
from evals.world.faults.model_switch import ModelSwitch
from store.model.incident import Cause
from store.model.usage import UsageRecord, Window


@dataclass(frozen=True)
class Partly:
    """The inner fault, for a `share` of the calls, chosen by a hash of their ids."""

    inner: CacheBreak | ModelSwitch
    share: float

    @property
    def app(self) -> str:
        """The app that it befalls."""
        return self.inner.app

    @property
    def window(self) -> Window:
        """When."""
        return self.inner.window

    @property
    def cause(self) -> Cause:
        """What it truly is."""
        return self.inner.cause

    @property
    def brings(self) -> tuple[str, ...]:
        """Models that the app does not use otherwise."""
        return self.inner.brings

    @property
    def counts(self) -> Mapping[str, float]:
        """As the inner fault's."""
        return self.inner.counts

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:
        """The hour's records, that part of them as the inner fault makes them."""
        reached = [record for record in calls if hit(record, self.share)]
        kept = [record for record in calls if not hit(record, self.share)]
        return kept + self.inner.apply(app, hour, reached, seed=seed)
