"""The playbooks for tiers, caches, contexts, budgets and people draft what their catalogue entries promise."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet
import pytest

from playbooks.batch_lane import BatchLane
from playbooks.budget_cap import BudgetCap
from playbooks.cache_repair import CacheRepair, CacheRepairParams
from playbooks.context_cap import ContextCap
from playbooks.fast_tier_off import FastTierOff
from playbooks.key_rotation import KeyRotation
from playbooks.long_context_routing import LongContextRouting
from playbooks.model_downgrade import ModelDowngrade, ModelDowngradeParams
from playbooks.planned_event import PlannedEvent
from playbooks.playbook import Draft, Params, Playbook, ProposalFacts
from playbooks.quality import Quality, loss, shipped_quality
from playbooks.reasoning_effort import ReasoningEffort
from playbooks.retry_policy import RetryPolicy
from store.model.incident import Finding
from store.model.prices import Price, PriceKey, PriceTable
from store.model.remedy import Notify, OpenIssue, SetBudget, SetContextCap, SetModelAlias, SetServiceTier
from store.model.usage import Scope
from tests.playbooks.tables import HAIKU, NOW, OPUS, REFERENCE, SCOPE, SONNET, every, facts_of, finding, rates


def drafted(playbook: Playbook, found: Finding, facts: ProposalFacts, params: Params | None = None) -> Draft:
    """The draft, which there must be, with its interval in order."""
    draft = playbook.propose(found, facts, params or playbook.params())
    assert draft is not None
    assert draft.saving.low <= draft.saving.mid <= draft.saving.high
    return draft


def _priced(facts: ProposalFacts, price: Price) -> ProposalFacts:
    prices = PriceTable(prices={PriceKey("anthropic", SONNET): (price,)})
    return ProposalFacts(**{**vars(facts), "prices": prices})


def test_fast_mode_is_taken_out_at_the_standard_price() -> None:
    """Six times the price is what it saves five of; without a dearer price there is nothing to save."""
    price = Price(effective_from=datetime(2025, 1, 1, tzinfo=UTC), rates=rates(3, 15), multipliers={"fast": "6"})
    rows = every(10, 100, speed="fast", cost_nanos=27_000_000)
    draft = drafted(FastTierOff(), finding("fast_mode"), _priced(facts_of(rows), price))
    assert draft.actions == (SetServiceTier(target=SCOPE),)
    assert draft.saving.mid == 100 * 5 * 4_500_000 * 8
    assert FastTierOff().propose(finding("fast_mode"), facts_of(every(10, 100)), FastTierOff.params()) is None


def test_effort_is_not_capped_where_normal_is_not_known() -> None:
    """Without a reference nobody can say how much thinking is right."""
    rows = every(10, 100, output=4000, reasoning=3600)
    assert ReasoningEffort().propose(finding("reasoning_effort"), facts_of(rows), ReasoningEffort.params()) is None


def test_a_context_cap_lies_above_normal_prompts() -> None:
    """Twice 10,000 tokens; those of 50,000 are refused, and cautiously half of them come back."""
    rows = [*every(10, 100, input_uncached=50_000), *every(10, 100, first=100, input_uncached=10_000)]
    before = every(60, 100, start=REFERENCE.start, first=900, input_uncached=10_000)
    draft = drafted(ContextCap(), finding("context_bloat"), facts_of(rows, before))
    assert draft.actions == (SetContextCap(target=SCOPE, max_input_tokens=20_000),)
    assert draft.saving.mid == 100 * 151_500_000 * 8
    assert draft.saving.low <= draft.saving.mid // 2


def test_a_daily_budget_is_a_multiple_of_a_normal_day() -> None:
    """Five dollars at least, whole cents, and everything after that is refused."""
    rows = every(1, 3000)
    before = every(600, 18, start=REFERENCE.start, first=5000)
    draft = drafted(BudgetCap(), finding("denial_of_wallet"), facts_of(rows, before))
    assert draft.actions == (SetBudget(target=SCOPE, max_nanos=5 * 10**9, period="day"),)
    # 1,112 requests of 0.0045 USD pass: the last one may go over.
    assert draft.saving.mid == (3000 - 1112) * 4_500_000 * 8


_BROKEN = [
    row._replace(prefix_hash=f"p{i}")
    for i, row in enumerate(every(10, 100, input_uncached=500, cache_write_5m=9500, release="r2"))
]
_WARM = every(60, 100, start=REFERENCE.start, first=900, input_uncached=500, cache_read=9500, release="r1")


def test_a_cache_repair_says_where_and_how_and_what_it_is_worth() -> None:
    """The release that began it, the patch, and the saving of the hit ratio of before."""
    facts = facts_of(_BROKEN, _WARM)
    told = drafted(CacheRepair(), finding("cache_break"), facts)
    assert isinstance(told.actions[0], Notify)
    assert "since release r2" in told.actions[0].message
    assert "+    system = " in told.actions[0].message
    assert told.saving.mid == 100 * 9500 * (3750 - 300) * 8
    assert told.uptake < 1
    issue = drafted(CacheRepair(), finding("cache_break"), facts, CacheRepairParams(repository="acme/app")).actions[0]
    assert isinstance(issue, OpenIssue)
    assert issue.repository == "acme/app"


def test_a_cache_repair_names_the_position_that_the_guard_reports() -> None:
    """Token and kind, where they are known."""
    found = finding("cache_break", facts={"prefix_break_offset": 4.0, "prefix_break_kind": "time"})
    message = drafted(CacheRepair(), found, facts_of(_BROKEN, _WARM)).actions[0].to["message"]
    assert "first differs at token 4 (time)" in str(message)


def test_a_retry_policy_is_worth_the_late_attempts() -> None:
    """Attempts three and four would not have been made."""
    rows = [row._replace(attempt=1 + i % 4) for i, row in enumerate(every(10, 400))]
    draft = drafted(RetryPolicy(), finding("retry_storm"), facts_of(rows))
    assert draft.saving.mid == 200 * 4_500_000 * 8
    assert "num_retries: 1" in str(draft.actions[0].to["message"])
    assert RetryPolicy().propose(finding("retry_storm"), facts_of(every(10, 40)), RetryPolicy.params()) is None


def test_the_batch_lane_costs_half() -> None:
    """By the price book's batch price where it has one, else half of what was paid."""
    rows = every(10, 100)
    half = 100 * 2_250_000 * 8
    assert drafted(BatchLane(), finding("batch_backfill"), facts_of(rows)).saving.mid == half
    price = Price(effective_from=datetime(2025, 1, 1, tzinfo=UTC), rates=rates(3, 15), multipliers={"batch": "0.4"})
    known = drafted(BatchLane(), finding("batch_backfill"), _priced(facts_of(rows), price))
    assert known.saving.mid == 100 * 2_700_000 * 8
    assert "none" not in known.saving.assumption


