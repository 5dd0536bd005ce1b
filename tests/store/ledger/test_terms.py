"""Budgets, charges and doubts in the ledger: replaced by name, audited, and never doubled."""

from datetime import UTC, datetime, timedelta

from store.ledger.ledger import Ledger, open_ledger
from store.model.budget import Budget
from store.model.charge import Charge
from store.model.incident import TrustNote
from store.model.usage import TOTAL, Scope, Window

START = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def ledger() -> Ledger:
    """In memory."""
    return open_ledger("sqlite://", clock=lambda: START)


def note(kind: str = "unpriced", says: str = "no price", **scope: str) -> TrustNote:
    """A reason not to believe a scope's data."""
    return TrustNote.model_validate({"scope": scope, "kind": kind, "says": says})


def test_terms_are_kept_by_name_and_audited() -> None:
    """A name that comes again replaces what it had; each set and removal is in the audit."""
    book = ledger()
    small = Budget(name="search", scope=Scope.of(team="search"), period="month", usd_nanos=10**9)
    large = small.model_copy(update={"usd_nanos": 2 * 10**9})
    seats = Charge.model_validate(
        {"name": "seats", "kind": "seats", "provider": "x", "every": "month", "starts_at": START, "amount": "1.50"}
    )
    book.save_budgets([small], by="ann")
    book.save_budgets([large], by="ann")
    book.save_charges([seats], by="ann")
    assert book.budgets() == [large]
    assert book.charges() == [seats]
    assert book.remove_term("budget", "search", by="ann")
    assert not book.remove_term("budget", "search", by="ann")
    assert book.budgets() == []
    assert [row.action for row in book.audit()] == ["budget_set", "budget_set", "charge_set", "budget_removed"]
    assert book.verify_audit().ok
    book.close()


def test_a_doubt_lasts_from_the_first_look_to_the_first_without_it() -> None:
    """What is said again is one doubt with a newer text; what is no longer said has ended; a week knows both."""
    book = ledger()
    price = note(provider="p", model="m")
    book.save_trust([price, note("silent_source", source="s")], at=START)
    book.save_trust([note(says="no price for 9", provider="p", model="m")], at=START + HOUR)
    (held,) = book.trust()
    assert (held.kind, held.says, held.since, held.seen_at) == ("unpriced", "no price for 9", START, START + HOUR)
    book.save_trust([], at=START + 2 * HOUR)
    assert book.trust() == []
    ended = {doubt.kind: doubt.ended_at for doubt in book.trust_in(Window(start=START, end=START + HOUR))}
    assert ended == {"unpriced": START + 2 * HOUR, "silent_source": START + HOUR}
    assert book.trust_in(Window(start=START + 2 * HOUR, end=START + 3 * HOUR)) == []
    book.save_trust([price], at=START + 5 * HOUR)
    assert [doubt.since for doubt in book.trust()] == [START + 5 * HOUR]
    book.close()


def test_the_whole_can_be_in_doubt() -> None:
    """A note on everything, and a hostile name, come back as they were."""
    book = ledger()
    notes = [note("zero_cost", model="'); DROP TABLE doubts; --"), TrustNote(scope=TOTAL, kind="late", says="late")]
    book.save_trust(notes, at=START)
    assert {(doubt.scope, doubt.kind) for doubt in book.trust()} == {(one.scope, one.kind) for one in notes}
    book.close()
