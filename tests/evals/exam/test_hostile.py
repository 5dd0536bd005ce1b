"""Hostile twins: the same traffic under names that give orders."""

from evals.exam.hostile import PAYLOADS, hostile_records, payload_for, unmasked
from evals.exam.outcome import differences
from store.model.usage import NONE, UsageRecord

RECORD = UsageRecord(
    record_id="r1",
    source="s",
    observed_us=1,
    occurred_us=1,
    provider="anthropic",
    model="claude-haiku-4-5",
    team="sales",
    app="crm-notes",
    api_key_id="key-1",
    end_user="u1",
    route="chat",
)
OTHER = RECORD._replace(record_id="r2", end_user="u10", session_id="s-1")


def test_every_text_gets_an_order_and_the_names_of_people_stay() -> None:
    """Equal values stay equal, different ones different; what is absent stays absent; amounts do not move."""
    (one, two), _ = hostile_records([RECORD, OTHER])
    assert one.end_user.startswith("u1 ")
    assert one.end_user.removeprefix("u1 ") in PAYLOADS
    assert one.route == two.route
    assert one.end_user != two.end_user
    assert (one.team, one.app, one.model, one.session_id) == ("sales", "crm-notes", "claude-haiku-4-5", NONE)
    assert two.session_id.startswith("s-1 ")
    assert one.prompt_version in PAYLOADS
    assert len(one.tags) == 2


def test_the_order_of_names_stays() -> None:
    """A tie that is broken by name must be broken as before."""
    values = ["u1", "u10", "u2", "u1-a", "u"]
    made, _ = hostile_records([RECORD._replace(end_user=value) for value in values])
    hostile = {record.end_user: value for record, value in zip(made, values, strict=True)}
    assert [hostile[name] for name in sorted(hostile)] == sorted(values)


def test_an_outcome_is_told_under_the_old_names() -> None:
    """Taking the tails off gives the document back; a word that remains is a difference."""
    (one, _), names = hostile_records([RECORD, OTHER])
    document = {"scope": {"end_user": one.end_user}, "list": [one.route, 3]}
    assert unmasked(document, names) == {"scope": {"end_user": "u1"}, "list": ["chat", 3]}
    assert list(differences({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]})) == [".a[1].b"]
    assert list(differences({"a": [1]}, {"a": [1, 2]})) == [".a"]


def test_payloads_are_spread_over_the_values() -> None:
    """A run meets them all, not one of them."""
    assert {payload_for(f"u{i}") for i in range(2000)} == set(PAYLOADS)
