"""How the demo assembles the service: the shipped defaults, a policy in mode auto, and the simulated gateway."""

from collections.abc import Iterable
from pathlib import Path

from agent.app import assemble
from agent.bursar import Bursar
from agent.policy import Owner, Policy
from agent.settings import ScheduleSettings, Settings
from evals.demo.service import SimulatedClock
from evals.demo.story import ON_CALL, OWNERS
from evals.world.gateway import SimulatedGateway
from store.model.prices import PriceKey, PriceTable
from store.prices import PriceBook


def open_service(folder: Path, clock: SimulatedClock, gateway: SimulatedGateway) -> Bursar:
    """The service over the demo's clock and gateway, with its data in the folder; an earlier demo's data go."""
    for name in ("ledger.db", "usage.duckdb", "checkpoints.db"):
        for path in folder.glob(f"{name}*"):
            path.unlink()
    return assemble(settings(folder), clock=clock, owner="demo", gateway=gateway)


def settings(folder: Path) -> Settings:
    """The configuration: rules may act, each team's owner decides for its traffic, the on-call for the rest."""
    owners = tuple(Owner(scope={"team": team}, people=(who,), approvers=(who,)) for team, who in OWNERS.items())
    return Settings(
        data_dir=folder,
        policy=Policy(mode="auto", approvers=(ON_CALL,), owners=owners),
        # The company's gateway reports at once.
        schedule=ScheduleSettings(source_delay_seconds=0),
    )


def price_table(keys: Iterable[PriceKey]) -> PriceTable:
    """List prices of the models that the company uses."""
    return PriceBook().table_for(keys)