def test_long_prompts_are_routed_where_a_tier_makes_them_dearer() -> None:
    """Above 200,000 tokens input is twice as dear; no tier, no advice."""
    price = Price(effective_from=datetime(2025, 1, 1, tzinfo=UTC), rates=rates(3, 15), tiers=((200_000, rates(6, 15)),))
    facts = facts_of(every(10, 10, input_uncached=300_000, output=0, cost_nanos=1_800_000_000))
    found = finding("long_context_tier")
    draft = drafted(LongContextRouting(), found, _priced(facts, price))
    assert draft.saving.mid == 10 * 900_000_000 * 8
    assert "above 200,000 input tokens" in str(draft.actions[0].to["message"])
    assert LongContextRouting().propose(found, facts, LongContextRouting.params()) is None


def test_a_leaked_key_gets_a_runbook_and_its_owners_own_calls_are_not_saved() -> None:
    """What the key normally spends goes on with the new key."""
    key = Scope.of(team="search", app="indexer", api_key_id="key-1")
    before = every(600, 18, start=REFERENCE.start, first=900)
    draft = drafted(KeyRotation(), finding("leaked_key", focus=key), facts_of(every(10, 600), before))
    assert abs(draft.saving.mid - (600 - 18) * 4_500_000 * 8) < 600 * 8
    assert "make a new key" in str(draft.actions[0].to["message"])
    assert KeyRotation().propose(finding("leaked_key"), facts_of(every(10, 9)), KeyRotation.params()) is None


def test_a_planned_event_is_a_command_that_a_hostile_name_cannot_leave() -> None:
    """The scope is quoted for a shell."""
    scope = Scope.of(team="search", app="x'; rm -rf /")
    draft = drafted(PlannedEvent(), finding("batch_backfill", scope=scope, focus=scope), facts_of([]))
    message = str(draft.actions[0].to["message"])
    assert """--scope 'app=x'"'"'; rm -rf /' --scope team=search""" in message
    assert draft.saving.mid == 0


