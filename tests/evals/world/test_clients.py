"""What a gateway's rules do to the company's traffic: they work, change nothing, or do harm."""

from datetime import timedelta

from evals.exam.faults.dearer import NewTokenizer
from evals.world.clients import Gate
from evals.world.faults.agent_loop import AgentLoop
from evals.world.faults.cache_break import CacheBreak
from evals.world.faults.denial_of_wallet import DenialOfWallet
from evals.world.faults.leaked_key import LeakedKey
from evals.world.faults.model_switch import ModelSwitch
from evals.world.faults.retry_storm import RetryStorm
from evals.world.gateway import SimulatedGateway
from store.model.prices import token_counts
from store.model.remedy import (
    BlockKey,
    SetModelAlias,
    SetOutputCap,
    SetPromptCache,
    SetRateLimit,
    SetSessionCap,
)
from store.model.usage import NONE, Scope, UsageRecord
from tests.evals.world.worlds import MONDAY, Played, cost, count, span, world_with

NIGHT, DAY = span(25, 3), span(33, 3)


def error_share(records: list[UsageRecord]) -> float:
    return count(records, "error") / len(records)


def test_a_gateway_without_rules_changes_nothing() -> None:
    """No rule, no work, the same records."""
    gateway: Gate = SimulatedGateway(clock=lambda: MONDAY)
    assert world_with().traffic(DAY, gateway) == world_with().traffic(DAY)


def test_a_rule_leaves_all_other_traffic_alone() -> None:
    """A rule on one app never moves a record of another."""
    now = NIGHT.start
    gateway = SimulatedGateway(clock=lambda: now)
    gateway.apply(
        SetSessionCap(target=Scope.of(app="pr-reviewer"), max_calls=5),
        marker="m",
        idempotency_key="k",
        expected_version=None,
        expires_at=now + timedelta(days=1),
    )
    loop = AgentLoop("pr-reviewer", NIGHT)
    ruled, free = world_with(loop).traffic(NIGHT, gateway), world_with(loop).traffic(NIGHT)
    assert [r for r in ruled if r.app != "pr-reviewer"] == [r for r in free if r.app != "pr-reviewer"]


def test_a_session_cap_ends_an_agent_loop() -> None:
    """The loop goes on calling and is refused, at no cost, under the remedy's name."""
    played = Played(AgentLoop("pr-reviewer", NIGHT), SetSessionCap(target=Scope.of(app="pr-reviewer"), max_calls=44))
    refused = [r for r in played.ruled if r.status == "refused"]
    assert len(refused) > 1000
    assert cost(played.ruled) < 0.1 * cost(played.free)
    assert {(r.cost_nanos, r.status_code, r.remedy_id) for r in refused} == {(0, 429, "remedy-1")}
    assert len(played.ruled) == len(played.free)


def test_a_session_cap_has_no_effect_on_an_agent_that_opens_fresh_sessions() -> None:
    """The same loop, another client: it is cut off again and again and spends as before."""
    played = Played(AgentLoop("lead-scout", NIGHT), SetSessionCap(target=Scope.of(app="lead-scout"), max_calls=44))
    assert count(played.ruled, "refused") > 10
    assert cost(played.ruled) > 0.97 * cost(played.free)
    assert len({r.session_id for r in played.ruled}) > 10


def test_a_rate_limit_cuts_a_retry_storm() -> None:
    """Attempts above the limit are refused."""
    played = Played(
        RetryStorm("ticket-triage", DAY), SetRateLimit(target=Scope.of(app="ticket-triage"), requests_per_minute=8)
    )
    assert count(played.ruled, "refused") > 0.2 * len(played.ruled)
    assert cost(played.ruled) < 0.8 * cost(played.free)


def test_a_client_that_hammers_answers_a_limit_with_more_attempts() -> None:
    """A rate limit on such a client raises its retries."""
    attack = DenialOfWallet("assistant", span(34, 2))
    played = Played(attack, SetRateLimit(target=Scope.of(app="assistant"), requests_per_minute=6))
    retries = sum(r.attempt > 1 for r in played.ruled)
    assert retries > 5 * sum(r.attempt > 1 for r in played.free)
    assert len(played.ruled) > 1.5 * len(played.free)
    assert len({r.record_id for r in played.ruled}) == len(played.ruled)
    assert all(attack.window.start_us <= r.occurred_us < attack.window.end_us for r in played.ruled)


