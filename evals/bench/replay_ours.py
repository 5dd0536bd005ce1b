"""What the replay benchmark measures: the engines of the playbooks, called as the playbooks call them."""

from collections.abc import Callable

import numpy as np

from evals.bench.replay_work import ABOVE, BURST, OTHER, OWN, PER_MINUTE, TTL_US, Answer, Ints, Work
from playbooks.replay.cache import serve
from playbooks.replay.limits import token_bucket
from playbooks.replay.swap import reprice
from store.model.prices import Price, Rates
from store.model.usage import TOKEN_CLASSES, from_us

Run = Callable[[], Answer]
_BLOCK = 32_768
_PLAIN, _READ, _WRITE = OWN[0][:3]


def price_of(tiers: tuple[tuple[int, ...], tuple[int, ...]]) -> Price:
    """The two tiers as a price of the price book."""
    low, high = (Rates(**dict(zip(TOKEN_CLASSES, rates, strict=True))) for rates in tiers)
    return Price(effective_from=from_us(0), rates=low, tiers=((ABOVE, high),))


def bursar_cache(work: Work) -> Run:
    """The cache engine of the playbooks."""

    def run() -> Answer:
        served = serve(work.at, work.starts, work.blocks, work.tokens, least=work.least, ttl=TTL_US)
        return cache_answer(served.read, served.written)

    return run


def bursar_bucket(work: Work) -> Run:
    """The token bucket of the playbooks."""
    return lambda: Answer((int(np.count_nonzero(token_bucket(work.at, per_minute=PER_MINUTE, burst=BURST))),))


def bursar_price(work: Work) -> Run:
    """The price engine of the playbooks: the cost of each request before and after, block by block."""
    own, other = price_of(OWN), price_of(OTHER)
    columns = [counts[work.mine] for counts in work.counts]
    rows = len(columns[0])
    room = np.empty((2, _BLOCK), dtype=np.int64)

    def run() -> Answer:
        before = after = 0
        for start in range(0, rows, _BLOCK):
            block = [counts[start : start + _BLOCK] for counts in columns]
            costs = reprice(block, own, other, into=room[:, : len(block[0])])
            assert costs is not None
            before, after = before + int(costs[0].nanos.sum()), after + int(costs[1].nanos.sum())
        return Answer((before, after))

    return run


def cache_answer(read: Ints, written: Ints) -> Answer:
    """Tokens read and written, and the nano-USD per million tokens that they save less what the writes cost more."""
    found, wrote = int(read.sum()), int(written.sum())
    return Answer((found, wrote, found * (_PLAIN - _READ) - wrote * (_WRITE - _PLAIN)))
