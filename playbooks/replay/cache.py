"""The prompt-cache engine: what the recorded requests would have cost with another cache setting.

A cached prefix answers for its lifetime and is renewed by every use. The core works on chains of blocks (a block
counts as hit when it and all blocks before it are cached), which is also what serving traces record.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from playbooks.replay.outcome import Nanos, Replayed, numbers
from playbooks.replay.price import Tokens, tokens_of, with_tokens
from store.model.prices import PriceTable
from store.model.usage import NONE, RecordTable

Ttl = Literal["5m", "1h", "off"]
TTL_US: Mapping[Ttl, int] = {"5m": 300 * 10**6, "1h": 3600 * 10**6}


def leading_hits(at: Iterable[int], chains: Iterable[Sequence[object]], *, ttl: int | None) -> npt.NDArray[np.int64]:
    """How many blocks from the start of each request were cached when it came.

    Args:
        at: when each request came, ascending, in the unit of `ttl`.
        chains: the ids of each request's prefix blocks, first block first.
        ttl: how long a block lives after its last use; None: for ever.

    Source: the Mooncake FAST'25 trace counts hits in this way; shared/data/README.md has its figures.
    """
    last_used: dict[object, int] = {}
    hits = []
    for now, chain in zip(at, chains, strict=True):
        count = 0
        for block in chain:
            used = last_used.get(block)
            if used is None or (ttl is not None and now - used > ttl):
                break
            count += 1
        last_used.update(dict.fromkeys(chain, now))
        hits.append(count)
    return np.array(hits, dtype=np.int64)


def replay_cache(records: RecordTable, prices: PriceTable, *, ttl: Ttl, minimum_prefix: Mapping[str, int]) -> Replayed:
    """What the records would have cost with a breakpoint behind each one's recorded prefix, or with no cache at all.

    A prefix shorter than its model's minimum is not cached; `minimum_prefix` names every model of the records.
    Provider buckets and records that name no prefix stay as they are with a cache; "off" turns every cached and
    written token of single requests into plain input.
    """
    old = tokens_of(records)
    single = numbers(records, "requests") == 1
    cached = old["cache_read"] + old["cache_write_5m"] + old["cache_write_1h"]
    if ttl == "off":
        new = _moved_to(old, single, read=cached * 0, written=cached * 0, ttl=ttl)
        return with_tokens(records, prices, new, "the recorded tokens without any prompt cache")
    total = old["input_uncached"] + cached
    prefix = np.minimum(numbers(records, "prefix_tokens"), total)
    minimum = np.array([minimum_prefix[str(m)] for m in records.column("model")], dtype=np.int64)
    usable = single & (records.column("prefix_hash") != NONE) & (prefix > 0) & (prefix >= minimum)
    hit = _prefix_hits(records, usable, TTL_US[ttl])
    new = _moved_to(old, usable, read=np.where(hit, prefix, 0), written=np.where(hit, 0, prefix), ttl=ttl)
    note = f"the recorded prefixes in a cache that keeps them {ttl} after each use; concurrent first uses count as hits"
    return with_tokens(records, prices, new, note)


def _prefix_hits(records: RecordTable, usable: npt.NDArray[np.bool_], ttl_us: int) -> npt.NDArray[np.bool_]:
    """Which usable records found their prefix cached. Caches are apart by provider and model."""
    rows = np.flatnonzero(usable)
    names = [records.column(name)[rows].tolist() for name in ("provider", "model", "prefix_hash")]
    chains = [(key,) for key in zip(*names, strict=True)]
    hit = np.zeros(records.rows, dtype=np.bool_)
    hit[rows] = leading_hits(numbers(records, "occurred_us")[rows].tolist(), chains, ttl=ttl_us) > 0
    return hit


def _moved_to(old: Tokens, where: npt.NDArray[np.bool_], *, read: Nanos, written: Nanos, ttl: Ttl) -> Tokens:
    """The same input tokens, split anew between plain, read and written in the chosen rows."""
    total = old["input_uncached"] + old["cache_read"] + old["cache_write_5m"] + old["cache_write_1h"]
    split = {
        "input_uncached": total - read - written,
        "cache_read": read,
        "cache_write_5m": written if ttl == "5m" else written * 0,
        "cache_write_1h": written if ttl == "1h" else written * 0,
    }
    return {**old, **{name: np.where(where, values, old[name]) for name, values in split.items()}}
