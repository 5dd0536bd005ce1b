"""The gateways that the configuration names, and which of them a plan is for.

The first that takes every action of a plan, in this order: guard, litellm_admin, anthropic_admin, openai_admin,
pull_request. The guard comes first: it has compare-and-set, an end by itself and a probe.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, get_args

from agent.guard import guard_gateway
from agent.settings import Settings
from store.ledger.guard_values import slot_of
from store.ledger.ledger import Ledger
from store.model.ports import (
    Actuator,
    Applied,
    Capabilities,
    Clock,
    GatewayReader,
    Observed,
    Preview,
    Probed,
    Unreadable,
)
from store.model.remedy import Action, ActionKind, RemedyState
from tools.actuators.anthropic_admin import AnthropicAdmin
from tools.actuators.litellm_admin import LiteLLMAdmin
from tools.actuators.openai_admin import OpenAIAdmin
from tools.actuators.pull_request import PullRequests
from tools.actuators.pull_request_github import GitHub
from tools.actuators.pull_request_gitlab import GitLab
from tools.actuators.pull_request_host import CodeHost
from tools.actuators.settings import PullRequestSettings
from tools.actuators.slots import Mark, MarkOf, SlotGateway

_AT_WORK: frozenset[RemedyState] = frozenset({"applying", "unknown", "verifying", "kept", "reverting", "paging"})


class Gateway(GatewayReader, Actuator, Protocol):
    """One gateway: what looks and what touches, in one part."""


class Route(NamedTuple):
    """A gateway, and which actions it takes; no I/O."""

    gateway: Gateway
    takes: Callable[[Action], bool]


class Gateways:
    """All that are configured; it looks like one reader that finds the right one for each action."""

    name = "gateways"

    def __init__(self, routes: Sequence[Route], *, close: Callable[[], None] = lambda: None) -> None:
        self._routes = tuple(routes)
        self.close = close

    @property
    def names(self) -> list[str]:
        """In the order in which they are asked."""
        return [route.gateway.name for route in self._routes]

    def route(self, actions: Sequence[Action]) -> Gateway | None:
        """The first gateway that takes all of them; a note goes with any."""
        effects = [action for action in actions if action.kind != "notify"]
        return next((one.gateway for one in self._routes if all(map(one.takes, effects))), None)

    def named(self, name: str) -> Gateway:
        """The gateway of a plan; one that is not configured any more can be neither read nor changed."""
        return next((one.gateway for one in self._routes if one.gateway.name == name), NotConfigured(name))

    def known(self, name: str) -> Gateway | None:
        """The same; None where it is not configured."""
        return self.named(name) if name in self.names else None

    def capabilities(self) -> Capabilities:
        """What at least one of them handles; the rest only where all of them have it."""
        every = [one.gateway.capabilities() for one in self._routes]
        return Capabilities(
            handles=frozenset[ActionKind]().union(*(can.handles for can in every)),
            readback=all(can.readback for can in every),
            marker=all(can.marker for can in every),
            cas=all(can.cas for can in every),
            idempotency=all(can.idempotency for can in every),
            probe=all(can.probe for can in every),
            expiry=all(can.expiry for can in every),
            propagation_seconds=max((can.propagation_seconds for can in every), default=0),
        )

    def observe(self, action: Action) -> Observed:
        """What the gateway that takes the action holds.

        Raises:
            Unreadable: none takes it, or no trustworthy answer.
        """
        gateway = self.route([action])
        if gateway is None:
            raise Unreadable(f"no configured gateway takes {action.kind} of {action.target.text}")
        return gateway.observe(action)

    def preview(self, action: Action) -> Preview:
        """Before and after in words."""
        return (self.route([action]) or NotConfigured("none")).preview(action)


class NotConfigured:
    """Stands for a gateway that a plan names and the configuration does not: nothing is known, nothing is changed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._why = f"the gateway {name} is not configured: put it back into bursar.yaml"

    def capabilities(self) -> Capabilities:
        """It would handle everything, if it could be reached."""
        kinds: frozenset[ActionKind] = frozenset(get_args(ActionKind))
        return Capabilities(
            handles=kinds,
            readback=False,
            marker=False,
            cas=False,
            idempotency=False,
            probe=False,
            expiry=False,
            propagation_seconds=0,
        )

    def observe(self, action: Action) -> Observed:
        """Never.

        Raises:
            Unreadable: always.
        """
        raise Unreadable(f"reading {action.kind} of {action.target.text}: {self._why}")

    def preview(self, action: Action) -> Preview:
        """The bare values."""
        return Preview(before=str(action.was), after=str(action.to))

    def apply(
        self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None, expires_at: datetime
    ) -> Applied:
        """Refused."""
        del action, marker, idempotency_key, expected_version, expires_at
        return Applied(status="refused", detail=self._why)

    def probe(self, action: Action, *, marker: str) -> Probed:
        """Nothing is known."""
        del action, marker
        return Probed(status="unsure", detail=self._why)

    def revert(self, action: Action, *, marker: str, idempotency_key: str, expected_version: str | None) -> Applied:
        """Refused."""
        del action, marker, idempotency_key, expected_version
        return Applied(status="refused", detail=self._why)