def test_a_downgrade_begins_with_a_part_of_the_sessions() -> None:
    """A quarter by default, with a quarter of the saving; everyone when the operator says so."""
    facts, found = facts_of(every(10, 100, model=OPUS)), finding("model_switch", facts={"model": OPUS})
    canary = drafted(ModelDowngrade(), found, facts)
    assert canary.actions == (SetModelAlias(target=SCOPE, from_model=SONNET, to_model=SONNET, percent=25),)
    everyone = drafted(ModelDowngrade(), found, facts, ModelDowngradeParams(canary_percent=100))
    assert everyone.actions[0].to["percent"] is None
    assert canary.saving.mid * 4 == everyone.saving.mid


def _score(model: str, score: float, since: date = date(2026, 1, 1), source: str = "ours") -> Quality:
    return Quality(model=model, task="support", score=score, effective_from=since, source=source)


def test_the_operators_scores_choose_the_candidate() -> None:
    """Haiku is as good as Opus at this work and Sonnet is not: two steps down it is, at what it loses."""
    scores = (_score(OPUS, 90), _score(SONNET, 50), _score(HAIKU, 81))
    facts, found = facts_of(every(10, 100, model=OPUS)), finding("model_switch", facts={"model": OPUS})
    params = ModelDowngradeParams(max_steps=2, task="support", quality=scores)
    draft = drafted(ModelDowngrade(), found, facts, params)
    assert draft.actions[0].to["to_model"] == HAIKU
    assert draft.quality_cost == pytest.approx(0.1)
    assert "support: 81 % of tasks solved instead of 90 % (ours)" in draft.quality_note
    strict = ModelDowngradeParams(max_steps=1, task="support", quality=scores, max_quality_loss=0.2)
    assert ModelDowngrade().propose(found, facts, strict) is None


def test_quality_compares_one_source_at_one_date() -> None:
    """A score that is not in force yet, or of another source, says nothing."""
    rows = [_score("a", 80), _score("b", 60), _score("b", 76, date(2027, 1, 1)), _score("c", 80, source="theirs")]
    found = loss("a", "b-2026-05-01", now=NOW, more=rows)
    assert found is not None
    assert found.share == pytest.approx(0.25)
    assert loss("a", "c", now=NOW, more=rows) is None
    assert loss("b", "a", now=NOW, more=rows) == loss("b", "a", now=NOW, task="support", more=rows)


def test_the_shipped_table_has_a_source_and_a_date_for_every_score() -> None:
    """And knows what the smaller of two published models loses."""
    assert all(row.source.startswith("aider-") and row.effective_from < date(2026, 1, 1) for row in shipped_quality())
    found = loss("gpt-4.1-2025-04-14", "gpt-4.1-mini", now=NOW)
    assert found is not None
    assert found.text.startswith("coding: 32.4 % of tasks solved instead of 52.4 %")


_BOARDS = Path(__file__).parents[3] / "shared" / "data" / "aider" / "model_quality_cost_leaderboards.parquet"
_NAMED_OTHERWISE = {
    "gpt-5": "gpt-5 (medium)",
    "claude-3-7-sonnet": "claude-3-7-sonnet-20250219 (no thinking)",
    "claude-sonnet-4": "claude-sonnet-4-20250514 (no thinking)",
    "claude-opus-4": "claude-opus-4-20250514 (no think)",
    "gemini-2.5-pro": "gemini-2.5-pro-preview-06-05 (default think)",
    "gemini-2.5-flash": "gemini-2.5-flash-preview-05-20 (24k think)",
    "o4-mini": "o4-mini (high)",
    "o3-mini": "o3-mini (medium)",
}


@pytest.mark.skipif(not _BOARDS.exists(), reason="Aider's leaderboards are not beside the repository")
def test_the_shipped_scores_are_those_of_the_boards() -> None:
    """Every row of the table is a row of its board: model, score and date."""
    table = pyarrow.parquet.read_table(_BOARDS, columns=["board", "model", "pass_rate_1", "pass_rate_2", "date"])
    rows = {(row["board"], str(row["date"])[:10], row["model"]): row for row in table.to_pylist()}
    for score in shipped_quality():
        polyglot = score.source == "aider-polyglot"
        board = "polyglot_leaderboard" if polyglot else "refactor_leaderboard"
        wanted = _NAMED_OTHERWISE.get(score.model, score.model)
        found = [
            row["pass_rate_2" if polyglot else "pass_rate_1"]
            for (of, day, name), row in rows.items()
            if of == board and day == score.effective_from.isoformat() and name.startswith(wanted)
        ]
        assert score.score in found, (score.model, score.task, found)
