"""More requests of the same kind: a backfill in the wrong lane, and sessions that fan out (patterns 15 and 18)."""

from dataclasses import dataclass
from datetime import datetime

from evals.world.calls import SOURCE
from evals.world.company import AppSpec
from evals.world.faults.fault import Affected, spread
from evals.world.seasons import release_at
from store.model.incident import Cause
from store.model.usage import UsageRecord


@dataclass(frozen=True)
class Backfill(Affected):
    """A job works through old rows: `per_hour` uniform, distinct prompts, with no user and no session."""

    per_hour: float = 500.0
    job: str = "rework"
    cause: Cause = "batch_backfill"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:
        """The hour's records and the job's."""
        draw, stem = self.draw(seed, hour), self.stem(seed, hour)
        moments = spread(*self.span(hour), self.per_hour, draw)
        n = len(moments)
        inputs = draw.normal(app.input_median, app.input_median / 20, n).astype(int).tolist()
        outputs = draw.normal(app.output_median, app.output_median / 20, n).astype(int).tolist()
        prompts = draw.integers(0, 2**62, n).tolist()
        return calls + [
            UsageRecord(
                record_id=f"{stem}-{i:x}",
                source=SOURCE,
                observed_us=at,
                occurred_us=at,
                provider=app.provider,
                model=app.model,
                requested_model=app.model,
                region=app.region,
                finish_reason="stop",
                latency_ms=600 + 11 * outputs[i],
                trace_id=f"{stem}-{i:x}",
                team=app.team,
                app=app.name,
                environment=app.environment,
                api_key_id=app.key_ids[0],
                route=app.route,
                release=release_at(app, hour),
                job=self.job,
                input_uncached=max(inputs[i], 1),
                output=max(outputs[i], 1),
                prompt_hash=f"{prompts[i]:016x}",
                prompt_chars=4 * max(inputs[i], 1),
                completion_chars=4 * max(outputs[i], 1),
            )
            for i, at in enumerate(moments)
        ]


@dataclass(frozen=True)
class FanOut(Affected):
    """Each call of a session starts about `siblings` further ones beside itself, each with a prompt of its own."""

    siblings: float = 3.0
    cause: Cause = "fan_out"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:  # noqa: ARG002 - the port's signature
        """The hour's records and their siblings."""
        inside, _ = self.split(calls)
        draw = self.draw(seed, hour)
        counts = draw.poisson(self.siblings, len(inside)).tolist()
        out = list(calls)
        for record, count in zip(inside, counts, strict=True):
            if record.status != "ok":
                continue
            prompts = draw.integers(0, 2**62, count).tolist()
            for i, hashed in enumerate(prompts):
                at = min(record.occurred_us + 40_000 * (i + 1), self.window.end_us - 1)
                out.append(
                    record._replace(
                        record_id=f"{record.record_id}.f{i}",
                        observed_us=at,
                        occurred_us=at,
                        span_id=f"{record.record_id}.f{i}",
                        prompt_hash=f"{hashed:016x}",
                        finish_reason="tool_calls",
                    )
                )
        # A sibling may fall into the next hour by a blink; it stays with its parent's.
        last = int((hour.timestamp() + 3600) * 1e6) - 1
        return [record._replace(occurred_us=min(record.occurred_us, last)) for record in out]
