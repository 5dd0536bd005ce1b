"""Data that may not be believed is named, with its scope; ordinary data is not."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agent.detectors.trust import (
    DIMS,
    PRICED_BY,
    disagreement_notes,
    missing_cost_notes,
    silent_notes,
    unpriced_notes,
    zero_cost_notes,
)
from store.model.usage import CUBE_MEASURES, Cube, Scope, Window

START = datetime(2026, 5, 4, tzinfo=UTC)
UNTIL = START + timedelta(days=7)


def cube(hours: list[int], *, model: str = "m", usd: float = 1.0, tokens: int = 1000, unpriced: int = 0) -> Cube:
    """One row of source gateway, provider p per hour."""
    count = len(hours)
    given = {"cost_nanos": round(usd * 1e9), "input_uncached": tokens, "unpriced": unpriced, "requests": 1}
    return Cube(
        window=Window(start=START, end=UNTIL),
        bucket_seconds=3600,
        bucket=np.array([int(START.timestamp()) + 3600 * hour for hour in hours], dtype=np.int64),
        codes={name: np.zeros(count, dtype=np.int32) for name in DIMS},
        values={"source": ["gateway"], "provider": ["p"], "model": [model]},
        measures={name: np.full(count, given.get(name, 0), dtype=np.int64) for name in CUBE_MEASURES},
    )


WEEK = list(range(7 * 24))


def test_a_model_without_a_price_is_named() -> None:
    """Tokens of an unpriced model make a note of that provider and model; no tokens make none."""
    (note,) = unpriced_notes([("p", "new-model", 3, 900), ("p", "idle", 2, 0)])
    assert (note.kind, note.scope) == ("unpriced", Scope.of(provider="p", model="new-model"))


def test_tokens_for_nothing_are_named() -> None:
    """A priced model that used tokens and cost nothing is named; a paid or an unpriced one is not."""
    (note,) = zero_cost_notes(cube(WEEK, usd=0))
    assert (note.kind, note.scope) == ("zero_cost", Scope.of(model="m"))
    assert zero_cost_notes(cube(WEEK)) == []
    assert zero_cost_notes(cube(WEEK, usd=0, unpriced=1)) == []
    assert zero_cost_notes(cube(WEEK, usd=0, tokens=0)) == []


def priced(*, late_usd: float, late_cached: bool = False, unpriced: int = 0) -> Cube:
    """A week of one model, the last day of which costs and caches otherwise."""
    count, late = len(WEEK), np.array(WEEK) >= 6 * 24
    measures = {name: np.zeros(count, dtype=np.int64) for name in CUBE_MEASURES}
    measures["cost_nanos"] = np.where(late, round(late_usd * 1e9), 10**9)
    measures["input_uncached"] = np.where(late & late_cached, 0, 1000)
    measures["cache_read"] = np.where(late & late_cached, 1000, 0)
    measures["unpriced"] = np.where(late, unpriced, 0)
    values = {"provider": ["p"], "model": ["m"], "service_tier": ["standard"], "speed": ["standard"]}
    codes = {name: np.zeros(count, dtype=np.int32) for name in PRICED_BY}
    return cube(WEEK)._replace(codes=codes, values=values, measures=measures)


@pytest.mark.parametrize(
    ("history", "noted"),
    [
        (priced(late_usd=0.5), True),
        (priced(late_usd=0.9), False),
        (priced(late_usd=0.1, late_cached=True), False),
        (priced(late_usd=0.02, late_cached=True), False),
        (priced(late_usd=0.5, unpriced=1), False),
        (priced(late_usd=2.0), False),
    ],
)
def test_cost_that_is_missing_in_part_is_named(history: Cube, noted: bool) -> None:
    """Half the usual cost of the same tokens is; a tenth less, a working cache and a dearer day are not."""
    notes = missing_cost_notes(history, since=START + timedelta(days=6))
    assert [(note.kind, note.scope) for note in notes] == (
        [("zero_cost", Scope.of(provider="p", model="m"))] if noted else []
    )


def test_a_steady_source_that_stops_is_named() -> None:
    """Three silent hours of a source that delivers every hour make a note; two do not."""
    (note,) = silent_notes(cube(WEEK[:-3]), until=UNTIL)
    assert (note.kind, note.scope) == ("silent_source", Scope.of(source="gateway"))
    assert silent_notes(cube(WEEK[:-2]), until=UNTIL) == []


def test_a_source_that_pauses_at_night_is_not_silent() -> None:
    """A source with pauses of sixteen hours may be silent for sixteen."""
    office = [hour for hour in WEEK if 9 <= hour % 24 < 17]
    assert silent_notes(cube(office), until=UNTIL) == []
    assert len(silent_notes(cube([hour for hour in office if hour < 5 * 24]), until=UNTIL)) == 1


def test_the_future_does_not_end_a_silence() -> None:
    """Rows after the moment of the look are not seen."""
    assert len(silent_notes(cube(WEEK[:100]), until=START + timedelta(hours=104))) == 1
    assert silent_notes(cube(WEEK), until=START + timedelta(hours=100)) == []


def test_a_reference_that_says_otherwise_is_named() -> None:
    """More than ten percent apart over whole days is a disagreement of the provider; less is not."""
    (note,) = disagreement_notes(cube(WEEK), cube(WEEK, usd=1.2), share=0.1)
    assert (note.kind, note.scope) == ("disagreement", Scope.of(provider="p"))
    assert disagreement_notes(cube(WEEK), cube(WEEK, usd=1.05), share=0.1) == []


def test_only_days_that_both_know_are_compared() -> None:
    """A reference that lags two days behind agrees, and a daily one counts its last day."""
    assert disagreement_notes(cube(WEEK), cube(WEEK[: 5 * 24]), share=0.1) == []
    daily = cube([day * 24 for day in range(5)], usd=24)
    assert disagreement_notes(cube(WEEK), daily, share=0.1) == []
    assert disagreement_notes(cube(WEEK), cube([]), share=0.1) == []
