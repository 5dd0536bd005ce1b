"""Cause scores out of numbers alone: rare causes, missing numbers, and how confidences share out."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.analyst.cause_table import CAUSES, Ramp
from agent.analyst.causes import score_causes
from agent.analyst.notebook import Note, Notebook
from store.model.incident import Cause
from store.model.usage import TOTAL, Window

WINDOW = Window(start=datetime(2026, 11, 17, tzinfo=UTC), end=datetime(2026, 11, 18, tzinfo=UTC))
MEASURES = sorted(
    {
        ramp.measure
        for tests in CAUSES.values()
        for ramp in (*tests.needs, *(r for r, _ in tests.supports), *(r for r, _ in tests.unless))
    }
)


def notebook(numbers: dict[str, float]) -> Notebook:
    """A notebook that holds one note per number."""
    book = Notebook()
    for name, value in numbers.items():
        book.add(Note("spend", f"{name} is {value}", {name: value}), scope=TOTAL, window=WINDOW)
    return book


RARE: tuple[tuple[Cause, dict[str, float]], ...] = (
    (
        "cache_ttl",
        {
            "cache_hit_drop": 0.5, "cache_read_ratio": 0.3, "late_hits_drop": 0.9, "early_hits_drop": 0.0,
            "reuse_gap_seconds_p50": 900, "share_of_change.cache_mix": 0.9, "requests_ratio": 1.0,
            "prefix_changes_rise": 0.0, "cache_write_rise": 0.5,
        },
    ),
    (
        "long_context_tier",
        {
            "long_context_rise": 0.5, "share_of_change.tier_speed": 0.45, "share_of_change.input_per_request": 0.5,
            "input_ratio": 1.5, "requests_ratio": 1.0, "visible_output_ratio": 1.0,
        },
    ),
    (
        "cache_write_premium",
        {
            "cache_write_share_now": 0.9, "cache_hit_ratio_before": 0.0, "share_of_change.cache_mix": 0.8,
            "requests_ratio": 1.0, "cache_write_rise": 0.9, "cache_hit_drop": 0.0, "prefix_changes_rise": 0.0,
        },
    ),
)  # fmt: skip


@pytest.mark.parametrize(("cause", "numbers"), RARE, ids=[row[0] for row in RARE])
def test_rare_causes_are_told_by_their_signature(cause: Cause, numbers: dict[str, float]) -> None:
    """Numbers as FIELD.md describes them put the cause first."""
    assert score_causes(notebook(numbers))[0].cause == cause


def test_without_numbers_the_cause_is_unknown() -> None:
    """Nothing known, nothing claimed."""
    assert [(score.cause, score.confidence) for score in score_causes(Notebook())] == [("unknown", 1.0)]


def test_evidence_for_and_against_is_named() -> None:
    """What supports a cause and what speaks against it carry the ids of their notes."""
    numbers = {
        "cache_hit_drop": 0.6, "cache_read_ratio": 0.1, "share_of_change.cache_mix": 0.9, "prefix_changes_rise": 0.9,
        "model_shift": 0.9,
    }  # fmt: skip
    book = notebook(numbers)
    best = score_causes(book)[0]
    assert best.cause == "cache_break"
    assert set(best.supported_by) == {book.origin(name) for name in numbers if name != "model_shift"}
    assert best.contradicted_by == (book.origin("model_shift"),)


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from(MEASURES), st.floats(-10, 10_000)))
def test_confidences_are_a_share_of_one(numbers: dict[str, float]) -> None:
    """For any numbers: best first, each in [0, 1], at most 1 together, `unknown` always among them."""
    scores = score_causes(notebook(numbers))
    confidences = [score.confidence for score in scores]
    assert confidences == sorted(confidences, reverse=True)
    assert sum(confidences) <= 1
    assert "unknown" in {score.cause for score in scores}


def test_a_ramp_rises_and_falls() -> None:
    """Between its ends a test is soft; the wrong way round it falls."""
    assert [Ramp("x", 1, 3).level(value) for value in (0, 1, 2, 3, 9)] == [0, 0, 0.5, 1, 1]
    assert [Ramp("x", 3, 1).level(value) for value in (0, 1, 2, 3, 9)] == [1, 1, 0.5, 0, 0]
