"""A release that puts a changing text in front of the prompt, so that nothing is ever read from cache (pattern 4)."""

from dataclasses import dataclass
from datetime import datetime

from evals.world.company import AppSpec
from evals.world.faults.fault import Affected
from store.model.incident import Cause
from store.model.usage import UsageRecord


@dataclass(frozen=True)
class CacheBreak(Affected):
    """From `release` on each call has a prefix of its own: all of it is written, none is read."""

    release: str = "hotfix-1"
    cause: Cause = "cache_break"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:
        """The hour's records with their cached input written anew."""
        inside, outside = self.split(calls)
        hashes = self.draw(seed, hour).integers(0, 2**62, len(inside)).tolist()
        return outside + [
            self._broken(record, hashed, app.caching == "1h") for record, hashed in zip(inside, hashes, strict=True)
        ]

    def _broken(self, record: UsageRecord, hashed: int, hour_write: bool) -> UsageRecord:
        written = record.cache_read + record.cache_write_5m + record.cache_write_1h
        return record._replace(
            release=self.release,
            prefix_hash=f"{hashed:016x}" if record.prefix_tokens else record.prefix_hash,
            prefix_break_kind="clock" if record.prefix_tokens else record.prefix_break_kind,
            prefix_break_at=10 if record.prefix_tokens else 0,
            cache_read=0,
            cache_write_5m=0 if hour_write else written,
            cache_write_1h=written if hour_write else 0,
        )
