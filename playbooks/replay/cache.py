"""The prompt-cache engine: what the recorded requests would have cost with another cache setting.

A cached prefix answers for its lifetime and is renewed by every use. A request has one or more breakpoints, each the
end of a longer prefix; it reads the longest one that is cached and writes the rest up to its last breakpoint.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from playbooks.replay.kernels import NEVER, TTL_CACHE
from playbooks.replay.outcome import Nanos, Replayed, numbers
from playbooks.replay.price import Tokens, tokens_of, with_tokens
from store.model.prices import PriceTable
from store.model.usage import NONE, RecordTable

Ttl = Literal["5m", "1h", "off"]
TTL_US: Mapping[Ttl, int] = {"5m": 300 * 10**6, "1h": 3600 * 10**6}
FOR_EVER = 2**60

READY_US = 2 * 10**6
"""A prefix can be read once its first writer has its first token; calls that run beside it write it again."""
SLOW_READY_US = 30 * 10**6
"""The same where the first writer thinks long."""


class Served(NamedTuple):
    """What a cache did for each request: tokens read and tokens written."""

    read: npt.NDArray[np.int64]
    written: npt.NDArray[np.int64]


def serve(
    at: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    blocks: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.int64],
    *,
    least: npt.NDArray[np.int64],
    ttl: int,
    ready: int = 0,
) -> Served:
    """Let a cache serve the requests in order.

    Args:
        at: when each of n requests came, ascending, not negative, in the unit of `ttl` and `ready`.
        starts: n + 1 positions: request i has the breakpoints from starts[i] up to starts[i + 1].
        blocks: per breakpoint the id of its prefix, dense from 0.
        tokens: per breakpoint the tokens of its prefix, ascending within a request.
        least: per request the tokens that a prefix must have to be cached.
        ttl: how long a prefix lives after its last use.
        ready: how long after its first write a prefix can be read.
    """
    known = int(blocks.max()) + 1 if len(blocks) else 0
    read, written = (np.zeros(len(at), dtype=np.int64) for _ in range(2))
    last_used, ready_at = np.full(known, NEVER, dtype=np.int64), np.zeros(known, dtype=np.int64)
    arguments = (at, starts, blocks, tokens, least, ttl, ready, last_used, ready_at, read, written)
    TTL_CACHE(len(blocks), *arguments)
    return Served(read, written)


def leading_hits(at: Iterable[int], chains: Iterable[Sequence[object]], *, ttl: int | None) -> npt.NDArray[np.int64]:
    """How many blocks from the start of each request were cached when it came.

    Args:
        at: when each request came, ascending, in the unit of `ttl`.
        chains: the ids of each request's prefix blocks, first block first.
        ttl: how long a block lives after its last use; None: for ever.

    Source: the Mooncake FAST'25 trace counts hits in this way; shared/data/README.md has its figures.
    """
    listed = list(chains)
    lengths = [len(one) for one in listed]
    ids = {block: n for n, block in enumerate(dict.fromkeys(chain.from_iterable(listed)))}
    served = serve(
        np.fromiter(at, dtype=np.int64),
        np.array([0, *accumulate(lengths)], dtype=np.int64),
        np.array([ids[block] for one in listed for block in one], dtype=np.int64),
        np.array([n + 1 for length in lengths for n in range(length)], dtype=np.int64),
        least=np.zeros(len(listed), dtype=np.int64),
        ttl=FOR_EVER if ttl is None else ttl,
    )
    # Of prefixes that grow by one token each, as many tokens are read as blocks were hit.
    return served.read


def replay_cache(records: RecordTable, prices: PriceTable, *, ttl: Ttl, minimum_prefix: Mapping[str, int]) -> Replayed:
    """What the records would have cost with a breakpoint behind each one's recorded prefix, or with no cache at all.

    A prefix shorter than its model's minimum is not cached; `minimum_prefix` names every model of the records.
    Provider buckets and records that name no prefix stay as they are with a cache; "off" turns every cached and
    written token of single requests into plain input. Caches are apart by provider and model.
    """
    old = tokens_of(records)
    single = numbers(records, "requests") == 1
    cached = old["cache_read"] + old["cache_write_5m"] + old["cache_write_1h"]
    if ttl == "off":
        new = _moved_to(old, single, read=cached * 0, written=cached * 0, ttl=ttl)
        return with_tokens(records, prices, new, "the recorded tokens without any prompt cache")
    prefix = np.minimum(numbers(records, "prefix_tokens"), old["input_uncached"] + cached)
    minimum = np.array([minimum_prefix[str(m)] for m in records.column("model")], dtype=np.int64)
    rows = np.flatnonzero(single & (records.column("prefix_hash") != NONE) & (prefix > 0) & (prefix >= minimum))
    quick, slow = (_served(records, rows, prefix, old, ttl=ttl, ready=ready) for ready in (READY_US, SLOW_READY_US))
    note = (
        f"the recorded prefixes in a cache that keeps them {ttl} after each use; calls within {READY_US // 10**6} s of "
        f"a prefix's first write miss it (low: within {SLOW_READY_US // 10**6} s)"
    )
    return with_tokens(records, prices, quick, note, cautious=slow)


def _served(
    records: RecordTable, rows: npt.NDArray[np.intp], prefix: Nanos, old: Tokens, *, ttl: Ttl, ready: int
) -> Tokens:
    """The tokens of the records with the cache in front of the chosen rows, which have one breakpoint each."""
    names = [records.column(name)[rows].tolist() for name in ("provider", "model", "prefix_hash")]
    keys = list(zip(*names, strict=True))
    ids = {key: n for n, key in enumerate(dict.fromkeys(keys))}
    served = serve(
        numbers(records, "occurred_us")[rows],
        np.arange(len(rows) + 1, dtype=np.int64),
        np.array([ids[key] for key in keys], dtype=np.int64),
        prefix[rows],
        least=np.zeros(len(rows), dtype=np.int64),
        ttl=TTL_US[ttl],
        ready=ready,
    )
    where, read, written = np.zeros(records.rows, dtype=np.bool_), np.zeros_like(prefix), np.zeros_like(prefix)
    where[rows], read[rows], written[rows] = True, served.read, served.written
    return _moved_to(old, where, read=read, written=written, ttl=ttl)


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
