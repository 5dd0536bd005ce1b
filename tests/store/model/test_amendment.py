"""Allocation rules and currency rates: equal for records and batches, first match first, no cent lost or made."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from store.model.allocation import Allocation, AllocationRule, SharedCost, split
from store.model.amendment import Amendment
from store.model.currency import CurrencyRate
from store.model.usage import NONE, Scope, UsageRecord, to_us
from store.model.usage_batch import batch_of

AT = to_us(datetime(2026, 10, 5, tzinfo=UTC))
NOON = CurrencyRate(currency="EUR", effective_from=datetime(2026, 10, 1, tzinfo=UTC), usd=Decimal("1.10"))


def record(**more: object) -> UsageRecord:
    """A call that nobody is known to have made."""
    blank = UsageRecord("r", "gateway", AT, AT, "anthropic", "opus")
    return blank._replace(**more)  # type: ignore[arg-type]  # the caller names fields of the record


RULES = (
    AllocationRule(when={"api_key_id": "k-1*", "tags.project": "blue"}, team="search", environment="production"),
    AllocationRule(when={"api_key_id": "k-1*"}, team="ads"),
    AllocationRule(when={"team": NONE, "end_user": "*@lab.example"}, team="lab", app="notebooks"),
)


def test_the_first_rule_that_matches_holds() -> None:
    """In order; its word replaces what the record had, and what it does not set stays."""
    amend = Amendment(RULES)
    blue = record(api_key_id="k-17", tags=(("project", "blue"),), team="claimed", app="own")
    found = amend.record(blue)
    assert (found.team, found.app, found.environment) == ("search", "own", "production")
    assert amend.record(record(api_key_id="k-17", tags=(("project", "red"),))).team == "ads"
    assert amend.record(record(api_key_id="other", end_user="a@lab.example")).app == "notebooks"
    untouched = record(api_key_id="other", team="own", end_user="a@lab.example")
    assert amend.record(untouched) == untouched


keys = st.sampled_from(["k-1", "k-12", "k-2", NONE])
teams = st.sampled_from(["ads", "claimed", NONE])
users = st.sampled_from(["a@lab.example", "b@home.example", NONE])
tags = st.lists(st.tuples(st.sampled_from(["project", "x"]), st.sampled_from(["blue", "red"])), max_size=2).map(
    lambda found: tuple(sorted(dict(found).items()))
)
calls = st.lists(st.builds(record, api_key_id=keys, team=teams, end_user=users, tags=tags), max_size=20)


@given(calls)
@settings(max_examples=100, deadline=None)
def test_batches_and_records_are_amended_alike_and_once(found: list[UsageRecord]) -> None:
    """Column by column or call by call; doing it again changes nothing."""
    amend = Amendment(RULES)
    after = amend.records(found)
    batch = Amendment(RULES).batch(batch_of(found))
    expected = batch_of(after)
    for name in ("team", "app", "environment"):
        assert list(batch.text(name)) == list(expected.text(name))
    assert amend.records(after) == after


def test_a_foreign_bill_is_worth_its_dated_rate() -> None:
    """Only from the rate's date on, only for a bill that the source gave in that currency; never from a call's tags."""
    bill = record(period_seconds=86_400, tags=(("billed_cost", "2.50"), ("billing_currency", "EUR")))
    amend = Amendment(rates=[NOON])
    assert amend.record(bill).billed_nanos == 2_750_000_000
    assert amend.batch(batch_of([bill])).number("billed_nanos").tolist() == [2_750_000_000]
    assert amend.record(bill._replace(occurred_us=AT - 10 * 86_400 * 10**6)).billed_nanos is None
    assert amend.record(bill._replace(period_seconds=0)).billed_nanos is None
    assert amend.record(bill._replace(tags=(("billed_cost", "many"), ("billing_currency", "EUR")))).billed_nanos is None


weights = st.lists(st.decimals(0, 10**6, places=3), min_size=1, max_size=6).filter(any)


@given(st.integers(-(10**18), 10**18), weights)
@settings(max_examples=200, deadline=None)
def test_a_split_loses_nothing(nanos: int, shares: list[Decimal]) -> None:
    """The parts add up to the whole, each within a nano-USD of its exact share, none for who has no weight."""
    parts = split(nanos, shares)
    assert sum(parts) == nanos
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - Decimal(nanos) * share / sum(shares)) <= 1
        assert share or not part


@pytest.mark.parametrize(
    "wrong",
    [
        {"rules": [{"when": {"planet": "mars"}, "team": "a"}]},
        {"rules": [{"when": {"api_key_id": "k"}}]},
        {"rules": [{"when": {}, "team": "a"}]},
        {"shared": [{"name": "s", "scope": {"api_key_id": "k"}, "method": "even"}]},
        {"shared": [{"name": "s", "scope": {"api_key_id": "k"}, "method": "fixed", "shares": {"a": 0}}]},
        {"shared": [{"name": "s", "scope": {"team": "a"}, "method": "even", "among": ["a"]}]},
        {
            "shared": [
                {"name": "s", "scope": {"api_key_id": "k"}, "method": "even", "among": ["a"]},
                {"name": "t", "scope": {"app": "x"}, "method": "even", "among": ["a"]},
            ]
        },
    ],
)
def test_rules_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    """An unknown dimension, a rule that sets or asks nothing, a split without targets, a dollar split twice."""
    with pytest.raises(ValidationError):
        Allocation.model_validate(wrong)


def test_shares_follow_their_method() -> None:
    """Even, by usage (even where nobody used anything), and as stated."""
    even = SharedCost(name="s", scope=Scope.of(api_key_id="k"), method="even", among=("a", "b"))
    used = SharedCost(name="s", scope=Scope.of(api_key_id="k"), method="requests", among=("a", "b"))
    fixed = SharedCost(
        name="s", scope=Scope.of(api_key_id="k"), method="fixed", shares={"a": Decimal(3), "b": Decimal(1)}
    )
    assert split(100, even.weights({"a": 9})) == [50, 50]
    assert split(100, used.weights({"a": 9, "b": 1})) == [90, 10]
    assert split(100, used.weights({})) == [50, 50]
    assert split(100, fixed.weights({})) == [75, 25]