def test_pinning_the_model_back_helps_where_the_app_can_work_with_it() -> None:
    """An alias to the model that was asked for undoes a silent switch."""
    played = Played(
        ModelSwitch("contract-review", DAY, to_model="claude-opus-4-1"),
        SetModelAlias(
            target=Scope.of(app="contract-review"), from_model="claude-sonnet-4-5", to_model="claude-sonnet-4-5"
        ),
    )
    assert {r.model for r in played.ruled} == {"claude-sonnet-4-5"}
    assert cost(played.ruled) * 4 < cost(played.free)
    assert error_share(played.ruled) == error_share(played.free)


def test_pinning_the_model_back_does_harm_where_the_app_has_come_to_need_the_new_one() -> None:
    """Nearly half of the calls cannot work there and are tried again: errors and retries rise sharply."""
    played = Played(
        ModelSwitch("crm-notes", DAY),
        SetModelAlias(target=Scope.of(app="crm-notes"), from_model="claude-haiku-4-5", to_model="claude-haiku-4-5"),
    )
    assert error_share(played.free) < 0.05
    assert error_share(played.ruled) > 0.4
    assert cost(played.ruled) < cost(played.free)


def test_a_call_that_another_model_answers_is_counted_by_its_tokenizer() -> None:
    """Pinned back to the old model, a text has as many tokens as it had there."""
    fault = NewTokenizer("code-agent", DAY, factor=1.5)
    alias = SetModelAlias(target=Scope.of(app="code-agent"), from_model=fault.to_model, to_model="claude-opus-4-5")
    played = Played(fault, alias)
    usual = [r for r in world_with().traffic(DAY) if r.app == "code-agent"]
    assert {r.model for r in played.ruled} == {"claude-opus-4-5"}
    for ruled, before in zip(played.ruled, usual, strict=True):
        assert all(0 <= b - r <= 1 for r, b in zip(token_counts(ruled), token_counts(before), strict=True))


def test_taking_the_breakpoints_out_saves_the_write_premium_of_a_broken_cache() -> None:
    """All input is paid once, at the plain rate."""
    played = Played(CacheBreak("dispute-desk", DAY), SetPromptCache(target=Scope.of(app="dispute-desk"), ttl="off"))
    assert sum(r.cache_read + r.cache_write_5m + r.cache_write_1h for r in played.ruled) == 0
    assert 0.4 < cost(played.ruled) / cost(played.free) < 0.7


def test_no_lifetime_mends_a_prefix_that_changes_with_every_call() -> None:
    """The app's breakpoints stay where they are, as at the guard: each call still writes, at a smaller premium."""
    played = Played(CacheBreak("dispute-desk", DAY), SetPromptCache(target=Scope.of(app="dispute-desk"), ttl="5m"))
    assert [sum(token_counts(r)) for r in played.ruled] == [sum(token_counts(r)) for r in played.free]
    assert sum(r.cache_read for r in played.ruled) == 0
    assert 0.6 < cost(played.ruled) / cost(played.free) < 0.7


def test_a_blocked_key_answers_nobody() -> None:
    """Stranger and owner alike are refused."""
    played = Played(LeakedKey("ci-helper", NIGHT), BlockKey(target=Scope.of(api_key_id="key-ci-helper")))
    assert {r.status for r in played.ruled} == {"refused"}
    assert cost(played.ruled) == 0


def test_an_output_cap_shortens_answers_and_says_so() -> None:
    """What was cut off carries finish reason "length" and the remedy's name; what was not, neither."""
    attack = DenialOfWallet("assistant", NIGHT)
    played = Played(attack, SetOutputCap(target=Scope.of(app="assistant"), max_tokens=1000))
    assert max(r.output for r in played.ruled) == 1000
    assert {r.finish_reason for r in played.ruled if r.output == 1000 and r.remedy_id != NONE} == {"length"}
    assert any(r.remedy_id == NONE for r in played.ruled)
