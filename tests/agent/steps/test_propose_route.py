"""With several gateways every draft meets the one that it is for, and its proposal names it."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import pytest

from agent.savings import Record
from agent.steps.propose import propose
from playbooks.registry import PLAYBOOKS
from store.model.ports import Capabilities, GatewayReader
from store.model.prices import PriceKey, PriceTable
from store.model.remedy import Action, Proposal
from store.usage.duckdb import DuckDBWarehouse, open_duckdb
from tests.agent.steps.gateway import LookedAt
from tests.playbooks.tables import NOW, PRICES, every, finding, incident

LOOP = finding("agent_loop", 0.8, others=(("retry_storm", 0.7),), facts={"session_calls_p99_normal": 30})


class Named(LookedAt):
    """A gateway with a name of its own."""

    def __init__(self, name: str, held: int) -> None:
        super().__init__({"max_calls": held})
        self.name = name


class Patient(Named):
    """A gateway at which nothing takes effect until people take it up."""

    def capabilities(self) -> Capabilities:
        """They are given two weeks."""
        return super().capabilities().model_copy(update={"patience_seconds": 14 * 86_400})


FIRST, SECOND = Named("first", 500), Named("second", 700)


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    """Of a runaway session."""
    made = open_duckdb(None, clock=lambda: NOW)
    made.append(every(10, 600, session_id="loop"))
    yield made
    made.close()


def _prices(_: Collection[PriceKey]) -> PriceTable:
    return PRICES


def proposed(
    warehouse: DuckDBWarehouse, takers: dict[str, GatewayReader], records: Mapping[str, Record] | None = None
) -> dict[str, Proposal]:
    """By playbook; `takers`: which gateway takes which kind."""

    def route(actions: Sequence[Action]) -> GatewayReader | None:
        kinds = [action.kind for action in actions if action.kind != "notify"]
        return takers.get(kinds[0]) if kinds else FIRST

    made = propose(
        finding=LOOP,
        incident=incident(),
        warehouse=warehouse,
        price_table_for=_prices,
        reader=FIRST,
        playbooks=PLAYBOOKS,
        never_touch=(),
        now=NOW,
        route=route,
        track_records=records,
    )
    return {one.playbook: one for one in made}


def test_a_proposal_names_the_gateway_that_takes_it_and_what_it_held(warehouse: DuckDBWarehouse) -> None:
    """The prior value is read from that gateway and no other."""
    for gateway, held in ((FIRST, 500), (SECOND, 700)):
        cap = proposed(warehouse, {"set_session_cap": gateway})["session_cap"]
        assert (cap.gateway, cap.actions[0].was) == (gateway.name, {"max_calls": held})


def test_what_no_gateway_takes_is_not_proposed_and_is_said(warehouse: DuckDBWarehouse) -> None:
    """It stands in the note of the proposal that leaves all alone."""
    made = proposed(warehouse, {})
    assert list(made) == ["notify"]
    assert "session_cap (no configured gateway takes it)" in made["notify"].quality_note
    assert made["notify"].gateway == "first"


def test_what_came_of_earlier_estimates_lowers_what_is_believed(warehouse: DuckDBWarehouse) -> None:
    """The confidence, and with it the rank; the plan says so. Another playbook's record is not its own."""
    takers: dict[str, GatewayReader] = {"set_session_cap": FIRST}
    fresh = proposed(warehouse, takers)
    seasoned = proposed(warehouse, takers, {"session_cap": Record(judged=3, came_true=0.0)})
    cap, before = seasoned["session_cap"], fresh["session_cap"]
    assert cap.confidence == pytest.approx(before.confidence / 2)
    assert cap.rank < before.rank
    assert cap.saving.assumption.endswith("earlier estimates of this playbook came true to 0% (remedies: 3)")
    assert cap.saving.mid == before.saving.mid
    assert proposed(warehouse, takers, {"rate_limit": Record(judged=3, came_true=0.0)}) == fresh


def test_what_waits_for_people_waits_longer(warehouse: DuckDBWarehouse) -> None:
    """A day is enough for a limit, and not for people to merge."""
    assert proposed(warehouse, {"set_session_cap": FIRST})["session_cap"].lease_seconds == 86_400
    patient = proposed(warehouse, {"set_session_cap": Patient("host", 500)})
    assert patient["session_cap"].lease_seconds == 14 * 86_400
