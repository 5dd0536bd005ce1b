"""Each playbook drafts the remedy that its catalogue entry promises, and none where it does not fit."""

from datetime import timedelta

import pytest

from playbooks.block_key import BlockKeyPlaybook
from playbooks.model_downgrade import ModelDowngrade, ModelDowngradeParams
from playbooks.model_pin import ModelPin
from playbooks.notify import NotifyPlaybook
from playbooks.output_cap import OutputCap
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts
from playbooks.prompt_cache import PromptCache
from playbooks.ranking import worth_of
from playbooks.rate_limit import RateLimit, RateLimitParams
from playbooks.session_cap import SessionCap
from store.model.incident import Finding
from store.model.remedy import (
    BlockKey,
    Notify,
    SetModelAlias,
    SetOutputCap,
    SetPromptCache,
    SetRateLimit,
    SetSessionCap,
)
from store.model.usage import Scope
from tests.playbooks.tables import HAIKU, OPUS, REFERENCE, SCOPE, SONNET, START, every, facts_of, finding


def drafted(playbook: Playbook, found: Finding, facts: ProposalFacts, params: Params | None = None) -> Draft:
    """The draft, which there must be."""
    draft = playbook.propose(found, facts, params or playbook.params())
    assert draft is not None
    return draft


def test_a_session_cap_is_a_multiple_of_normal_and_spares_the_run_from_its_own_limit() -> None:
    """The cap acts on the app, not on the session that ends; 30 calls of normal give a cap of 60."""
    focus = Scope.of(team="search", app="indexer", session_id="loop")
    rows = [*every(10, 600, session_id="loop"), *every(60, 20, first=600, session_id="fine")]
    found = finding("agent_loop", focus=focus, facts={"session_calls_p99_normal": 30})
    draft = drafted(SessionCap(), found, facts_of(rows))
    assert draft.actions == (SetSessionCap(target=SCOPE, max_calls=60),)
    assert draft.saving.mid == 540 * 4_500_000 * 8  # 3 h to a day
    assert draft.saving.low <= draft.saving.mid <= draft.saving.high


def test_a_session_cap_reads_normal_from_the_reference_where_no_fact_says() -> None:
    """Sessions of 12 calls were normal: the floor of 20 holds, then the multiple."""
    rows, reference = (
        every(10, 200, session_id="loop"),
        every(60, 12, start=REFERENCE.start, first=900, session_id="old"),
    )
    draft = drafted(SessionCap(), finding("agent_loop"), facts_of(rows, reference))
    assert draft.actions[0].to == {"max_calls": 24}


def test_a_session_cap_that_nothing_passes_is_not_drafted() -> None:
    """Sessions below the cap leave nothing to save."""
    assert (
        SessionCap().propose(finding("agent_loop"), facts_of(every(60, 10, session_id="s")), SessionCap.params())
        is None
    )


def test_a_playbook_answers_only_its_causes() -> None:
    """A session cap has nothing to say to a leaked key."""
    rows = every(10, 600, session_id="loop")
    assert SessionCap().propose(finding("leaked_key"), facts_of(rows), SessionCap.params()) is None


def test_a_rate_limit_lies_above_the_targets_own_normal() -> None:
    """Two a minute were normal: the limit is five, the floor; with a multiple of four it is eight."""
    rows, reference = every(1, 600), every(30, 240, start=REFERENCE.start, first=5000)
    found = finding("retry_storm")
    assert drafted(RateLimit(), found, facts_of(rows, reference)).actions == (
        SetRateLimit(target=SCOPE, requests_per_minute=5),
    )
    wide = drafted(RateLimit(), found, facts_of(rows, reference), RateLimitParams(multiple=4))
    assert wide.actions == (SetRateLimit(target=SCOPE, requests_per_minute=8),)
    assert wide.saving.mid == (600 - 80) * 4_500_000 * 8


def test_a_new_end_user_is_held_to_what_other_end_users_do() -> None:
    """Who was never seen before has no normal of his own: his peers' is taken."""
    mallory = Scope.of(team="search", app="indexer", end_user="mallory")
    reference = [
        *every(6, 100, start=REFERENCE.start, first=5000, end_user="ann"),
        *every(6, 100, start=REFERENCE.start, first=6000, end_user="bob"),
    ]
    found = finding("denial_of_wallet", focus=mallory)
    draft = drafted(RateLimit(), found, facts_of(every(1, 600, end_user="mallory"), reference))
    assert draft.actions == (SetRateLimit(target=mallory, requests_per_minute=15),)


