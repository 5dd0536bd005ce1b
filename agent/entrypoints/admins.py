"""What the gateways behind admin APIs say of our keys, for `bursar check --online`."""

from agent.entrypoints.options import utc_now
from agent.gateways import admin_gateways
from agent.settings import Settings


def admin_states(settings: Settings) -> list[tuple[str, str]]:
    """(name, "ok, ..." with what the key may do, or what it lacks) of each; nothing is changed by asking."""
    states = []
    for gateway in admin_gateways(settings, clock=utc_now):
        states.append((gateway.name, gateway.ping()))
        gateway.close()
    return states
