"""A stolen key: another region, other models, unknown users, at every hour of the day (pattern 3)."""

from dataclasses import dataclass
from datetime import datetime

from evals.world.calls import SOURCE
from evals.world.company import AppSpec
from evals.world.faults.fault import Affected, spread
from store.model.incident import Cause
from store.model.usage import UsageRecord


@dataclass(frozen=True)
class LeakedKey(Affected):
    """A stranger sends `per_hour` requests an hour with the app's key."""

    per_hour: float = 230.0
    models: tuple[str, ...] = ("claude-opus-4-5", "claude-opus-4-1")
    region: str = "ap-southeast-1"
    strangers: int = 40
    cause: Cause = "leaked_key"

    @property
    def brings(self) -> tuple[str, ...]:
        """The models that the stranger likes."""
        return self.models

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:
        """The hour's records and the stranger's."""
        draw, stem = self.draw(seed, hour), self.stem(seed, hour)
        moments = spread(*self.span(hour), self.per_hour, draw)
        n = len(moments)
        inputs = draw.lognormal(7.6, 0.6, n).astype(int).tolist()
        outputs = draw.lognormal(6.8, 0.5, n).astype(int).tolist()
        models = (draw.random(n) ** 3 * len(self.models)).astype(int).tolist()
        users = draw.integers(0, self.strangers, n).tolist()
        prompts = draw.integers(0, 2**62, n).tolist()
        return calls + [
            UsageRecord(
                record_id=f"{stem}-{i:x}",
                source=SOURCE,
                observed_us=at,
                occurred_us=at,
                provider=app.provider,
                model=self.models[models[i]],
                requested_model=self.models[models[i]],
                region=self.region,
                finish_reason="stop",
                latency_ms=900 + 14 * outputs[i],
                trace_id=f"{stem}-{i:x}",
                team=app.team,
                app=app.name,
                environment=app.environment,
                api_key_id=app.key_ids[0],
                end_user=f"x{users[i]:02d}",
                route=app.route,
                input_uncached=inputs[i],
                output=outputs[i],
                prompt_hash=f"{prompts[i]:016x}",
                prompt_chars=4 * inputs[i],
                completion_chars=4 * outputs[i],
            )
            for i, at in enumerate(moments)
        ]
