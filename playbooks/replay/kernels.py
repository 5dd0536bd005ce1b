"""The loops of the replay, over integers only: times in microseconds, tokens, nano-USD.

Each is plain Python that Numba compiles as it stands (playbooks.replay.speed), so it uses no library and no object.
"""

from collections.abc import MutableSequence, Sequence

from playbooks.replay.speed import Kernel

_Ints = Sequence[int]
_Out = MutableSequence[int]

REQUEST = 60_000_000
"""What one request takes out of a bucket: at `per_minute` a microsecond brings `per_minute` of it."""

NEVER = -(2**61)
"""When a prefix was last used that never was: longer ago than any lifetime."""


def _ttl_cache(
    at: _Ints,
    starts: _Ints,
    blocks: _Ints,
    tokens: _Ints,
    least: _Ints,
    ttl: int,
    ready: int,
    last_used: _Out,
    ready_at: _Out,
    read: _Out,
    written: _Out,
) -> int:
    for i in range(len(at)):
        now, few = at[i], least[i]
        found, reach = 0, 0
        leading = True
        for j in range(starts[i], starts[i + 1]):
            size = tokens[j]
            if size < few:
                continue
            block = blocks[j]
            alive = now - last_used[block] <= ttl
            last_used[block] = now
            readable = alive
            # A second table costs time where nobody asks for it.
            if ready > 0:
                readable = alive and now >= ready_at[block]
                if not alive:
                    ready_at[block] = now + ready
            leading = leading and readable
            found = size if leading else found
            reach = size
        read[i] = found
        written[i] = reach - found
    return 0


def _bucket(flowed: _Ints, room: int, due: int, passed: _Out) -> int:
    # `due`: how much must have flowed in before the next request passes. Half the time nobody can guess whether it
    # does, so there is no branch: `late` is all ones or nothing, the sign of what is left over.
    for i in range(len(flowed)):
        due = max(due, flowed[i] - room)
        late = (flowed[i] - due) >> 63
        due += 60_000_000 & ~late
        passed[i] = late + 1
    return due


def _queue(
    at: _Ints,
    per_minute: int,
    burst: int,
    patience: int,
    waits: _Ints,
    waiting: Sequence[_Out],
    passed: _Out,
    delay: _Out,
    tries: _Out,
) -> int:
    full = burst * 60_000_000
    level = full
    # A caller who waits leaves a debt, at most what flows in while he waits.
    refill = full // per_minute + 1 + patience
    before = at[0] if len(at) > 0 else 0
    last = len(waits)
    fresh = 0
    heads, tails = [0] * (last + 1), [0] * (last + 1)
    calls = 0
    while True:
        # The next call: a fresh request, or the oldest of those that come back for the n-th time.
        turn, moment = -1, 0
        if fresh < len(at):
            turn, moment = 0, at[fresh]
        for n in range(1, last + 1):
            if heads[n] < tails[n]:
                back = waiting[n - 1][heads[n]]
                due = at[back] + waits[n - 1]
                if turn < 0 or due < moment:
                    turn, moment = n, due
        if turn < 0:
            return calls
        if turn == 0:
            i = fresh
            fresh += 1
        else:
            i = waiting[turn - 1][heads[turn]]
            heads[turn] += 1
        calls += 1
        gap = moment - before
        before = moment
        level = full if gap >= refill else min(full, level + gap * per_minute)
        short = 60_000_000 - level
        wait = 0 if short <= 0 else (short + per_minute - 1) // per_minute
        tries[i] = turn + 1
        if wait <= patience:
            level -= 60_000_000
            passed[i] = 1
            delay[i] = moment + wait - at[i]
        elif turn < last:
            waiting[turn][tails[turn + 1]] = i
            tails[turn + 1] += 1


def _reprice(
    plain: _Ints,
    read: _Ints,
    write_5m: _Ints,
    write_1h: _Ints,
    output: _Ints,
    above: int,
    low: tuple[int, int, int, int, int],
    high: tuple[int, int, int, int, int],
    other_above: int,
    other_low: tuple[int, int, int, int, int],
    other_high: tuple[int, int, int, int, int],
    before: _Out,
    after: _Out,
) -> int:
    bits = 0
    a0, a1, a2, a3, a4 = low
    b0, b1, b2, b3, b4 = high
    c0, c1, c2, c3, c4 = other_low
    d0, d1, d2, d3, d4 = other_high
    for i in range(len(before)):
        p, r, v, w, o = int(plain[i]), int(read[i]), int(write_5m[i]), int(write_1h[i]), int(output[i])
        bits |= p | r | v | w | o
        context = p + r + v + w
        exact = (
            p * b0 + r * b1 + v * b2 + w * b3 + o * b4
            if context > above
            else p * a0 + r * a1 + v * a2 + w * a3 + o * a4
        )
        # A float only guesses the quotient; the remainder puts it right and is exact. This is what vectorises.
        whole = int(exact * 1e-6)
        rest = exact - whole * 1_000_000
        off = int(rest >= 1_000_000) - int(rest < 0)
        whole += off
        rest -= off * 1_000_000
        # Half-even: half a nano-dollar goes up where the whole is odd.
        before[i] = whole + int(rest + (whole & 1) > 500_000)
        exact = (
            p * d0 + r * d1 + v * d2 + w * d3 + o * d4
            if context > other_above
            else p * c0 + r * c1 + v * c2 + w * c3 + o * c4
        )
        whole = int(exact * 1e-6)
        rest = exact - whole * 1_000_000
        off = int(rest >= 1_000_000) - int(rest < 0)
        whole += off
        rest -= off * 1_000_000
        after[i] = whole + int(rest + (whole & 1) > 500_000)
    return bits


TTL_CACHE = Kernel(_ttl_cache, outputs=4)
"""A prefix cache with a lifetime: (at, starts, blocks, tokens, least, ttl, ready, last_used, ready_at, read, written)
-> 0. Request i, in order of time, has the breakpoints starts[i] to starts[i + 1] of `blocks` (dense ids) and `tokens`
(of the whole prefix up to there). A breakpoint of fewer than least[i] tokens is not cached. A prefix is read where it
and all before it were used at most `ttl` ago and first written at least `ready` ago; whoever comes before that writes
it again. Every use renews. `last_used` starts as NEVER, `ready_at` as 0; times and `ttl` are below 2**60."""

BUCKET = Kernel(_bucket, outputs=1)
"""A stretch of a token bucket: (flowed, room, due, passed) -> due of the next stretch. `flowed`: what has flowed in
when each request comes, ascending; `room`: what the bucket holds besides one request; `due` starts as -room, which is a
full bucket. Compiled it is exact while all of them stay below 2**62."""

QUEUE = Kernel(_queue, outputs=3)
"""A bucket whose callers wait up to `patience` in line and, refused, come back at `waits` after they first came:
(at, per_minute, burst, patience, waits, waiting, passed, delay, tries) -> calls. `waits` ascends; `waiting` is scratch
of len(waits) x len(at)."""

REPRICE = Kernel(_reprice, outputs=2, compile_at=20_000_000)
"""Cost of single requests at two prices: (five token classes, above, low, high, other_above, other_low, other_high,
before, after) -> all tokens or-ed together. `high` are the rates of a request with more than `above` input tokens.
Exact while every sum stays below 2**62 (the guess is then off by one at most), which the caller checks by the bits.
NumPy is its slow form (playbooks.replay.price), so that it takes more rows to repay the compiler."""
