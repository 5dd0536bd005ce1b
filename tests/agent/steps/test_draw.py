"""The incident's chart, over a real warehouse."""

import struct
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from agent.report.incident_chart import HEIGHT, WIDTH
from agent.steps.draw import draw
from store.model.usage import Scope
from tests.agent.steps.usage import END, HOUR, company, records, warehouse_with
from tests.store.ledger.examples import an_incident

INCIDENT = an_incident().model_copy(
    update={"started_at": END - 20 * HOUR, "seen_until": END - 2 * HOUR, "opened_at": END - 18 * HOUR}
)


@pytest.mark.parametrize("length", [timedelta(0), 5 * HOUR, timedelta(days=3)])
def test_the_chart_is_a_picture(length: timedelta) -> None:
    """Of the size that is promised, for a spike that has just begun and for one of days."""
    warehouse = warehouse_with(records(company()), clock=lambda: END)
    incident = INCIDENT.model_copy(update={"started_at": INCIDENT.seen_until - length})
    content = draw(incident=incident, warehouse=warehouse, zone=ZoneInfo("Europe/Berlin"))
    assert content is not None
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24]) == (WIDTH, HEIGHT)
    warehouse.close()


def test_the_chart_depends_on_the_scope_alone() -> None:
    """A session is drawn as the traffic around it; another team looks different; nobody's traffic is no chart."""
    warehouse = warehouse_with(records(company()), clock=lambda: END)

    def chart(**dims: str) -> bytes | None:
        incident = INCIDENT.model_copy(update={"scope": Scope.of(dims)})
        return draw(incident=incident, warehouse=warehouse, zone=ZoneInfo("UTC"))

    assert chart(team="search") == chart(team="search", session_id="loop")
    assert chart(team="search") != chart(team="ads")
    assert chart(team="nobody") is None
    warehouse.close()
