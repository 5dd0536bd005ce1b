"""A provider that times out and a client that tries again at once, paying for every attempt (pattern 2)."""

from dataclasses import dataclass
from datetime import datetime

from evals.world.company import AppSpec
from evals.world.faults.fault import Affected
from store.model.incident import Cause
from store.model.usage import UsageRecord, to_us

TIMEOUTS = (500, 503, 504, 504)


@dataclass(frozen=True)
class RetryStorm(Affected):
    """A `share` of the calls needs 3 to 8 attempts; a failed one is billed for its input and half its output."""

    share: float = 0.9
    fewest_attempts: int = 3
    most_attempts: int = 8
    cause: Cause = "retry_storm"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:  # noqa: ARG002 - the port's signature
        """The hour's records, each with the attempts that failed before it."""
        inside, out = self.split(calls)
        draw = self.draw(seed, hour)
        hit = (draw.random(len(inside)) < self.share).tolist()
        attempts = draw.integers(self.fewest_attempts, self.most_attempts + 1, len(inside)).tolist()
        codes = draw.choice(TIMEOUTS, (len(inside), self.most_attempts)).tolist()
        earliest = max(to_us(hour), self.window.start_us)
        for i, record in enumerate(inside):
            if not hit[i] or record.status != "ok":
                out.append(record)
                continue
            for attempt in range(1, attempts[i]):
                at = max(record.occurred_us - 4_000_000 * (attempts[i] - attempt), earliest)
                out.append(_timed_out(record, attempt, at, codes[i][attempt]))
            out.append(record._replace(attempt=attempts[i]))
        return out


def _timed_out(record: UsageRecord, attempt: int, at_us: int, code: int) -> UsageRecord:
    return record._replace(
        record_id=f"{record.record_id}.t{attempt}",
        observed_us=at_us,
        occurred_us=at_us,
        status="error",
        status_code=code,
        finish_reason="error",
        latency_ms=30_000,
        attempt=attempt,
        output=record.output // 2,
        reasoning=record.reasoning // 2,
        completion_chars=0,
    )
