"""Rule gathers what is true at this moment and asks the policy."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pytest

from agent.policy import Policy
from agent.steps.rule import gather_facts, rule
from store.model.incident import TrustNote
from store.model.ports import GatewayReader
from store.model.usage import Scope
from store.usage.duckdb import DuckDBWarehouse, open_duckdb
from tests.agent.steps.gateway import LookedAt
from tests.agent.test_policy import proposal
from tests.playbooks.tables import NOW, SCOPE, every

AUTO = Policy(mode="auto")
LATELY = NOW - timedelta(hours=2)


class Books:
    """What a ruling reads of the ledger."""

    def __init__(self, effects: Sequence[tuple[datetime, str, Scope]] = (), *, kill_switch: bool = False) -> None:
        self._effects, self._kill_switch = effects, kill_switch

    def kill_switch(self) -> bool:
        """As it was made."""
        return self._kill_switch

    def effects_since(self, moment: datetime) -> list[tuple[datetime, str, Scope]]:
        """Those since then."""
        return [effect for effect in self._effects if effect[0] >= moment]


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    """A day of staging traffic in memory: 100 calls of 4.5 milli-dollars."""
    made = open_duckdb(None, clock=lambda: NOW)
    made.append(every(60, 100, start=LATELY, environment="staging"))
    yield made
    made.close()


def ruled(
    warehouse: DuckDBWarehouse,
    books: Books | None = None,
    *,
    trust: Sequence[TrustNote] = (),
    reader: GatewayReader | None = None,
    policy: Policy = AUTO,
) -> tuple[str, tuple[str, ...]]:
    """The verdict, and what lowered it."""
    ruling = rule(
        proposal=proposal(),
        policy=policy,
        ledger=books or Books(),
        warehouse=warehouse,
        trust=trust,
        reader=reader or LookedAt(),
        now=NOW,
    )
    return ruling.verdict, ruling.lowered_by


def test_a_small_cap_on_staging_traffic_is_applied(warehouse: DuckDBWarehouse) -> None:
    """The environment comes from the records of the last day."""
    assert ruled(warehouse) == ("apply", ())


def test_one_production_call_is_enough_to_ask(warehouse: DuckDBWarehouse) -> None:
    """Mixed traffic is production traffic."""
    warehouse.append(every(1, 1, start=LATELY, first=900, environment="production"))
    assert ruled(warehouse) == ("ask", ())


def test_claimed_records_alone_never_justify_an_effect(warehouse: DuckDBWarehouse) -> None:
    """More than half of the records come from clients."""
    warehouse.append(every(1, 101, start=LATELY, first=500, environment="staging", grade="claimed"))
    assert ruled(warehouse) == ("ask", ("attested",))


def test_the_kill_switch_is_read_at_every_ruling(warehouse: DuckDBWarehouse) -> None:
    """On means that nothing happens."""
    assert ruled(warehouse, Books(kill_switch=True)) == ("observe", ("kill-switch",))


def test_effects_are_counted_by_hour_day_and_scope(warehouse: DuckDBWarehouse) -> None:
    """An effect exactly an hour ago still counts; other scopes count towards the number of scopes."""
    ads = Scope.of(team="ads")
    books = Books(
        [(NOW - timedelta(hours=1), "rem-a", SCOPE), (NOW - timedelta(hours=5), "rem-b", ads), (NOW, "rem-c", ads)]
    )
    facts = gather_facts(
        proposal=proposal(), policy=AUTO, ledger=books, warehouse=warehouse, trust=(), reader=LookedAt(), now=NOW
    )
    assert (facts.effects_last_hour, facts.effects_last_day) == (2, 3)
    assert (facts.effects_in_scope_last_day, facts.scopes_last_day) == (1, 1)
    assert facts.spend_nanos_per_day == 100 * 4_500_000
    busy = Books([(NOW - timedelta(minutes=n), f"rem-{n}", ads) for n in range(3)])
    assert ruled(warehouse, busy) == ("ask", ("effects-per-hour",))


def test_doubt_counts_where_the_traffic_shows_it(warehouse: DuckDBWarehouse) -> None:
    """An unpriced model that this traffic never used is no reason; a silent source over it is."""
    other = TrustNote(scope=Scope.of(model="mystery"), kind="unpriced", says="no price")
    silent = TrustNote(scope=Scope.of(source="gateway"), kind="silent_source", says="silent")
    assert ruled(warehouse, trust=(other,)) == ("apply", ())
    assert ruled(warehouse, trust=(silent,)) == ("observe", ("trust:silent_source",))
    warehouse.append(every(1, 1, start=LATELY, first=900, environment="staging", model="mystery", cost_nanos=0))
    assert ruled(warehouse, trust=(other,)) == ("observe", ("trust:unpriced",))


def test_another_gateway_is_not_the_proposals(warehouse: DuckDBWarehouse) -> None:
    """What another gateway can do says nothing about this one."""

    class Other(LookedAt):
        name = "other"

    assert ruled(warehouse, reader=Other())[0] == "observe"


def test_listed_traffic_inside_the_target_is_never_touched(warehouse: DuckDBWarehouse) -> None:
    """Bursar's own key calls through the target's app."""
    policy = Policy(mode="auto", never_touch=(Scope.of(api_key_id="key-1"),))
    assert ruled(warehouse, policy=policy) == ("observe", ("never-touch",))


def test_the_phase_stands_in_the_ruling(warehouse: DuckDBWarehouse) -> None:
    """Ruled again before it is applied."""
    ruling = rule(
        proposal=proposal(),
        policy=AUTO,
        ledger=Books(),
        warehouse=warehouse,
        trust=(),
        reader=LookedAt(),
        now=NOW,
        phase="apply",
    )
    assert (ruling.phase, ruling.verdict) == ("apply", "apply")