def test_a_caller_who_began_within_the_window_goes_on_as_since_then() -> None:
    """Mallory came for the last of three hours only: a day of her is 24 such hours, not eight such windows."""
    mallory = Scope.of(team="search", app="indexer", end_user="mallory")
    reference = every(6, 100, start=REFERENCE.start, first=5000, end_user="ann")
    found = finding("denial_of_wallet", focus=mallory)
    early = every(1, 600, end_user="mallory")
    late = every(1, 3600, start=START + timedelta(hours=2), end_user="mallory")
    whole, hour = (drafted(RateLimit(), found, facts_of(rows, reference)).saving for rows in (early, late))
    refused = 3600 - 60 * 15
    assert hour.mid == pytest.approx(refused * 4_500_000 * 24, rel=0.01)
    assert whole.mid < hour.mid


def test_no_rate_limit_where_normal_is_not_known() -> None:
    """Without a reference nobody can say what is too much."""
    assert RateLimit().propose(finding("retry_storm"), facts_of(every(1, 600)), RateLimit.params()) is None


def test_a_model_pin_catches_the_name_that_is_asked_for() -> None:
    """Where an alias moved, the alias is pinned to the model that answered before."""
    rows = every(10, 100, model=OPUS, requested_model="smart")
    reference = every(10, 100, start=REFERENCE.start, first=500, model=SONNET, requested_model="smart")
    found = finding("model_switch", facts={"model": OPUS, "previous_model": SONNET})
    draft = drafted(ModelPin(), found, facts_of(rows, reference))
    assert draft.actions == (SetModelAlias(target=SCOPE, from_model="smart", to_model=SONNET),)
    assert draft.saving.mid == 100 * 3_000_000 * 8


def test_no_alias_where_the_target_names_another_model_than_the_one_asked_for() -> None:
    """A finding about the model that answers, in no app of its own: no request for the other model is in it."""
    scope = Scope.of(model=OPUS)
    rows, reference = every(10, 100, model=OPUS), every(10, 100, start=REFERENCE.start, first=500)
    found = finding("model_switch", scope=scope, focus=scope, facts={"model": OPUS, "previous_model": SONNET})
    facts = facts_of(rows, reference, scope=scope)
    assert ModelPin().propose(found, facts, ModelPin.params()) is None
    assert ModelDowngrade().propose(found, facts, ModelDowngrade.params()) is None
    asking = facts_of([row._replace(requested_model=OPUS) for row in rows], reference, scope=scope)
    assert ModelDowngrade().propose(found, asking, ModelDowngrade.params()) is not None


def test_a_model_pin_uses_the_name_that_the_traffic_asked_for_before() -> None:
    """Where the application asks for another name, the old name is what the gateway knows."""
    rows = every(10, 100, model=OPUS, requested_model="opus-prod")
    reference = every(10, 100, start=REFERENCE.start, first=500, model=SONNET, requested_model="sonnet-prod")
    found = finding("model_switch", facts={"model": OPUS, "previous_model": SONNET})
    action = drafted(ModelPin(), found, facts_of(rows, reference)).actions[0]
    assert action == SetModelAlias(target=SCOPE, from_model="opus-prod", to_model="sonnet-prod")


def test_no_pin_back_to_a_dearer_model() -> None:
    """A switch to a cheaper model is not undone to save money."""
    rows = every(10, 100, model=HAIKU)
    found = finding("model_switch", facts={"model": HAIKU, "previous_model": OPUS})
    assert ModelPin().propose(found, facts_of(rows), ModelPin.params()) is None


def test_a_downgrade_goes_one_step_down_a_dated_models_family() -> None:
    """claude-opus-4-5-20251101 is answered by Sonnet; two steps are a choice of the operator."""
    rows = every(10, 100, model=OPUS)
    found = finding("reasoning_effort", facts={"model": OPUS})
    assert drafted(ModelDowngrade(), found, facts_of(rows)).actions[0].to["to_model"] == SONNET
    picky = ModelDowngradeParams(max_steps=2, min_saving_share=0.7)
    assert drafted(ModelDowngrade(), found, facts_of(rows), picky).actions[0].to["to_model"] == HAIKU


