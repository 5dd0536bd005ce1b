"""What a week tells of the next day: its level, its work, the part that a model has, and how far it may stray."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from playbooks.interval import interval, of_sessions_to_come, of_the_sample
from playbooks.model_downgrade import ModelDowngrade, ModelDowngradeParams
from playbooks.model_pin import ModelPin
from playbooks.outlook import day_over_window
from playbooks.playbook import Draft, ProposalFacts
from playbooks.prompt_cache import PromptCache
from playbooks.reasoning_effort import ReasoningEffort
from playbooks.replay.onset import began
from store.model.usage import NONE, RecordTable, Scope, UsageRecord, Window
from tests.playbooks.tables import OPUS, SCOPE, SONNET, every, facts_of, finding, table

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
WEEK = Window(start=MONDAY - timedelta(days=7), end=MONDAY)
MORNING = Window(start=MONDAY + timedelta(hours=9), end=MONDAY + timedelta(hours=12))


def _even(seconds: float, count: int, *, in_session: int = 1, **more: Any) -> list[UsageRecord]:
    """A steady week; every `in_session` calls are one session."""
    rows = every(seconds, count, start=WEEK.start, **more)
    return [row._replace(session_id=f"s{i // in_session}" if in_session > 1 else NONE) for i, row in enumerate(rows)]


def _facts(records: list[UsageRecord], reference: RecordTable, *, scope: Scope = SCOPE) -> ProposalFacts:
    found = facts_of([])
    records_table = table(records, MORNING, scope)
    return replace(found, records=records_table, reference_records=reference, now=MORNING.end)


def _drafted(draft: Draft | None) -> Draft:
    assert draft is not None
    return draft


@pytest.mark.parametrize(("in_session", "usual"), [(1, False), (30, True)])
def test_a_few_sessions_more_are_chance_and_as_many_single_calls_are_not(in_session: int, *, usual: bool) -> None:
    """300 calls where 90 are normal: 10 sessions where 3 are normal may be chance."""
    reference = table(_even(120, 7 * 720, in_session=in_session), WEEK)
    found = day_over_window(reference, MORNING, MORNING.end, seen=300)
    assert found is not None
    assert found.usual is usual
    assert found.times == pytest.approx((720 / 300 if usual else 8) * 10**6, rel=0.01)


def test_small_calls_in_the_window_are_not_taken_for_tomorrows() -> None:
    """The window's 180 calls happened to be half as large as usual: the day of 1,440 usual ones saves as usual."""
    reference = table(_even(60, 7 * 1440, input_uncached=2000, output=0), WEEK)
    rows = every(60, 180, start=MORNING.start, input_uncached=1000, output=0, model=OPUS)
    found = finding("model_switch", facts={"model": OPUS, "previous_model": SONNET})
    draft = _drafted(ModelPin().propose(found, _facts(rows, reference), ModelPin.params()))
    assert draft.saving.mid == pytest.approx(1440 * 2000 * 2000, rel=0.001)


def test_less_thinking_is_worth_more_on_a_day_of_longer_answers() -> None:
    """The window's visible answers were half as long as usual, and the thinking that is saved goes with them."""
    reference = table(_even(60, 7 * 1440, output=300, reasoning=100), WEEK)
    rows = every(60, 180, start=MORNING.start, output=500, reasoning=400)
    draft = _drafted(
        ReasoningEffort().propose(finding("reasoning_effort"), _facts(rows, reference), ReasoningEffort.params())
    )
    assert draft.saving.mid == pytest.approx(1440 * 2 * (400 - 50) * 15_000, rel=0.01)


def test_a_model_that_answers_a_part_of_the_calls_answers_that_part_tomorrow() -> None:
    """Of a finding about one model only its 90 calls were read; by their share the app had the 180 of any morning."""
    reference = table(_even(60, 7 * 1440), WEEK)
    scope = Scope.of(team="search", app="indexer", model=OPUS)
    rows = every(120, 90, start=MORNING.start, model=OPUS)
    known = finding(
        "model_switch",
        scope=scope,
        facts={"model": OPUS, "previous_model": SONNET, "model_share_now": 0.5},
    )
    draft = _drafted(ModelPin().propose(known, _facts(rows, reference, scope=scope), ModelPin.params()))
    assert draft.saving.mid == pytest.approx(720 * 3_000_000, rel=0.001)
    busy = known.model_copy(update={"facts": {**known.facts, "model_share_now": 0.25}})
    twice = _drafted(ModelPin().propose(busy, _facts(rows, reference, scope=scope), ModelPin.params()))
    assert twice.saving.mid == pytest.approx(720 * 3_000_000, rel=0.001)


