"""An agent that never finishes: thousands of calls in one session, few prompts, a growing input (pattern 1)."""

from dataclasses import dataclass
from datetime import datetime

from evals.world.calls import SOURCE
from evals.world.company import AppSpec
from evals.world.faults.fault import Affected, spread
from evals.world.seasons import release_at
from store.model.incident import Cause
from store.model.usage import UsageRecord


@dataclass(frozen=True)
class AgentLoop(Affected):
    """One session that calls `per_hour` times an hour; its input grows by `growth` tokens an hour up to `ceiling`."""

    per_hour: float = 420.0
    first_input: int = 6000
    growth: int = 9000
    ceiling: int = 48000
    prompts: int = 3
    cause: Cause = "agent_loop"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:
        """The hour's records and those of the loop."""
        draw, stem = self.draw(seed, hour), self.stem(seed, hour)
        moments = spread(*self.span(hour), self.per_hour, draw)
        session = f"s-{self.stem(seed, self.window.start)}"
        jitter = draw.integers(-150, 150, len(moments)).tolist()
        output = draw.lognormal(5.5, 0.3, len(moments)).astype(int).tolist()
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
                finish_reason="tool_calls",
                latency_ms=2200 + 9 * output[i],
                trace_id=session,
                session_id=session,
                team=app.team,
                app=app.name,
                environment=app.environment,
                api_key_id=app.key_ids[0],
                end_user=f"{app.name}-u0",
                route=app.route,
                release=release_at(app, hour),
                input_uncached=self._input(at) + jitter[i],
                output=output[i],
                prompt_hash=f"{seed:08x}{i % self.prompts:08x}",
                prompt_chars=4 * self._input(at),
                completion_chars=4 * output[i],
                n_tools=app.tools,
            )
            for i, at in enumerate(moments)
        ]

    def _input(self, at_us: int) -> int:
        hours = (at_us - self.window.start_us) / 3.6e9
        return min(self.first_input + int(self.growth * hours), self.ceiling)
