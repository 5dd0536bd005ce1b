"""Prompt caches that stop paying: a shorter life, and writes that nobody reads (patterns 5 and 14)."""

from dataclasses import dataclass, replace
from datetime import datetime

from evals.world.calls import calls_of
from evals.world.company import AppSpec
from evals.world.faults.fault import Affected, hit
from store.model.incident import Cause
from store.model.usage import UsageRecord


@dataclass(frozen=True)
class ShorterLife(Affected):
    """From `release` on a `share` of the calls has cache entries of five minutes where they had an hour.

    A call that comes later than that after the one before finds its entry gone and writes it anew.
    """

    share: float = 1.0
    release: str = "cache-defaults"
    cause: Cause = "cache_ttl"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:
        """The hour's records with what a five-minute cache would have read and written."""
        # The same stream draws the same calls; only what the cache holds differs. A thin app's turns are far apart.
        short = {record.record_id: record for record in calls_of(replace(app, caching="5m"), hour, seed)}
        return [self._short(record, short.get(record.record_id)) for record in calls]

    def _short(self, record: UsageRecord, short: UsageRecord | None) -> UsageRecord:
        if short is None or not self.holds(record) or not hit(record, self.share):
            return record
        missed = record.cache_read - short.cache_read
        return record._replace(
            release=self.release,
            cache_read=short.cache_read,
            cache_write_1h=0,
            cache_write_5m=record.cache_write_1h + max(missed, 0),
        )


@dataclass(frozen=True)
class WriteOnly(Affected):
    """Somebody marks the whole prompt of a `share` of the calls for an hour's cache; no two prompts are alike."""

    share: float = 1.0
    release: str = "cache-everything"
    cause: Cause = "cache_write_premium"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:  # noqa: ARG002 - the port's signature
        """The hour's records with their input written to the cache."""
        return [self._written(record) if self.holds(record) and hit(record, self.share) else record for record in calls]

    def _written(self, record: UsageRecord) -> UsageRecord:
        return record._replace(
            release=self.release, input_uncached=0, cache_write_1h=record.cache_write_1h + record.input_uncached
        )
