"""The calendar of the ledger: entries by name, each change in the audit log."""

from datetime import UTC, datetime, timedelta

from store.ledger.ledger import open_ledger
from store.model.expected import Expected
from store.model.usage import Scope, Window

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def entry(name: str, start: datetime = NOW, because: str = "") -> Expected:
    return Expected(
        name=name,
        kind="planned",
        scope=Scope.of(team="search"),
        window=Window(start=start, end=start + DAY),
        owner="ann",
        because=because,
        made_at=NOW,
    )


def test_entries_come_back_by_their_start() -> None:
    """What was kept is listed as it was; the same name again replaces it; a removed one is gone."""
    ledger = open_ledger("sqlite://", clock=lambda: NOW)
    ledger.expect(entry("later", NOW + DAY), by="ann")
    ledger.expect(entry("launch"), by="ann")
    ledger.expect(entry("launch", because="v2"), by="ben")
    assert ledger.expected() == [entry("launch", because="v2"), entry("later", NOW + DAY)]
    assert ledger.unexpect("launch", by="ann")
    assert not ledger.unexpect("launch", by="ann")
    assert [one.name for one in ledger.expected()] == ["later"]
    assert [(row.actor, row.action, row.subject) for row in ledger.audit()] == [
        ("ann", "planned_set", "later"),
        ("ann", "planned_set", "launch"),
        ("ben", "planned_set", "launch"),
        ("ann", "expected_removed", "launch"),
    ]
    assert ledger.verify_audit().ok
    ledger.close()


def test_an_entry_expires() -> None:
    """Half-open: it runs from its start on, and its end is no longer in it."""
    one = entry("launch")
    assert [one.state(NOW + i * DAY / 2) for i in (-1, 0, 1, 2)] == ["ahead", "running", "running", "expired"]