def test_the_smallest_model_has_no_downgrade() -> None:
    """Nothing cheaper is known below Haiku."""
    found = finding("reasoning_effort", facts={"model": HAIKU})
    assert ModelDowngrade().propose(found, facts_of(every(10, 50, model=HAIKU)), ModelDowngrade.params()) is None


def test_a_broken_prefix_loses_its_cache_until_it_is_mended() -> None:
    """A prefix that is new in every call pays the write premium for nothing: breakpoints go."""
    rows = [
        row._replace(prefix_hash=f"p{i}")
        for i, row in enumerate(every(10, 200, input_uncached=500, cache_write_5m=9000, prefix_tokens=9000))
    ]
    draft = drafted(PromptCache(), finding("cache_break"), facts_of(rows))
    assert draft.actions == (SetPromptCache(target=SCOPE, ttl="off"),)
    assert draft.saving.mid == 200 * 9000 * 750 * 8


def test_a_stable_prefix_gets_the_lifetime_that_fits_its_gaps() -> None:
    """Calls ten minutes apart need the hour."""
    rows = every(600, 18, input_uncached=500, cache_write_5m=9000, prefix_hash="p", prefix_tokens=9000)
    assert drafted(PromptCache(), finding("cache_ttl"), facts_of(rows)).actions[0].to == {"ttl": "1h"}


def test_a_cache_that_does_not_pay_is_left_alone() -> None:
    """Without writes and without a prefix no setting saves anything."""
    assert PromptCache().propose(finding("cache_break"), facts_of(every(10, 50)), PromptCache.params()) is None


def test_an_output_cap_lies_above_normal_answers() -> None:
    """One and a half times 400 tokens."""
    found = finding("runaway_output", facts={"output_tokens_p95_normal": 400.0})
    draft = drafted(OutputCap(), found, facts_of(every(10, 100, output=8000)))
    assert draft.actions == (SetOutputCap(target=SCOPE, max_tokens=600),)
    assert draft.saving.mid == 100 * 7400 * 15_000 * 8


def test_a_leaked_key_is_blocked_at_high_risk() -> None:
    """The whole key goes, and the draft says that it must be rotated."""
    found = finding("leaked_key", focus=Scope.of(team="search", app="indexer", api_key_id="key-1"))
    draft = drafted(BlockKeyPlaybook(), found, facts_of(every(10, 100)))
    assert draft.actions == (BlockKey(target=Scope.of(api_key_id="key-1")),)
    assert draft.risk == "high"
    assert "rotate" in draft.undo_note


def test_a_finding_without_a_key_blocks_nothing() -> None:
    """No key in the evidence, no block."""
    assert (
        BlockKeyPlaybook().propose(finding("leaked_key"), facts_of(every(10, 100)), BlockKeyPlaybook.params()) is None
    )


def test_notify_answers_everything_and_changes_nothing() -> None:
    """It is always there, with the excess in its message and a net benefit of nothing."""
    draft = drafted(NotifyPlaybook(), finding("organic_growth"), facts_of([]))
    assert isinstance(draft.actions[0], Notify)
    assert draft.actions[0].message.startswith("$10.00 above")
    assert worth_of(draft, finding("organic_growth")).net == 0


def test_only_marginal_spend_counts_as_cash() -> None:
    """Seats are paid anyway: their saving is list value only."""
    rows = [*every(10, 100, session_id="a"), *every(10, 100, first=100, session_id="b", billing_mode="included")]
    draft = drafted(SessionCap(), finding("agent_loop", facts={"session_calls_p99_normal": 10}), facts_of(rows))
    assert draft.saving.cash_mid * 2 == draft.saving.mid > 0


def test_the_interval_shows_how_uneven_the_saving_was() -> None:
    """A loop that ran in the last hour only saved nothing in the first."""
    rows = every(10, 300, start=START + timedelta(hours=2), session_id="loop")
    saving = drafted(SessionCap(), finding("fan_out"), facts_of(rows)).saving
    assert saving.low == 0
    assert saving.high == 3 * saving.mid
