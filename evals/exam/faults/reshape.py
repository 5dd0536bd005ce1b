"""Requests that cost more each: longer thinking, more input, answers that run on (patterns 9, 10 and 17)."""

from dataclasses import dataclass
from datetime import datetime

from evals.world.company import AppSpec
from evals.world.faults.fault import Affected
from store.model.incident import Cause
from store.model.usage import UsageRecord


@dataclass(frozen=True)
class LongerThinking(Affected):
    """Each request thinks for `times` its visible answer more; question and answer stay as they were."""

    times: float = 2.5
    cause: Cause = "reasoning_effort"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:  # noqa: ARG002 - the port's signature
        """The hour's records with the thinking in them."""
        return [self._more(record) if self.holds(record) else record for record in calls]

    def _more(self, record: UsageRecord) -> UsageRecord:
        more = int(self.times * (record.output - record.reasoning))
        return record._replace(output=record.output + more, reasoning=record.reasoning + more)


@dataclass(frozen=True)
class BiggerContext(Affected):
    """Each request carries `times` the input, new tool definitions among it; the answers stay as they were."""

    times: float = 2.2
    more_tools: int = 12
    cause: Cause = "context_bloat"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:  # noqa: ARG002 - the port's signature
        """The hour's records with the larger input."""
        return [self._more(record) if self.holds(record) else record for record in calls]

    def _more(self, record: UsageRecord) -> UsageRecord:
        uncached = int(record.input_uncached * self.times)
        chars = record.prompt_chars + 4 * (uncached - record.input_uncached)
        return record._replace(input_uncached=uncached, prompt_chars=chars, n_tools=record.n_tools + self.more_tools)


@dataclass(frozen=True)
class RunawayOutput(Affected):
    """A `share` of the answers runs on to the limit of `limit` tokens and is cut off there."""

    share: float = 0.6
    limit: int = 8192
    cause: Cause = "runaway_output"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:  # noqa: ARG002 - the port's signature
        """The hour's records, some cut off at the limit."""
        inside, outside = self.split(calls)
        hit = (self.draw(seed, hour).random(len(inside)) < self.share).tolist()
        return outside + [
            self._on(record) if hit[i] and record.status == "ok" else record for i, record in enumerate(inside)
        ]

    def _on(self, record: UsageRecord) -> UsageRecord:
        output = max(self.limit, record.output)
        chars = record.completion_chars + 4 * (output - record.output)
        return record._replace(output=output, finish_reason="length", completion_chars=chars)
