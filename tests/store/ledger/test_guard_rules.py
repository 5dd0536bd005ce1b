"""The guard's rule book: compare-and-set, ends, what comes back, issues and reports; alike on both engines."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from store.ledger.guard_values import Held, ProxyReport, RefusedRule, Slot
from store.ledger.ledger import Ledger, open_ledger
from store.model.usage import Scope
from tests.store.ledger.examples import T0, HandClock

SLOT = Slot("set_rate_limit", Scope.of(team="search"))
HOUR = timedelta(hours=1)


class Books(NamedTuple):
    """Two replicas over one database."""

    one: Ledger
    two: Ledger
    clock: HandClock


@pytest.fixture(params=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Books]:
    url = f"sqlite:///{tmp_path}/ledger.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    clock = HandClock()
    one, two = open_ledger(url, clock=clock), open_ledger(url, clock=clock)
    yield Books(one, two, clock)
    one.close()
    two.close()


def ours(limit: int = 60, *, marker: str | None = "rem-1", minutes: int | None = 60) -> Held:
    ends = None if minutes is None else T0 + timedelta(minutes=minutes)
    return Held(value={"requests_per_minute": limit}, marker=marker, revision=1, expires_at=ends)


def put(book: Ledger, held: Held, key: str, slot: Slot = SLOT) -> None:
    _, version = book.guard_slot(slot)
    assert book.guard_set(slot, held, key=key, expected_version=version).status == "done"


def test_of_two_who_looked_at_once_one_wins(books: Books) -> None:
    """Compare-and-set in one transaction: 12 writers, two replicas, one version seen, one change."""

    def change(n: int) -> str:
        book = books.one if n % 2 else books.two
        return book.guard_set(SLOT, ours(n + 1, marker=f"rem-{n}"), key=f"k{n}", expected_version=None).status

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(change, range(12)))
    assert sorted(answers) == ["conflict"] * 11 + ["done"]
    assert books.one.guard_slot(SLOT)[0].marker == f"rem-{answers.index('done')}"


def test_versions_never_come_back(books: Books) -> None:
    """A value that went and came again has another version each time, over the end of a lease too."""
    seen = [books.one.guard_slot(SLOT)[1]]
    for key in ("a", "b", "c"):
        put(books.one, ours(minutes=10), key)
        seen.append(books.one.guard_slot(SLOT)[1])
        version = seen[-1]
        changed = books.two.guard_restore(
            SLOT, value=ours().value, marker="rem-1", key=f"{key}-back", expected_version=version
        )
        assert changed.status == "done"
        seen.append(books.one.guard_slot(SLOT)[1])
    put(books.one, ours(minutes=10), "d")
    seen.append(books.one.guard_slot(SLOT)[1])
    books.clock.turn(minutes=10)
    seen.append(books.one.guard_slot(SLOT)[1])
    assert len(set(seen)) == len(seen)
    late = books.one.guard_restore(SLOT, value=ours().value, marker="rem-1", key="late", expected_version=seen[-2])
    assert late.status == "conflict"


def test_a_longer_lease_keeps_what_lies_beneath(books: Books) -> None:
    """The same value with a later end is a change; what it replaced at first still comes back."""
    put(books.one, ours(7, marker=None, minutes=None), "by hand")
    put(books.one, ours(60, minutes=10), "a")
    put(books.one, ours(60, minutes=30), "b")
    books.clock.turn(minutes=20)
    assert books.two.guard_slot(SLOT)[0].marker == "rem-1"
    books.clock.turn(minutes=10)
    assert books.two.guard_slot(SLOT)[0] == ours(7, marker=None, minutes=None)


def test_what_comes_back_keeps_its_own_end(books: Books) -> None:
    """A rule over another remedy's rule does not make that one last for ever."""
    put(books.one, ours(60, marker="rem-1", minutes=30), "a")
    put(books.one, ours(5, marker="rem-2", minutes=90), "b")
    _, version = books.one.guard_slot(SLOT)
    back = books.one.guard_restore(SLOT, value=ours(5).value, marker="rem-2", key="b-back", expected_version=version)
    assert back.status == "done"
    assert books.two.guard_slot(SLOT)[0] == ours(60, marker="rem-1", minutes=30)
    put(books.one, ours(5, marker="rem-3", minutes=20), "c")
    books.clock.turn(minutes=40)
    assert books.two.guard_slot(SLOT)[0] == Held()
    assert books.two.guard_issue(reissue_after=HOUR).rules == ()


def test_empty_slots_are_forgotten_and_their_versions_are_not_given_again(books: Books) -> None:
    """After 30 days an ended rule leaves no row; a person's rule without an end stays."""
    other = Slot("set_rate_limit", Scope.of(team="ads"))
    put(books.one, ours(minutes=10), "a")
    put(books.one, ours(marker=None, minutes=None), "by hand", other)
    first = books.one.guard_slot(SLOT)[1]
    books.clock.turn(days=31)
    put(books.one, ours(), "c", Slot("set_rate_limit", Scope.of(team="new")))
    assert books.two.guard_slot(SLOT) == (Held(), None)
    assert books.two.guard_slot(other)[0].value
    put(books.one, ours(minutes=None), "a")
    assert books.two.guard_slot(SLOT)[1] not in (None, first)


