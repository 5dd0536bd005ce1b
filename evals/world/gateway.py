"""A gateway that behaves, and misbehaves, like a real one: read-back, markers, compare-and-set, expiry, faults.

It implements both ports (GatewayReader and Actuator), enforces its rules on the world's traffic (`admit`), and
keeps a log of its own of every change, which the simulations trust more than Bursar's ledger.
"""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Literal

from evals.world.gateway_enforcer import Admission, Enforcer, Request
from evals.world.gateway_state import (
    NO_ANSWER,
    Change,
    Fault,
    GatewayState,
    Mutation,
    Rule,
    Sent,
    Slot,
    Verb,
    slot_of,
)
from store.model.ports import Applied, Capabilities, Clock, Observed, Preview, Probed, Unreadable
from store.model.remedy import Action, ActionKind, Settings

HANDLES: frozenset[ActionKind] = frozenset(
    {
        "set_model_alias",
        "set_rate_limit",
        "set_session_cap",
        "set_output_cap",
        "set_context_cap",
        "set_reasoning_effort",
        "set_prompt_cache",
        "block_key",
    }
)


class SimulatedGateway:
    """Absolute rules per (action kind, target[, from_model]); a version that only grows; None while never set.

    `cas` switches compare-and-set off; `propagation_seconds` passes between a change and its enforcement.
    `state` and `on_change` let a gateway outlive the process that holds it.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        name: str = "simulated",
        cas: bool = True,
        propagation_seconds: int = 0,
        late_seconds: int = 20,
        state: GatewayState | None = None,
        on_change: Callable[[GatewayState], None] | None = None,
    ) -> None:
        self.name = name
        self._clock = clock
        self._cas = cas
        self._propagation = propagation_seconds
        self._late = timedelta(seconds=late_seconds)
        self._on_change = on_change
        kept = state or GatewayState()
        self._rules: dict[Slot, Rule] = dict(kept.rules)
        self._log = list(kept.log)
        self._answered = dict(kept.answered)
        self._in_flight = list(kept.in_flight)
        self._faults: dict[Verb, deque[Fault]] = {
            "observe": deque(),
            "apply": deque(),
            "probe": deque(),
            "revert": deque(),
        }
        self._enforcer = Enforcer(timedelta(seconds=propagation_seconds))
        self._next_expiry: datetime | None = None
        self._enforce()

    # --- the reader ------------------------------------------------------------------------------------------

    def capabilities(self) -> Capabilities:
        """Everything but what was switched off."""
        return Capabilities(
            handles=HANDLES,
            readback=True,
            marker=True,
            cas=self._cas,
            idempotency=True,
            probe=True,
            propagation_seconds=self._propagation,
            permissions=("gateway:write",),
        )

    def observe(self, action: Action) -> Observed:
        """Read the action's slot.

        Raises:
            Unreadable: a fault is due for this call.
        """
        self._settle(self._clock())
        fault = self._fault("observe")
        if fault != "ok":
            what = NO_ANSWER.get(fault, "403 Forbidden")
            raise Unreadable(f"reading {action.kind} of {action.target.text} at {self.name}: {what}")
        rule = self._rules.get(slot_of(action))
        if rule is None:
            return Observed(value={}, marker=None, version=None)
        return Observed(value=rule.value, marker=rule.marker, version=str(rule.version))

    def preview(self, action: Action) -> Preview:
        """Before and after in words."""
        return Preview(before=_words(action, action.was), after=_words(action, action.to))

    # --- the actuator ----------------------------------------------------------------------------------------

    def apply(
        self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None, expires_at: datetime
    ) -> Applied:
        """Set the action's value with our marker until `expires_at`; a key answered before changes nothing again."""
        if action.kind not in HANDLES:
            return Applied(status="refused", detail=f"{self.name} does not handle {action.kind}")
        return self._call(self._sent("apply", action, marker, idempotency_key, expected_version), expires_at)

    def revert(self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None) -> Applied:
        """Restore `action.was` where value and marker are still ours; otherwise conflict."""
        return self._call(self._sent("revert", action, marker, idempotency_key, expected_version), None)

    def probe(self, action: Action, *, marker: str) -> Probed:
        """Ask the enforcing side, as a request of the target would meet it."""
        now = self._clock()
        self._settle(now)
        fault = self._fault("probe")
        if fault != "ok":
            return Probed(status="unsure", detail=NO_ANSWER.get(fault, "403 Forbidden"))
        rule = self._rules.get(slot_of(action))
        if rule is None or rule.marker != marker or rule.value != action.to:
            return Probed(status="no", detail="no such rule")
        if not rule.enforced or now < rule.set_at + timedelta(seconds=self._propagation):
            return Probed(status="no", detail="stored, and traffic does not meet it")
        return Probed(status="yes")

    # --- the traffic, people, and the tests ------------------------------------------------------------------

    def admit(self, request: Request) -> Admission:
        """What becomes of one request of the world's traffic; requests come in order of time."""
        if self._in_flight or (self._next_expiry is not None and request.at >= self._next_expiry):
            self._settle(request.at)
        return self._enforcer.admit(request)

    def edit(self, action: Action, value: Settings, *, who: str) -> None:
        """A person changes the slot by hand: no marker, no expiry, a new version."""
        now = self._clock()
        self._settle(now)
        slot = slot_of(action)
        self._put(slot, Rule(value=value, marker=None, version=self._next_version(slot), set_at=now))
        self._record(now, who, "edit", slot, value)

    def script(self, verb: Verb, *faults: Fault) -> None:
        """The next calls of this verb go so; after them all is well again."""
        self._faults[verb].extend(faults)

    def clear_faults(self) -> None:
        """From now on all is well."""
        for queue in self._faults.values():
            queue.clear()

    @property
    def log(self) -> tuple[Mutation, ...]:
        """Every change, oldest first."""
        return tuple(self._log)

    def state(self) -> GatewayState:
        """All that would survive a restart."""
        return GatewayState(
            rules=list(self._rules.items()), log=self._log, answered=self._answered, in_flight=self._in_flight
        )

    # --- inside ----------------------------------------------------------------------------------------------

    def _sent(self, verb: Change, action: Action, marker: str, key: str, expected_version: str | None) -> Sent:
        return Sent(
            verb=verb,
            slot=slot_of(action),
            to=action.to,
            was=action.was,
            marker=marker,
            key=key,
            expected_version=expected_version,
            arrives_at=self._clock() + self._late,
        )

    def _call(self, sent: Sent, expires_at: datetime | None) -> Applied:
        now = self._clock()
        self._settle(now)
        fault = self._fault(sent.verb)
        sent = sent.model_copy(update={"expires_at": expires_at})
        if fault == "refused":
            return Applied(status="refused", detail="403 Forbidden: the key lacks gateway:write")
        if fault == "no_effect":
            return Applied(status="done", detail="200 OK")
        if fault == "late":
            self._in_flight.append(sent)
            self._changed()
        if fault in ("lost_request", "late"):
            return Applied(status="unsure", detail=NO_ANSWER[fault])
        answer = self._receive(sent, now, enforced=fault != "not_enforced")
        if fault == "silent_reset" and answer.status == "done":
            self._put(sent.slot, Rule(value=sent.was, marker=None, version=self._next_version(sent.slot), set_at=now))
            self._record(now, "gateway", "reset", sent.slot, sent.was)
        if fault in NO_ANSWER:
            return Applied(status="unsure", detail=NO_ANSWER[fault])
        return answer

    def _receive(self, sent: Sent, now: datetime, *, enforced: bool = True) -> Applied:
        if sent.key in self._answered:
            return Applied(status="done", version=str(self._answered[sent.key]), detail="replayed")
        held = self._rules.get(sent.slot)
        version = None if held is None else str(held.version)
        if self._cas and version != sent.expected_version:
            return Applied(status="conflict", version=version, detail=f"version is {version}")
        ours = held is not None and held.marker == sent.marker and held.value == sent.to
        if sent.verb == "revert" and not ours:
            return Applied(status="conflict", version=version, detail="not ours any more")
        if sent.verb == "apply" and ours:
            return Applied(status="done", version=version, detail="already so")
        new = self._next_version(sent.slot)
        if sent.verb == "apply":
            beneath = held.value if held is not None else {}
            rule = Rule(
                value=sent.to,
                marker=sent.marker,
                version=new,
                set_at=now,
                expires_at=sent.expires_at,
                beneath=beneath,
                enforced=enforced,
            )
        else:
            rule = Rule(value=sent.was, marker=None, version=new, set_at=now)
        self._answered[sent.key] = new
        self._put(sent.slot, rule)
        self._record(now, sent.marker, sent.verb, sent.slot, rule.value)
        return Applied(status="done", version=str(new))

    def _settle(self, now: datetime) -> None:
        """Let requests arrive whose time has come, then drop rules whose time is over."""
        arrived = [sent for sent in self._in_flight if sent.arrives_at <= now]
        if arrived:
            self._in_flight = [sent for sent in self._in_flight if sent.arrives_at > now]
            for sent in arrived:
                self._receive(sent, now)
        if self._next_expiry is None or now < self._next_expiry:
            return
        over = [(slot, r) for slot, r in self._rules.items() if r.expires_at is not None and r.expires_at <= now]
        for slot, rule in over:
            self._put(slot, Rule(value=rule.beneath, marker=None, version=rule.version + 1, set_at=now))
            self._record(now, "gateway", "expire", slot, rule.beneath)

    def _fault(self, verb: Verb) -> Fault:
        queue = self._faults[verb]
        return queue.popleft() if queue else "ok"

    def _next_version(self, slot: Slot) -> int:
        held = self._rules.get(slot)
        return 1 if held is None else held.version + 1

    def _put(self, slot: Slot, rule: Rule) -> None:
        self._rules[slot] = rule
        self._enforce()

    def _enforce(self) -> None:
        ends: Iterable[datetime] = (rule.expires_at for rule in self._rules.values() if rule.expires_at is not None)
        self._next_expiry = min(ends, default=None)
        self._enforcer.load(self._rules)

    def _record(
        self,
        now: datetime,
        who: str,
        what: Literal["apply", "revert", "edit", "expire", "reset"],
        slot: Slot,
        value: Settings,
    ) -> None:
        self._log.append(Mutation(at=now, who=who, what=what, slot=slot, value=value))
        self._changed()

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change(self.state())


def _words(action: Action, value: Settings) -> str:
    settings = ", ".join(f"{name} {setting}" for name, setting in value.items() if setting is not None)
    return f"{action.kind} of {action.target.text}: {settings or 'not set'}"
