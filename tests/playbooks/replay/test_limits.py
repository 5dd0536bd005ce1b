"""The limit engines refuse exactly what their limit says."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playbooks.replay.limits import (
    minute_window,
    replay_block,
    replay_output_cap,
    replay_rate_limit,
    replay_session_cap,
    token_bucket,
)
from tests.playbooks.tables import PRICES, START, every, record, table

_TIMES = st.lists(st.integers(0, 4 * 60 * 10**6), max_size=60).map(sorted)


@settings(deadline=None)
@given(_TIMES, st.integers(1, 8))
def test_a_minute_lets_the_first_requests_pass(at: list[int], most: int) -> None:
    """Counted one by one, each calendar minute passes its first `most` requests."""
    seen: dict[int, int] = {}
    expected = []
    for moment in at:
        seen[moment // 60_000_000] = seen.get(moment // 60_000_000, 0) + 1
        expected.append(seen[moment // 60_000_000] <= most)
    assert minute_window(np.array(at, dtype=np.int64), per_minute=most).tolist() == expected


@settings(deadline=None)
@given(_TIMES, st.integers(1, 600), st.integers(1, 8))
def test_a_bucket_never_passes_more_than_it_was_filled_with(at: list[int], per_minute: int, burst: int) -> None:
    """In any span the bucket passes at most the burst and what flowed in; a full bucket refuses nothing."""
    passed = token_bucket(np.array(at, dtype=np.int64), per_minute=per_minute, burst=burst).tolist()
    times = [moment for moment, ok in zip(at, passed, strict=True) if ok]
    for i, first in enumerate(times):
        for j in range(i, len(times)):
            assert (j - i + 1) * 60_000_000 <= burst * 60_000_000 + (times[j] - first) * per_minute
    assert all(passed[:burst])


def _textbook(at: list[int], *, per_minute: int, burst: int) -> list[bool]:
    full = level = burst * 60_000_000
    passed = []
    for before, now in pairwise([at[0], *at]):
        level = min(full, level + (now - before) * per_minute)
        passed.append(level >= 60_000_000)
        level -= 60_000_000 * passed[-1]
    return passed


@pytest.mark.parametrize("pause", [0, 2**60])
def test_a_long_replay_keeps_the_level_from_stretch_to_stretch(pause: int) -> None:
    """Over 70,000 requests the textbook's bucket, also where the sums leave 64 bits."""
    at = np.sort(np.random.default_rng(7).integers(0, 210_000_000, 70_000)) + pause
    at[0] = 0
    found = token_bucket(at, per_minute=6000, burst=40)
    assert found.tolist() == _textbook(at.tolist(), per_minute=6000, burst=40)


def test_a_bucket_refills_evenly() -> None:
    """At 60 a minute one request a second passes; the half second between does not."""
    assert token_bucket(np.array([0, 500_000, 1_000_000, 1_500_000]), per_minute=60, burst=1).tolist() == [
        True,
        False,
        True,
        False,
    ]


def test_a_rate_limit_saves_the_cost_of_what_it_refuses() -> None:
    """Of 60 requests in a minute 10 pass."""
    replayed = replay_rate_limit(table(every(1, 60)), per_minute=10)
    assert replayed.spent_after_nanos * 6 == replayed.spent_before_nanos
    assert round(replayed.refused_share, 3) == round(50 / 60, 3)


def test_provider_buckets_are_left_out_of_limits() -> None:
    """A row of many requests says nothing about minutes, so no saving is claimed for it."""
    rows = table([record(1, START, requests=500), record(2, START)])
    assert replay_rate_limit(rows, per_minute=1).refused.tolist() == [False, False]
    assert replay_output_cap(rows, PRICES, max_tokens=1).after.tolist()[0] == rows.column("cost_nanos")[0]


def test_a_session_cap_ends_each_session_by_itself() -> None:
    """Call three and later of a session are refused; calls without a session never."""
    rows = [*every(1, 4, session_id="a"), *every(1, 2, first=4, session_id="b"), *every(1, 5, first=6)]
    replayed = replay_session_cap(table(rows), max_calls=2)
    assert int(replayed.refused.sum()) == 2


def test_an_output_cap_takes_only_the_tokens_above_it() -> None:
    """Of 100 output tokens 40 remain: 60 at 15 dollars a million are saved."""
    replayed = replay_output_cap(table(every(1, 1)), PRICES, max_tokens=40)
    assert replayed.spent_before_nanos - replayed.spent_after_nanos == 60 * 15_000


def test_a_block_saves_everything() -> None:
    """Nothing of a blocked key is paid for, but what its owner normally spends."""
    assert replay_block(table(every(1, 3)), normal_nanos=0).spent_after_nanos == 0
    assert replay_block(table(every(1, 3)), normal_nanos=4_500_000).spent_after_nanos == 4_500_000