def test_replicas_serve_the_same_issue(books: Books) -> None:
    """Whoever asks first issues it; a change and an end raise the sequence, time alone does not."""
    put(books.one, ours(minutes=90), "a")
    first = books.one.guard_issue(reissue_after=HOUR)
    books.clock.turn(minutes=59)
    assert books.two.guard_issue(reissue_after=HOUR) == first
    books.clock.turn(minutes=1)
    again = books.two.guard_issue(reissue_after=HOUR)
    assert (again.sequence, again.issued_at - first.issued_at) == (first.sequence, HOUR)
    assert books.one.guard_issue(reissue_after=HOUR) == again
    books.clock.turn(minutes=30)
    ended = books.one.guard_issue(reissue_after=HOUR)
    assert (ended.sequence, ended.rules) == (first.sequence + 1, ())
    assert books.two.guard_issue(reissue_after=HOUR) == ended


def test_an_issue_names_kind_target_and_what_is_held(books: Books) -> None:
    """Two slots of one target are two rules; a slot that was emptied is none."""
    alias = Slot("set_model_alias", SLOT.target, "big")
    put(books.one, ours(), "a")
    put(books.one, Held(value={"from_model": "big", "to_model": "small"}, marker="rem-2"), "b", alias)
    rules = {kind: (target, held.marker) for kind, target, held in books.two.guard_issue(reissue_after=HOUR).rules}
    assert rules == {"set_rate_limit": (SLOT.target, "rem-1"), "set_model_alias": (SLOT.target, "rem-2")}


def test_an_old_copy_of_the_database_catches_up(books: Books) -> None:
    """After a restore the proxies hold a later sequence than ours; the book jumps ahead of it, once."""
    put(books.one, ours(), "a")
    books.one.guard_report(ProxyReport(proxy_id="p", sequence=40))
    assert books.two.guard_issue(reissue_after=HOUR).sequence == 41
    books.one.guard_report(ProxyReport(proxy_id="p", sequence=41))
    assert books.two.guard_issue(reissue_after=HOUR).sequence == 41


def test_the_newest_report_of_each_proxy_is_kept_for_a_day(books: Books) -> None:
    """`since` is what makes a proxy live; those that went away are forgotten."""
    books.one.guard_report(ProxyReport(proxy_id="a", etag="old"))
    books.clock.turn(seconds=10)
    books.one.guard_report(ProxyReport(proxy_id="a", etag="new", refused_rules=(RefusedRule(remedy_id="r", why="w"),)))
    books.one.guard_report(ProxyReport(proxy_id="b"))
    found = books.two.guard_proxies(since=T0 + timedelta(seconds=10))
    assert [(seen.report.proxy_id, seen.report.etag, seen.seen_at) for seen in found] == [
        ("a", "new", T0 + timedelta(seconds=10)),
        ("b", None, T0 + timedelta(seconds=10)),
    ]
    books.clock.turn(hours=25)
    books.one.guard_report(ProxyReport(proxy_id="c"))
    assert [seen.report.proxy_id for seen in books.two.guard_proxies(since=T0)] == ["c"]


def test_a_report_is_bounded() -> None:
    """What a proxy says cannot fill the database, nor push the sequence out of its range."""
    for wrong in ({"proxy_id": ""}, {"proxy_id": "x" * 201}, {"proxy_id": "p", "sequence": 2**60}):
        with pytest.raises(ValidationError):
            ProxyReport.model_validate(wrong)


_MOVES = st.lists(
    st.tuples(st.sampled_from(["set", "edit", "restore", "wait", "stale"]), st.integers(1, 3), st.integers(0, 90)),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(moves=_MOVES)
def test_whatever_happens_the_sequence_rises_with_the_rules(moves: list[tuple[str, int, int]]) -> None:
    """Equal sequence, equal rules; a later issue never has a lower one; nothing of ours outlives its end."""
    clock = HandClock()
    book = open_ledger("sqlite://", clock=clock)
    issued: dict[int, object] = {}
    last = -1
    for n, (move, limit, minutes) in enumerate(moves):
        held, version = book.guard_slot(SLOT)
        ends = clock() + timedelta(minutes=minutes + 1)
        if move == "wait":
            clock.turn(minutes=minutes)
        elif move == "restore":
            book.guard_restore(SLOT, value=held.value, marker=held.marker or "", key=f"k{n}", expected_version=version)
        elif move == "stale":
            stale = book.guard_set(SLOT, ours(limit), key=f"k{n}", expected_version="0")
            assert stale.status == "conflict"
        else:
            new = ours(limit, marker="rem-1" if move == "set" else None).model_copy(update={"expires_at": ends})
            book.guard_set(SLOT, new, key=f"k{n}", expected_version=version)
        issue = book.guard_issue(reissue_after=HOUR)
        assert issue.sequence >= last
        last = issue.sequence
        assert issued.setdefault(issue.sequence, issue.rules) == issue.rules
        assert all(held.expires_at is None or held.expires_at > clock() for _, _, held in issue.rules)
        served = [held for _, _, held in issue.rules]
        now = book.guard_slot(SLOT)[0]
        assert served == ([now] if now.value else [])
    book.close()