def only(gateway: Gateway) -> Gateways:
    """One gateway for whatever it handles, as simulations and tests hand it in."""
    return Gateways([Route(gateway, lambda action: action.kind in gateway.capabilities().handles)])


def open_gateways(settings: Settings, *, ledger: Ledger, clock: Clock) -> Gateways | None:
    """The configured ones; None where there is none. Opens no connection.

    Raises:
        BadInput: the guard's key file cannot be used.
    """
    guard = guard_gateway(settings, ledger=ledger, clock=clock)
    others = admin_gateways(settings, ledger=ledger, clock=clock)
    routes = [Route(other, other.takes) for other in others]
    if guard is not None:
        routes.insert(0, Route(guard, lambda action: action.kind in guard.capabilities().handles))

    def close() -> None:
        for part in (guard, *others):
            if part is not None:
                part.close()

    return Gateways(routes, close=close) if routes else None


def admin_gateways(settings: Settings, *, clock: Clock, ledger: Ledger | None = None) -> list[SlotGateway]:
    """Those behind an admin API, in the order in which they are asked; without a ledger only to be pinged."""

    def books(name: str) -> MarkOf:
        return lambda action: None if ledger is None else mark_of(action, gateway=name, ledger=ledger)

    found: list[SlotGateway] = []
    if settings.litellm_admin is not None:
        found.append(LiteLLMAdmin(settings.litellm_admin, mark_of=books(LiteLLMAdmin.name), clock=clock))
    if settings.anthropic_admin is not None:
        marks = books(AnthropicAdmin.name)
        found.append(AnthropicAdmin(settings.anthropic_admin, mark_of=marks, clock=clock))
    if settings.openai_admin is not None:
        found.append(OpenAIAdmin(settings.openai_admin, mark_of=books(OpenAIAdmin.name), clock=clock))
    if settings.pull_request is not None:
        pulls = settings.pull_request
        found.append(
            PullRequests(
                _code_host(pulls),
                repositories=pulls.repositories,
                paths=pulls.paths,
                patience_days=pulls.patience_days,
                clock=clock,
            )
        )
    return found


def mark_of(action: Action, *, gateway: str, ledger: Ledger) -> Mark | None:
    """Which remedy is at work on this slot of a gateway, as the ledger's intents say."""
    for remedy in ledger.remedies(states=_AT_WORK):
        proposal = ledger.proposal(remedy.remedy_id, remedy.revision)
        if proposal is None or proposal.gateway != gateway:
            continue
        same = next((one for one in proposal.actions if slot_of(one) == slot_of(action)), None)
        sent = [one.intended_at for one in ledger.applications(remedy.remedy_id) if one.verb == "apply"]
        if same is not None and sent:
            ends = remedy.lease_ends_at or sent[-1] + timedelta(seconds=proposal.lease_seconds)
            return Mark(remedy.remedy_id, same.to, sent[-1], ends)
    return None


def _code_host(settings: PullRequestSettings) -> CodeHost:
    make = GitHub if settings.host == "github" else GitLab
    return make(settings.url, settings.token.get_secret_value())