def test_a_fault_is_taken_to_begin_where_requests_began_to_be_dearer() -> None:
    """At the step of the mean, whatever single gains or losses lie before it."""
    assert began(np.array([0, 0, 0, 5, 5, 4])) == 3
    assert began(np.array([1, 0, -3, 0, 0, 9, 0, 9, 9])) == 5
    assert began(np.array([2, 3, 2])) == 0
    assert began(np.array([0, -1])) == 0
    assert began(np.array([], dtype=np.int64)) == 0


def test_a_cache_is_set_for_the_time_since_it_broke() -> None:
    """Two good hours and one of a prefix that never comes again: no cache is best from then on."""
    cached = {"prefix_tokens": 20_000, "input_uncached": 1000, "output": 10}
    good = every(60, 120, start=MORNING.start, prefix_hash="p", cache_read=20_000, **cached)
    broken = [
        row._replace(prefix_hash=f"p{i}")
        for i, row in enumerate(
            every(60, 60, start=MORNING.start + timedelta(hours=2), first=200, cache_write_5m=20_000, **cached)
        )
    ]
    reference = table(_even(60, 7 * 1440, prefix_hash="p", cache_read=20_000, **cached), WEEK)
    draft = _drafted(
        PromptCache().propose(finding("cache_break"), _facts([*good, *broken], reference), PromptCache.params())
    )
    assert draft.actions[0].to["ttl"] == "off"
    assert draft.saving.mid == pytest.approx(1440 * 20_000 * 750, rel=0.02)


def test_nine_in_ten_days_lie_in_the_interval() -> None:
    """Days of sessions that come by chance and gain unevenly, each told from an eighth of it."""
    draw = np.random.default_rng(5)

    def sessions(mean: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return (10**6 * draw.lognormal(0, 0.8, int(draw.poisson(mean)))).astype(np.int64)

    inside = 0
    for _ in range(300):
        window, day = sessions(40), int(sessions(320).sum())
        rows = table(every(1, len(window)), MORNING)
        mid = 320 * int(window.sum()) // len(window)
        variance = of_the_sample(rows, window, np.ones(len(window), dtype=np.int64))
        variance += of_sessions_to_come(rows, window, mid, share=1.0)
        low, high = interval(mid, variance)
        inside += low <= day <= high
    assert 0.85 <= inside / 300 <= 0.95


def test_the_requests_of_a_session_stray_together() -> None:
    """Ten sessions of ten calls tell as much as ten calls."""
    gain = np.repeat(np.arange(1, 11), 10)
    apart = table(every(1, 100), MORNING)
    together = table([row._replace(session_id=f"s{i // 10}") for i, row in enumerate(every(1, 100))], MORNING)
    assert of_the_sample(together, gain, None) == pytest.approx(10 * of_the_sample(apart, gain, None), rel=0.11)
    assert of_sessions_to_come(together, gain, 10**4, share=0.25) == pytest.approx(
        40 * of_sessions_to_come(apart, gain, 10**4, share=1.0)
    )


def test_a_canary_saves_less_surely_than_everyone() -> None:
    """Which of tomorrow's few sessions it draws is chance."""
    reference = table(_even(60, 7 * 1440, in_session=40), WEEK)
    rows = [
        row._replace(session_id=f"n{i // 40}") for i, row in enumerate(every(60, 180, start=MORNING.start, model=OPUS))
    ]
    found, facts = finding("model_switch", facts={"model": OPUS, "previous_model": SONNET}), _facts(rows, reference)
    part, everyone = (
        _drafted(ModelDowngrade().propose(found, facts, ModelDowngradeParams(canary_percent=percent))).saving
        for percent in (25, 100)
    )
    assert everyone.mid == 4 * part.mid
    assert part.low / part.mid < everyone.low / everyone.mid <= 1 <= everyone.high / everyone.mid < part.high / part.mid
    assert "9 in 10" in part.assumption
