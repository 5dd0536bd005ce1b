"""What every ledger must do, on every engine: subclass LedgerChecks and give it a `ledger_url` fixture."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from store.errors import BadInput
from store.ledger.ledger import Ledger, open_ledger
from store.model.usage import Window
from tests.checks.check_ledger_decisions import DecisionChecks
from tests.checks.check_ledger_walk import WalkChecks
from tests.store.ledger.examples import (
    T0,
    HandClock,
    a_finding,
    a_vote,
    an_incident,
    audited,
    filed,
)


class LedgerChecks(DecisionChecks, WalkChecks):
    """The contract of the ledger, through its public methods."""

    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    def ledger(self, ledger_url: str, clock: HandClock) -> Iterator[Ledger]:
        opened = open_ledger(ledger_url, clock=clock, lease_clock=clock)
        yield opened
        report = opened.verify_audit(opened.anchor())
        assert report.ok, report.problem
        opened.close()

    # --- incidents and findings

    def test_an_incident_comes_back_as_saved(self, ledger: Ledger) -> None:
        """The same noun, by id, and None for an unknown id."""
        ledger.save_incident(an_incident())
        assert ledger.incident("inc-1") == an_incident()
        assert ledger.incident("inc-2") is None

    def test_incidents_are_found_by_overlap_and_status(self, ledger: Ledger) -> None:
        """Latest first; windows are half-open."""
        early, late = an_incident("inc-1"), an_incident("inc-2", hours=1).model_copy(update={"status": "closed"})
        ledger.save_incident(early)
        ledger.save_incident(late)
        assert ledger.incidents() == [late, early]
        assert ledger.incidents(status="open") == [early]
        assert ledger.incidents(window=late.window) == [late]
        gap = Window(start=early.window.end, end=late.window.start)
        assert ledger.incidents(window=gap) == []

    def test_only_news_of_an_incident_are_audited(self, ledger: Ledger) -> None:
        """Opening, a risen revision and closing; not a mere extension."""
        first = an_incident()
        ledger.save_incident(first)
        ledger.save_incident(first.model_copy(update={"seen_until": T0 + timedelta(hours=2)}))
        ledger.save_incident(first.model_copy(update={"revision": 2}))
        ledger.save_incident(first.model_copy(update={"revision": 2, "status": "closed"}))
        assert audited(ledger) == ["incident_opened", "incident_revised", "incident_closed"]

    def test_a_finding_is_kept_once_per_revision(self, ledger: Ledger) -> None:
        """A second save replaces the first; None asks for the newest."""
        ledger.save_finding(a_finding(1))
        ledger.save_finding(a_finding(2))
        ledger.save_finding(a_finding(1, cost_nanos=7))
        assert ledger.finding("inc-1", 1) == a_finding(1, cost_nanos=7)
        assert ledger.finding("inc-1") == a_finding(2)
        assert ledger.finding("inc-1", 3) is None

    # --- switch, windows, queues

    def test_the_kill_switch_is_kept_and_told_once(self, ledger: Ledger) -> None:
        """Every word is audited; people hear of changes."""
        assert not ledger.kill_switch()
        ledger.set_kill_switch(True, by="ann", reason="fire")
        ledger.set_kill_switch(True, by="ben", reason="fire!")
        assert ledger.kill_switch()
        assert [row.kind for row in ledger.outbox_pending()] == ["kill_switch"]
        assert audited(ledger) == ["kill_switch", "kill_switch"]

    def test_a_window_is_done_once(self, ledger: Ledger, clock: HandClock) -> None:
        """A live owner keeps it; a dead one loses it; a finished one is never taken again."""
        week = ("weekly", "team=search", T0)
        assert ledger.claim_window(*week, owner="a", lease_seconds=60)
        assert not ledger.claim_window(*week, owner="b", lease_seconds=60)
        clock.turn(seconds=61)
        assert ledger.claim_window(*week, owner="b", lease_seconds=60)
        assert not ledger.finish_window(*week, owner="a")
        assert ledger.last_window("weekly", "team=search") is None
        assert ledger.finish_window(*week, owner="b", result={"n": 1}, outbox=("weekly_summary", "w", {"n": 1}))
        assert not ledger.finish_window(*week, owner="b", outbox=("weekly_summary", "w", {}))
        clock.turn(days=1)
        assert not ledger.claim_window(*week, owner="c", lease_seconds=60)
        assert ledger.last_window("weekly", "team=search") == T0
        assert [row.payload for row in ledger.outbox_pending()] == [{"n": 1}]

    def test_the_outbox_keeps_the_order_of_a_key(self, ledger: Ledger, clock: HandClock) -> None:
        """A failed message holds up its own key only, and comes back first."""
        for number, key in enumerate(("a", "a", "b")):
            start = T0 + timedelta(minutes=number)
            ledger.claim_window("k", "s", start, owner="o", lease_seconds=9)
            ledger.finish_window("k", "s", start, owner="o", outbox=("note", key, {"n": number}))
        first = ledger.outbox_pending()[0]
        ledger.outbox_failed(first.id, retry_at=T0 + timedelta(minutes=1), error="429")
        assert [row.payload["n"] for row in ledger.outbox_pending()] == [2]
        clock.turn(minutes=1)
        assert [(row.payload["n"], row.attempts) for row in ledger.outbox_pending()] == [(0, 1), (1, 0), (2, 0)]
        ledger.outbox_sent(first.id, ref="ts-1")
        assert [row.payload["n"] for row in ledger.outbox_pending(limit=1)] == [1]

    def test_the_inbox_takes_an_event_once(self, ledger: Ledger) -> None:
        """By its key, also after it was handled."""
        assert ledger.inbox_put("k1", "click", {"text": "drop table'; --\n\u0000 <!channel>"})
        assert not ledger.inbox_put("k1", "click", {})
        [(row_id, kind, payload)] = ledger.inbox_pending()
        assert (kind, payload) == ("click", {"text": "drop table'; --\n\u0000 <!channel>"})
        ledger.inbox_done(row_id)
        assert ledger.inbox_pending() == []
        assert not ledger.inbox_put("k1", "click", {})

    def test_what_is_no_text_is_refused(self, ledger: Ledger) -> None:
        """NaN and lone surrogates are bad input, and write nothing."""
        for payload in ({"n": float("nan")}, {"t": "\ud800"}, {"o": object()}):
            with pytest.raises(BadInput, match="cannot be stored"):
                ledger.inbox_put("k", "click", payload)
        assert ledger.inbox_pending() == []

    def test_a_hostile_name_is_only_a_name(self, ledger: Ledger) -> None:
        """Whoever they say they are, the refusal is audited and the chain holds."""
        filed(ledger)
        for person in ("x'; DROP TABLE votes; --", "\u0000", "<!channel>", "a" * 10_000):
            assert ledger.cast(a_vote(person)).status == "not_allowed"
        assert ledger.cast(a_vote("ann")).status == "decided"

    # --- life

    def test_everything_survives_a_second_opening(self, ledger: Ledger, ledger_url: str, clock: HandClock) -> None:
        """A new process sees the rows, and the tables are not made twice."""
        if ledger_url == "sqlite://":
            pytest.skip("a memory database ends with its connection")
        filed(ledger)
        again = open_ledger(ledger_url, clock=clock)
        again.ping()
        assert again.remedy("rem-1") == ledger.remedy("rem-1")
        again.close()
