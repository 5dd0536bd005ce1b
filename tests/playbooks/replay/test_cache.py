"""The cache engine reproduces a real serving trace and prices reads, writes and minimums."""

from pathlib import Path

import pyarrow.parquet
import pytest

from playbooks.models import minimum_prefixes
from playbooks.replay.cache import Ttl, leading_hits, replay_cache
from playbooks.replay.outcome import Replayed
from store.model.usage import UsageRecord
from tests.playbooks.tables import OPUS, PRICES, every, table

TRACE = Path(__file__).parents[4] / "shared" / "data" / "llm_traces" / "mooncake_conversation_first30min.parquet"


@pytest.mark.skipif(not TRACE.exists(), reason="the Mooncake trace is not beside the repository")
@pytest.mark.parametrize(("ttl_ms", "hits"), [(None, 49_930), (300_000, 40_438), (60_000, 14_526)])
def test_the_mooncake_trace_gives_its_published_hits(ttl_ms: int | None, hits: int) -> None:
    """Of 146,464 blocks 34.09 % hit in an unlimited cache, 27.61 % with 5 minutes, 9.92 % with 1 minute."""
    trace = pyarrow.parquet.read_table(TRACE, columns=["timestamp", "hash_ids"])
    chains = trace["hash_ids"].to_pylist()
    assert sum(map(len, chains)) == 146_464
    assert int(leading_hits(trace["timestamp"].to_pylist(), chains, ttl=ttl_ms).sum()) == hits


def test_a_block_behind_a_missing_one_is_no_hit() -> None:
    """Only the leading run of cached blocks counts."""
    assert leading_hits([0, 1, 2], [["a", "b"], ["x", "b"], ["a", "b", "c"]], ttl=None).tolist() == [0, 0, 2]


def test_use_renews_a_block() -> None:
    """A block lives its time after the last use: exactly at the end it still hits."""
    assert leading_hits([0, 10, 20, 31], [["a"]] * 4, ttl=10).tolist() == [0, 1, 1, 0]


def _replay(rows: list[UsageRecord], ttl: Ttl) -> Replayed:
    return replay_cache(table(rows), PRICES, ttl=ttl, minimum_prefix=minimum_prefixes({row.model for row in rows}))


def test_a_stable_prefix_is_written_once_and_then_read() -> None:
    """Two uses within five minutes: one write at 1.25 times, one read at a tenth."""
    rows = every(60, 2, input_uncached=3000, output=0, prefix_hash="p", prefix_tokens=2000)
    assert _replay(rows, "5m").after.tolist() == [10_500_000, 3_600_000]


def test_a_gap_beyond_the_lifetime_writes_again() -> None:
    """Ten minutes apart the 5-minute cache writes each time and the 1-hour cache reads."""
    rows = every(600, 2, input_uncached=2000, output=0, prefix_hash="p", prefix_tokens=2000)
    assert _replay(rows, "5m").after.tolist() == [7_500_000, 7_500_000]
    assert _replay(rows, "1h").after.tolist() == [12_000_000, 600_000]


def test_a_short_prefix_is_not_cached() -> None:
    """Below the model's minimum nothing changes; each model has its own."""
    rows = every(60, 2, input_uncached=3000, model=OPUS, prefix_hash="p", prefix_tokens=2000)
    replayed = _replay(rows, "5m")
    assert replayed.after.tolist() == replayed.before.tolist()


def test_off_drops_the_write_premium() -> None:
    """A prefix written with every call costs a quarter more than plain input."""
    rows = every(60, 3, input_uncached=0, cache_write_5m=10_000, output=0)
    replayed = _replay(rows, "off")
    assert (replayed.spent_before_nanos, replayed.spent_after_nanos) == (112_500_000, 90_000_000)


def test_one_models_cache_does_not_serve_another() -> None:
    """The same prefix at two models is written twice."""
    rows = [
        *every(60, 1, input_uncached=8000, output=0, prefix_hash="p", prefix_tokens=8000),
        *every(60, 1, first=1, input_uncached=8000, output=0, prefix_hash="p", prefix_tokens=8000, model=OPUS),
    ]
    assert sorted(_replay(rows, "5m").after.tolist()) == [30_000_000, 50_000_000]
