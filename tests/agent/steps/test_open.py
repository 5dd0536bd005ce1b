"""open keeps incidents and names those that need a case."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from agent.steps.open import open_incidents
from store.ledger.ledger import Ledger, open_ledger
from store.model.incident import Incident
from store.model.usage import Scope

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    opened = open_ledger("sqlite://", clock=lambda: NOW)
    yield opened
    opened.close()


def incident(**changes: object) -> Incident:
    plain = Incident(
        id="inc-1",
        scope=Scope.of(team="search"),
        opened_at=NOW,
        started_at=NOW - timedelta(hours=2),
        seen_until=NOW,
        revised_at=NOW,
        excess_nanos=10,
        baseline_nanos=5,
        actual_nanos=15,
        revised_excess_nanos=10,
    )
    return plain.model_copy(update=changes)


def test_a_new_incident_needs_a_case(ledger: Ledger) -> None:
    """It is saved and named once."""
    assert open_incidents(ledger=ledger, incidents=[incident()]) == [("inc-1", 1)]
    assert ledger.incident("inc-1") == incident()
    assert open_incidents(ledger=ledger, incidents=[incident()]) == []


def test_an_extension_needs_none(ledger: Ledger) -> None:
    """More excess in the same revision is kept and not named."""
    open_incidents(ledger=ledger, incidents=[incident()])
    longer = incident(excess_nanos=15, actual_nanos=20)
    assert open_incidents(ledger=ledger, incidents=[longer]) == []
    assert ledger.incident("inc-1") == longer


def test_a_risen_revision_needs_one(ledger: Ledger) -> None:
    """Revision 2 of a known incident is named."""
    open_incidents(ledger=ledger, incidents=[incident()])
    assert open_incidents(ledger=ledger, incidents=[incident(revision=2)]) == [("inc-1", 2)]


def test_a_planned_incident_is_kept_and_left_alone(ledger: Ledger) -> None:
    """An incident that a planned event explains is saved, and needs no case."""
    assert open_incidents(ledger=ledger, incidents=[incident(planned="load test")]) == []
    assert ledger.incident("inc-1") == incident(planned="load test")
