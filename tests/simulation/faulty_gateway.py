"""A gateway that fails as the history's dice say, and the count of what really went wrong."""

import random
from collections import Counter, deque
from datetime import datetime

from evals.world.gateway import SimulatedGateway
from evals.world.gateway_state import Fault, Verb
from store.model.ports import Applied, Clock, Observed, Probed
from store.model.remedy import Action

Seen = Counter[str]
"""How often each kind of fault, state, outcome and event really occurred: "apply:late", "state:unknown"."""

_APPLY: tuple[Fault, ...] = ("ok", "ok", "ok", "lost_answer", "lost_request", "late", "error_after_apply")
_APPLY_RARE: tuple[Fault, ...] = ("garbage", "refused", "no_effect", "not_enforced", "silent_reset")
_REVERT: tuple[Fault, ...] = ("ok", "ok", "ok", "lost_answer", "lost_request", "garbage")
_REVERT_RARE: tuple[Fault, ...] = ("late", "error_after_apply", "refused", "no_effect")
FAULTS: dict[Verb, tuple[Fault, ...]] = {
    "apply": _APPLY * 3 + _APPLY_RARE,
    "revert": _REVERT * 2 + _REVERT_RARE,
    "observe": ("ok",) * 10 + ("garbage", "garbage", "refused"),
    "probe": ("ok",) * 8 + ("garbage", "lost_answer"),
}
CALLS: dict[Verb, int] = {"apply": 4, "revert": 2, "observe": 6, "probe": 3}
"""So many calls of each verb are in danger; later ones go well."""


class FaultyGateway(SimulatedGateway):
    """The simulated gateway with a fault drawn for each of its first calls; `seen` counts those that happened."""

    def __init__(self, *, clock: Clock, cas: bool, dice: random.Random, seen: Seen) -> None:
        super().__init__(clock=clock, cas=cas)
        self._to_come: dict[Verb, deque[Fault]] = {
            verb: deque(dice.choice(FAULTS[verb]) for _ in range(calls)) for verb, calls in CALLS.items()
        }
        self._seen = seen

    def observe(self, action: Action) -> Observed:
        """Read the slot, or fail."""
        self._draw("observe")
        return super().observe(action)

    def look(self, action: Action) -> Observed:
        """Read the slot; never fails."""
        return super().observe(action)

    def apply(
        self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None, expires_at: datetime
    ) -> Applied:
        """Set the value, somehow."""
        self._draw("apply")
        return super().apply(
            action,
            marker=marker,
            idempotency_key=idempotency_key,
            expected_version=expected_version,
            expires_at=expires_at,
        )

    def revert(self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None) -> Applied:
        """Take it back, somehow."""
        self._draw("revert")
        return super().revert(action, marker=marker, idempotency_key=idempotency_key, expected_version=expected_version)

    def probe(self, action: Action, *, marker: str) -> Probed:
        """Ask the enforcing side, or fail."""
        self._draw("probe")
        return super().probe(action, marker=marker)

    def calm(self) -> None:
        """From now on all is well."""
        self._to_come.clear()

    def _draw(self, verb: Verb) -> None:
        waiting = self._to_come.get(verb)
        fault: Fault = waiting.popleft() if waiting else "ok"
        self._seen[f"{verb}:{fault}"] += 1
        if fault != "ok":
            self.script(verb, fault)
