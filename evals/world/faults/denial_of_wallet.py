"""One end user who sends long inputs for the longest answers, hour after hour (pattern 16)."""

from dataclasses import dataclass
from datetime import datetime

from evals.world.calls import SOURCE
from evals.world.company import AppSpec
from evals.world.faults.fault import Affected, spread
from evals.world.seasons import release_at
from store.model.incident import Cause
from store.model.usage import UsageRecord


@dataclass(frozen=True)
class DenialOfWallet(Affected):
    """One user sends `per_hour` requests of about `input_tokens`, answered up to the limit of `output_tokens`."""

    per_hour: float = 540.0
    input_tokens: int = 12_000
    output_tokens: int = 4096
    cause: Cause = "denial_of_wallet"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:
        """The hour's records and the attacker's."""
        draw, stem = self.draw(seed, hour), self.stem(seed, hour)
        moments = spread(*self.span(hour), self.per_hour, draw)
        n = len(moments)
        inputs = draw.normal(self.input_tokens, self.input_tokens / 10, n).astype(int).tolist()
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
                finish_reason="length",
                latency_ms=45_000,
                trace_id=f"{stem}-{i:x}",
                session_id=f"s-{stem}",
                team=app.team,
                app=app.name,
                environment=app.environment,
                api_key_id=app.key_ids[0],
                end_user=f"{app.name}-u{app.users * 3}",
                route=app.route,
                release=release_at(app, hour),
                input_uncached=max(inputs[i], 1),
                output=self.output_tokens,
                prompt_hash=f"{prompts[i]:016x}",
                prompt_chars=4 * max(inputs[i], 1),
                completion_chars=4 * self.output_tokens,
            )
            for i, at in enumerate(moments)
        ]
