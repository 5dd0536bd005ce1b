"""Small worlds and a price table for the tests of the seeded company."""

from datetime import UTC, datetime, timedelta

from evals.world.faults.fault import Fault
from evals.world.gateway import SimulatedGateway
from evals.world.world import World
from store.model.prices import Price, PriceKey, PriceTable, Rates
from store.model.remedy import Action
from store.model.usage import UsageRecord, Window

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)

_USD_PER_MILLION = {
    PriceKey("anthropic", "claude-opus-4-5"): (5, 25),
    PriceKey("anthropic", "claude-opus-4-1"): (15, 75),
    PriceKey("anthropic", "claude-sonnet-4-5"): (3, 15),
    PriceKey("anthropic", "claude-haiku-4-5"): (1, 5),
    PriceKey("openai", "gpt-5"): (2, 10),
    PriceKey("openai", "gpt-5-mini"): (1, 2),
    PriceKey("openai", "gpt-5-nano"): (1, 1),
}


def price_table() -> PriceTable:
    """Round prices for every model of the company."""
    return PriceTable(
        prices={
            key: (
                Price(effective_from=datetime(2026, 1, 1, tzinfo=UTC), rates=_rates(usd_in * 10**9, usd_out * 10**9)),
            )
            for key, (usd_in, usd_out) in _USD_PER_MILLION.items()
        }
    )


def _rates(paid: int, output: int) -> Rates:
    return Rates(
        input_uncached=paid, cache_read=paid // 10, cache_write_5m=paid * 5 // 4, cache_write_1h=paid * 2, output=output
    )


def span(start_hour: float, hours: float) -> Window:
    """A window that many hours after MONDAY began."""
    start = MONDAY + timedelta(hours=start_hour)
    return Window(start=start, end=start + timedelta(hours=hours))


def world_with(*faults: Fault, seed: int = 7) -> World:
    """The company with these faults, priced."""
    return World(seed=seed, faults=faults, prices=price_table())


class Played:
    """A world's traffic in half hours under rules that stand from the window's start, and without them."""

    def __init__(self, fault: Fault, action: Action, window: Window | None = None) -> None:
        window = window or fault.window
        self.action = action
        now = window.start
        gateway = SimulatedGateway(clock=lambda: now)
        applied = gateway.apply(
            action,
            marker="remedy-1",
            idempotency_key="k",
            expected_version=None,
            expires_at=window.end + timedelta(days=1),
        )
        assert applied.status == "done"
        ruled = world_with(fault)
        self.free = [r for r in world_with(fault).traffic(window) if r.app == fault.app]
        self.ruled: list[UsageRecord] = []
        while now < window.end:
            step = Window(start=now, end=min(now + timedelta(minutes=30), window.end))
            self.ruled += [r for r in ruled.traffic(step, gateway) if r.app == fault.app]
            now = step.end


def cost(records: list[UsageRecord]) -> int:
    """Nano-USD of the records."""
    return sum(record.cost_nanos or 0 for record in records)


def count(records: list[UsageRecord], status: str) -> int:
    """How many records have that status."""
    return sum(record.status == status for record in records)
