"""The loops say the same at both speeds, and what they say can be checked one request at a time."""

import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playbooks.replay.cache import serve
from playbooks.replay.kernels import BUCKET, NEVER, QUEUE, REPRICE, REQUEST, TTL_CACHE
from playbooks.replay.limits import queued, token_bucket
from playbooks.replay.price import list_cost
from playbooks.replay.speed import COMPILE_AT, Kernel
from playbooks.replay.swap import reprice, swap_model
from store.model.prices import Price, PriceKey, PriceTable, Rates
from store.model.usage import TOKEN_CLASSES, from_us
from tests.playbooks.tables import OPUS, PRICES, SONNET, START, every, record, table

_TIMES = st.lists(st.integers(0, 3 * 60 * 10**6), min_size=1, max_size=40).map(sorted)
_REQUESTS = st.lists(
    st.tuples(st.integers(0, 900), st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3000)), max_size=4)),
    max_size=30,
).map(lambda found: sorted(found, key=lambda pair: pair[0]))


def _ints(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def _both(kernel: Kernel, make: list[object]) -> tuple[list[object], list[object]]:
    """What a kernel returns and writes, at both speeds, from equal arguments."""
    out = []
    for run in (kernel.plain, kernel.fast):
        fresh = [one.copy() if isinstance(one, np.ndarray) else one for one in make]
        result = int(run(*fresh))
        out.append([result, *(one.tolist() for one in fresh if isinstance(one, np.ndarray) and one.ndim == 1)])
    return out[0], out[1]


@settings(deadline=None, max_examples=60)
@given(_REQUESTS, st.integers(0, 1500), st.integers(1, 400), st.integers(0, 60))
def test_the_cache_says_the_same_at_both_speeds(
    requests: list[tuple[int, list[tuple[int, int]]]], least: int, ttl: int, ready: int
) -> None:
    """Reads, writes and the state of every prefix."""
    marks = [mark for _, chain in requests for mark in chain]
    starts = np.cumsum([0, *(len(chain) for _, chain in requests)])
    rows = len(requests)
    arguments: list[object] = [
        _ints([at for at, _ in requests]), starts.astype(np.int64), _ints([b for b, _ in marks]),
        _ints([t for _, t in marks]), _ints([least] * rows), ttl, ready,
        np.full(6, NEVER, dtype=np.int64), np.zeros(6, dtype=np.int64), *np.zeros((2, rows), dtype=np.int64),
    ]  # fmt: skip
    slow, fast = _both(TTL_CACHE, arguments)
    assert slow == fast


@settings(deadline=None, max_examples=60)
@given(_TIMES, st.integers(1, 600), st.integers(1, 8), st.integers(0, 40 * 10**6))
def test_the_buckets_say_the_same_at_both_speeds(at: list[int], per_minute: int, burst: int, patience: int) -> None:
    """Who passes, how late, and after how many tries."""
    rows = len(at)
    room = (burst - 1) * REQUEST
    slow, fast = _both(BUCKET, [_ints(at) * per_minute, room, -room, np.zeros(rows, dtype=np.bool_)])
    assert slow == fast
    waits = _ints([10**6, 3 * 10**6])
    scratch = [np.zeros((2, rows), dtype=np.int64), *np.zeros((3, rows), dtype=np.int64)]
    slow, fast = _both(QUEUE, [_ints(at), per_minute, burst, patience, waits, *scratch])
    assert slow == fast


_RATE = st.integers(0, 10**11)
_RATES = st.builds(
    Rates,
    input_uncached=_RATE,
    cache_read=_RATE,
    cache_write_5m=_RATE,
    cache_write_1h=_RATE,
    output=_RATE,
    per_request=st.integers(0, 5),
)
_TOKENS = st.tuples(*(st.integers(0, 10**6) for _ in TOKEN_CLASSES))


@settings(deadline=None, max_examples=60)
@given(st.lists(_TOKENS, min_size=1, max_size=12), st.lists(_RATES, min_size=4, max_size=4), st.integers(0, 2 * 10**6))
def test_a_price_swap_is_exact_at_both_speeds(tokens: list[tuple[int, ...]], rates: list[Rates], above: int) -> None:
    """To the nano-dollar what the price table says of every record, tiers and half-even ties included."""
    high = [
        rate.model_copy(update={"per_request": low.per_request}) for low, rate in zip(rates, rates[2:], strict=False)
    ]
    own, other = (
        Price(effective_from=from_us(0), rates=low, tiers=((above, dear),))
        for low, dear in zip(rates[:2], high, strict=True)
    )
    rows = table(
        record(n, from_us(n), cost_nanos=0, **dict(zip(TOKEN_CLASSES, counts, strict=True)))
        for n, counts in enumerate(tokens)
    )
    counts = [_ints([row[n] for row in tokens]) for n in range(5)]
    costs = reprice(counts, own, other)
    assert costs is not None
    for cost, price in zip(costs, (own, other), strict=True):
        expected = list_cost(rows, PriceTable(prices={PriceKey("anthropic", SONNET): (price,)}))
        assert cost.nanos.tolist() == expected.nanos.tolist()
    tiers = [(above, price.rates.by_class(), price.tiers[0][1].by_class()) for price in (own, other)]
    slow, fast = _both(REPRICE, [*counts, *tiers[0], *tiers[1], *np.zeros((2, len(tokens)), dtype=np.int64)])
    assert slow == fast


def test_sums_that_could_leave_64_bits_are_refused() -> None:
    """A provider's bucket of billions of tokens goes the slow way."""
    dear = Price(effective_from=from_us(0), rates=Rates(**dict.fromkeys(TOKEN_CLASSES, 10**11)))
    assert reprice([_ints([10**9])] * 5, dear, dear) is None


def test_a_request_reads_the_longest_live_prefix_and_writes_the_rest() -> None:
    """Three breakpoints: tools stay, the system prompt stays, the history is new."""
    served = serve(
        _ints([0, 10]), _ints([0, 3, 6]), _ints([0, 1, 2, 0, 1, 3]), _ints([1000, 3000, 9000, 1000, 3000, 9500]),
        least=_ints([0, 0]), ttl=300,
    )  # fmt: skip
    assert (served.read.tolist(), served.written.tolist()) == ([0, 3000], [9000, 6500])


def test_a_breakpoint_below_the_minimum_is_passed_over() -> None:
    """The short prefix is never cached by itself; as a part of the longer one it is."""
    served = serve(
        _ints([0, 10]), _ints([0, 2, 4]), _ints([0, 1, 0, 1]), _ints([500, 3000, 500, 3000]),
        least=_ints([1024, 1024]), ttl=300,
    )  # fmt: skip
    assert (served.read.tolist(), served.written.tolist()) == ([0, 3000], [3000, 0])


def test_calls_that_run_beside_the_first_writer_write_again() -> None:
    """The prefix is readable 5 after its first write, whoever else writes meanwhile."""
    served = serve(
        _ints([0, 2, 4, 5]), _ints([0, 1, 2, 3, 4]), _ints([0, 0, 0, 0]), _ints([100] * 4),
        least=_ints([0] * 4), ttl=300, ready=5,
    )  # fmt: skip
    assert served.written.tolist() == [100, 100, 100, 0]


@settings(deadline=None, max_examples=60)
@given(_TIMES, st.integers(1, 600), st.integers(1, 8))
def test_a_queue_without_patience_or_retries_is_the_bucket(at: list[int], per_minute: int, burst: int) -> None:
    """The same requests pass, none late."""
    found = queued(_ints(at), per_minute=per_minute, burst=burst)
    assert found.passed.tolist() == token_bucket(_ints(at), per_minute=per_minute, burst=burst).tolist()
    assert not found.delay_us.any()


@settings(deadline=None, max_examples=60)
@given(_TIMES, st.integers(1, 600), st.integers(1, 4), st.integers(0, 30 * 10**6))
def test_a_queue_lets_through_at_the_buckets_rate(at: list[int], per_minute: int, burst: int, patience: int) -> None:
    """However they wait and come back: no span has more starts than the burst and what flowed in; tries are bounded."""
    found = queued(_ints(at), per_minute=per_minute, burst=burst, patience_us=patience, waits_us=(10**6, 3 * 10**6))
    starts = sorted((_ints(at) + found.delay_us)[found.passed].tolist())
    for i, first in enumerate(starts):
        for j in range(i, len(starts)):
            # A wait is rounded up to a whole microsecond, so that the next may begin one early.
            assert (j - i + 1) * 60_000_000 <= burst * 60_000_000 + (starts[j] - first + 1) * per_minute
    assert found.tries.min() >= 1
    assert found.tries.max() <= 3
    assert (found.delay_us >= 0).all()


def test_a_refused_call_comes_back_and_passes() -> None:
    """One a minute: the second call fails at once, waits a second in vain, and passes with patience."""
    at = _ints([0, 0])
    assert queued(at, per_minute=60, burst=1, waits_us=(10**6,)).tries.tolist() == [1, 2]
    assert queued(at, per_minute=60, burst=1, waits_us=(10**6,)).passed.all()
    assert queued(at, per_minute=60, burst=1, patience_us=10**6).delay_us.tolist() == [0, 10**6]


def test_the_compiler_is_paid_for_only_when_it_pays() -> None:
    """Many small calls add up: the loop is compiled once a million rows were asked for."""
    calls: dict[str, int] = defaultdict(int)

    def source(out: list[int]) -> int:
        calls["plain"] += 1
        return 0

    kernel = Kernel(source, outputs=1)
    array = np.zeros(1, dtype=np.int64)
    kernel(COMPILE_AT - 2, array)
    assert calls["plain"] == 1
    assert not kernel.pays(1)
    assert kernel.pays(1)


def test_a_command_that_replays_little_never_loads_the_compiler() -> None:
    """Numba's import costs half a second."""
    code = "import sys, playbooks.registry, playbooks.replay.cache; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("rows", [1, 3])
def test_a_swap_of_many_rows_says_what_one_of_few_says(rows: int) -> None:
    """Warm or cold, swap_model gives the same figures."""
    few = table(every(1, rows, start=START, model=OPUS, input_uncached=12_345, output=67))
    cold = swap_model(few, PRICES, from_model=OPUS, to=PriceKey("anthropic", SONNET))
    REPRICE.fast(*[_ints([1])] * 5, 9, (1,) * 5, (1,) * 5, 9, (1,) * 5, (1,) * 5, *np.zeros((2, 1), dtype=np.int64))
    warm = swap_model(few, PRICES, from_model=OPUS, to=PriceKey("anthropic", SONNET))
    assert cold is not None
    assert warm is not None
    assert cold.after.tolist() == warm.after.tolist()
