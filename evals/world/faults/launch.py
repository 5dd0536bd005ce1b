"""A launch: users, sessions and requests rise together and a request costs what it did (pattern 20, not a fault)."""

from dataclasses import dataclass
from datetime import datetime

from evals.world.calls import calls_of
from evals.world.company import AppSpec
from evals.world.faults.fault import Affected
from store.model.incident import Cause
from store.model.usage import UsageRecord


@dataclass(frozen=True)
class Launch(Affected):
    """Adds `growth` times the app's usual traffic, by people not seen before, rising over the first hours."""

    growth: float = 3.0
    ramp_hours: float = 3.0
    cause: Cause = "organic_growth"

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:
        """The hour's records and those of the new users."""
        since = (hour - self.window.start).total_seconds() / 3600 + 0.5
        factor = self.growth * min(max(since / self.ramp_hours, 0.1), 1.0)
        more = calls_of(app, hour, seed, who=self.stream_name, factor=factor, new_users=app.users)
        return calls + [record for record in more if self.holds(record)]
