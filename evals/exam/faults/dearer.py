"""The same requests by another measure: a tokenizer that counts more, a dearer speed, a dearer tier (7, 12 and 11)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from evals.world.company import AppSpec
from evals.world.faults.fault import Affected, hit
from store.model.incident import Cause
from store.model.usage import UsageRecord


@dataclass(frozen=True)
class NewTokenizer(Affected):
    """Requests go to `to_model`, of the same price, whose tokenizer makes `factor` times the tokens of a text."""

    factor: float = 1.35
    to_model: str = "claude-opus-4-7"
    cause: Cause = "tokenizer_change"

    @property
    def brings(self) -> tuple[str, ...]:
        """The model that answers."""
        return (self.to_model,)

    @property
    def counts(self) -> Mapping[str, float]:
        """The model that answers counts more."""
        return {self.to_model: self.factor}

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:  # noqa: ARG002 - the port's signature
        """The hour's records with the other model's counts."""
        return [self._counted(record) if self.holds(record) else record for record in calls]

    def _counted(self, record: UsageRecord) -> UsageRecord:
        def more(tokens: int) -> int:
            return int(tokens * self.factor)

        return record._replace(
            requested_model=self.to_model,
            model=self.to_model,
            input_uncached=more(record.input_uncached),
            cache_read=more(record.cache_read),
            cache_write_5m=more(record.cache_write_5m),
            cache_write_1h=more(record.cache_write_1h),
            output=more(record.output),
            reasoning=more(record.reasoning),
        )


@dataclass(frozen=True)
class FastMode(Affected):
    """A `share` of the requests asks for the fast mode, at a multiple of the price."""

    share: float = 1.0
    cause: Cause = "fast_mode"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:  # noqa: ARG002 - the port's signature
        """The hour's records, some of them fast."""
        return [
            record._replace(speed="fast") if self.holds(record) and hit(record, self.share) else record
            for record in calls
        ]


@dataclass(frozen=True)
class LongerContext(Affected):
    """Prompts that stayed just below the tier for long contexts grow by `factor`, and cross into it."""

    factor: float = 1.3
    cause: Cause = "long_context_tier"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:  # noqa: ARG002 - the port's signature
        """The hour's records with the longer prompts."""
        return [self._longer(record) if self.holds(record) else record for record in calls]

    def _longer(self, record: UsageRecord) -> UsageRecord:
        uncached = int(record.input_uncached * self.factor)
        return record._replace(
            input_uncached=uncached, prompt_chars=record.prompt_chars + 4 * (uncached - record.input_uncached)
        )
