"""Faults: each changes its own app in its own window, as its pattern says, and nothing else."""

from collections import Counter
from collections.abc import Callable

import pytest

from evals.world.faults.agent_loop import AgentLoop
from evals.world.faults.cache_break import CacheBreak
from evals.world.faults.denial_of_wallet import DenialOfWallet
from evals.world.faults.fault import Fault
from evals.world.faults.launch import Launch
from evals.world.faults.leaked_key import LeakedKey
from evals.world.faults.model_switch import ModelSwitch
from evals.world.faults.retry_storm import RetryStorm
from store.model.usage import NONE, UsageRecord
from tests.evals.world.worlds import cost, span, world_with

NIGHT, DAY = span(25.2, 3.1), span(33.4, 3.3)

FAULTS: dict[str, Callable[[], Fault]] = {
    "agent_loop": lambda: AgentLoop("pr-reviewer", NIGHT),
    "retry_storm": lambda: RetryStorm("ticket-triage", DAY),
    "cache_break": lambda: CacheBreak("dispute-desk", DAY),
    "model_switch": lambda: ModelSwitch("contract-review", DAY, to_model="claude-opus-4-1"),
    "leaked_key": lambda: LeakedKey("ci-helper", NIGHT),
    "organic_growth": lambda: Launch("campaign-writer", DAY),
    "denial_of_wallet": lambda: DenialOfWallet("assistant", NIGHT),
}


HOURS = span(25, 13)


def within(records: list[UsageRecord], fault: Fault) -> list[UsageRecord]:
    return [r for r in records if r.app == fault.app and fault.window.start_us <= r.occurred_us < fault.window.end_us]


def both(name: str) -> tuple[Fault, list[UsageRecord], list[UsageRecord]]:
    fault = FAULTS[name]()
    world = world_with(fault)
    hours = HOURS
    return fault, within(world.traffic(hours), fault), within(world.without_faults().traffic(hours), fault)


@pytest.mark.parametrize("name", FAULTS)
def test_the_clean_twin_equals_the_world_outside_the_fault(name: str) -> None:
    """Nothing moves but the fault's app in the fault's window."""
    fault = FAULTS[name]()
    world, hours = world_with(fault), HOURS
    sick, clean = world.traffic(hours), world.without_faults().traffic(hours)
    touched = {*within(sick, fault), *within(clean, fault)}
    assert [r for r in sick if r not in touched] == [r for r in clean if r not in touched]
    assert within(sick, fault) != within(clean, fault)
    assert len({r.record_id for r in sick}) == len(sick)


@pytest.mark.parametrize("name", FAULTS)
def test_the_true_excess_is_the_difference_in_cost_to_the_nano_dollar(name: str) -> None:
    """The truth says the cause, the scope, and exactly what it cost."""
    fault, sick, clean = both(name)
    (truth,) = world_with(fault).truth()
    assert truth.cause == name
    assert truth.scope.get("app") == fault.app
    assert truth.window == fault.window
    assert truth.true_excess_nanos == cost(sick) - cost(clean) > 3 * 10**9


def test_a_fault_costs_the_same_whatever_else_goes_wrong() -> None:
    """Faults draw from streams of their own."""
    loop, storm = FAULTS["agent_loop"](), FAULTS["retry_storm"]()
    alone, together = world_with(loop).truth(), world_with(storm, loop).truth()
    assert alone[0] in together


def test_an_agent_loop_is_one_session_of_repeated_prompts_and_growing_input() -> None:
    """Pattern 1."""
    _, sick, clean = both("agent_loop")
    usual = set(clean)
    loop = [r for r in sick if r not in usual]
    assert len(loop) > 1000
    assert len({r.session_id for r in loop}) == 1
    assert len({r.prompt_hash for r in loop}) == 3
    assert loop[-1].input_uncached > 3 * loop[0].input_uncached


def test_a_retry_storm_repeats_prompts_and_pays_for_attempts() -> None:
    """Pattern 2: unique prompts flat, attempts per success far above 1.5, failed attempts billed."""
    _, sick, clean = both("retry_storm")
    assert {r.prompt_hash for r in sick} == {r.prompt_hash for r in clean}
    served = sum(r.status == "ok" for r in sick)
    assert len(sick) > 3 * served
    assert max(r.attempt for r in sick) == 8
    assert any(r.status == "error" and (r.cost_nanos or 0) > 0 for r in sick)


def test_a_cache_break_writes_every_prefix_and_reads_none() -> None:
    """Pattern 4: same requests, same tokens, other classes."""
    _, sick, clean = both("cache_break")
    assert sum(r.cache_read for r in sick) == 0
    assert len({r.prefix_hash for r in sick}) == len(sick)
    assert [r.cache_write_1h for r in sick] == [r.cache_read + r.cache_write_1h for r in clean]
    assert {r.release for r in sick}.isdisjoint({r.release for r in clean})


def test_a_model_switch_changes_the_answering_model_alone() -> None:
    """Pattern 8: what was asked for stays, who answers does not."""
    _, sick, clean = both("model_switch")
    assert {r.model for r in sick} == {"claude-opus-4-1"}
    assert [r._replace(model="", cost_nanos=None) for r in sick] == [
        r._replace(model="", cost_nanos=None) for r in clean
    ]


def test_a_leaked_key_shows_a_new_region_new_models_and_strangers() -> None:
    """Pattern 3."""
    _, sick, clean = both("leaked_key")
    usual = set(clean)
    stranger = [r for r in sick if r not in usual]
    assert {r.api_key_id for r in stranger} == {"key-ci-helper"}
    assert {r.region for r in stranger} == {"ap-southeast-1"}
    assert {r.model for r in stranger} == {"claude-opus-4-5", "claude-opus-4-1"}
    assert len({r.end_user for r in stranger}) == 40
    assert {r.release for r in stranger} == {NONE}


def test_a_launch_raises_users_sessions_and_requests_together_at_one_unit_cost() -> None:
    """Pattern 20: the negative class."""
    _, sick, clean = both("organic_growth")
    ratio = len(sick) / len(clean)
    assert ratio > 2
    assert len({r.end_user for r in sick}) > 1.5 * len({r.end_user for r in clean})
    assert len({r.session_id for r in sick}) / len({r.session_id for r in clean}) == pytest.approx(ratio, rel=0.15)
    assert cost(sick) / len(sick) == pytest.approx(cost(clean) / len(clean), rel=0.15)


def test_denial_of_wallet_is_one_user_at_the_output_limit() -> None:
    """Pattern 16."""
    _, sick, clean = both("denial_of_wallet")
    (attacker, requests), *_ = Counter(r.end_user for r in sick).most_common(1)
    assert requests > len(sick) / 2
    assert attacker not in {r.end_user for r in clean}
    assert {r.finish_reason for r in sick if r.end_user == attacker} == {"length"}
