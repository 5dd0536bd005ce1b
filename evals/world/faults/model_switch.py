"""A route that silently answers with a dearer model than the one asked for (pattern 8)."""

from dataclasses import dataclass
from datetime import datetime

from evals.world.company import AppSpec
from evals.world.faults.fault import Affected
from store.model.incident import Cause
from store.model.usage import UsageRecord


@dataclass(frozen=True)
class ModelSwitch(Affected):
    """Requests for the app's model are answered by `to_model` of the same provider; nothing else changes."""

    to_model: str = "claude-opus-4-5"
    cause: Cause = "model_switch"

    @property
    def brings(self) -> tuple[str, ...]:
        """The model that answers."""
        return (self.to_model,)

    def apply(self, app: AppSpec, hour: datetime, calls: list[UsageRecord], *, seed: int) -> list[UsageRecord]:  # noqa: ARG002 - the port's signature
        """The hour's records, answered by the other model."""
        return [record._replace(model=self.to_model) if self.holds(record) else record for record in calls]
