"""What can go wrong in a small world, one function per cause."""

from dataclasses import dataclass

import numpy as np

from store.model.usage import NONE, Window
from tests.agent.analyst.small_world import LARGE, LONG, NIGHT, WINDOW, Calls, call, hour_of, moments


def agent_loop(calls: Calls, draw: np.random.Generator) -> Calls:
    """One session asks the same three things 2,000 times, with ever more input."""
    loop = [
        call(at, i, draw=draw)._replace(
            record_id=f"loop-{i}",
            session_id="s-loop",
            end_user="u0",
            prompt_hash=f"same-{i % 3}",
            input_uncached=4000 + 15 * i,
            prompt_chars=4 * (7100 + 15 * i),
        )
        for i, at in enumerate(moments(NIGHT, 2000))
    ]
    return calls + loop


def retry_storm(calls: Calls, draw: np.random.Generator) -> Calls:
    """Nine of ten calls fail with 503 and are tried up to eight times."""
    out: Calls = []
    for record in calls:
        attempts = int(draw.integers(3, 9)) if draw.random() < 0.9 else 1
        for attempt in range(1, attempts):
            out.append(
                record._replace(
                    record_id=f"{record.record_id}-t{attempt}", status="error", status_code=503, attempt=attempt
                )
            )
        out.append(record._replace(attempt=attempts))
    return out


def leaked_key(calls: Calls, draw: np.random.Generator) -> Calls:
    """Strangers in another region use the app's key at night, on a model that it never called."""
    theirs = [
        call(at, i, draw=draw)._replace(
            record_id=f"leak-{i}",
            model=LARGE,
            requested_model=LARGE,
            region="ap",
            end_user=f"x{i % 30}",
            session_id=NONE,
            prefix_hash=NONE,
            prefix_tokens=0,
            cache_read=0,
            cache_write_5m=0,
            input_uncached=2000,
            prompt_chars=8000,
        )
        for i, at in enumerate(moments(NIGHT, 500))
    ]
    return calls + theirs


def cache_break(calls: Calls, draw: np.random.Generator) -> Calls:
    """A release puts the time in front of the prompt: everything is written, nothing is read."""
    return [
        r._replace(release="v2", prefix_hash=f"p-{i}", cache_read=0, cache_write_5m=r.cache_read + r.cache_write_5m)
        for i, r in enumerate(calls)
    ]


def model_switch(calls: Calls, draw: np.random.Generator) -> Calls:
    """The same requests are answered by a dearer model than was asked for."""
    return [r._replace(model=LARGE) for r in calls]


def organic_growth(calls: Calls, draw: np.random.Generator) -> Calls:
    """A launch: three times the traffic, by new people."""
    more: Calls = []
    for wave in range(1, 3):
        more += [
            r._replace(
                record_id=f"{r.record_id}-w{wave}",
                session_id=f"{r.session_id}-w{wave}",
                end_user=f"{r.end_user}-w{wave}",
                prompt_hash=f"{r.prompt_hash}-w{wave}",
            )
            for r in calls
        ]
    return calls + more


def reasoning_effort(calls: Calls, draw: np.random.Generator) -> Calls:
    """Models think five times as long; what they say stays the same."""
    return [r._replace(output=r.output + 1500, reasoning=r.reasoning + 1500) for r in calls]


def context_bloat(calls: Calls, draw: np.random.Generator) -> Calls:
    """A hundred tools come with every request."""
    return [r._replace(input_uncached=r.input_uncached + 9000, n_tools=140, prompt_chars=r.prompt_chars + 36_000)
            for r in calls]  # fmt: skip


def runaway_output(calls: Calls, draw: np.random.Generator) -> Calls:
    """Most answers run on to the limit."""
    return [r._replace(output=8192, finish_reason="length") if i % 4 else r for i, r in enumerate(calls)]


def denial_of_wallet(calls: Calls, draw: np.random.Generator) -> Calls:
    """One end user sends long, different prompts, and takes as much answer as there is."""
    theirs = [
        call(at, i, draw=draw)._replace(
            record_id=f"dow-{i}",
            end_user="mallory",
            session_id=f"m-{i // 10}",
            input_uncached=12_000,
            prompt_chars=60_000,
            output=4096,
            finish_reason="length",
        )
        for i, at in enumerate(moments(WINDOW, 300))
    ]
    return calls + theirs


def zero_cost(calls: Calls, draw: np.random.Generator) -> Calls:
    """A broken route reports tokens and no cost."""
    return [r._replace(cost_nanos=0) for r in calls]


def batch_backfill(calls: Calls, draw: np.random.Generator) -> Calls:
    """A night job works through a thousand uniform documents at full price."""
    job = [
        call(at, i, draw=draw)._replace(
            record_id=f"job-{i}",
            job="reindex",
            session_id=NONE,
            end_user=NONE,
            input_uncached=2000 + i % 50,
            prompt_chars=20_600,
        )
        for i, at in enumerate(moments(NIGHT, 1000))
    ]
    return calls + job


def fan_out(calls: Calls, draw: np.random.Generator) -> Calls:
    """Each call of a session starts a dozen sub-agents at the same moment."""
    children = [
        r._replace(
            record_id=f"{r.record_id}-c{k}",
            occurred_us=r.occurred_us + k,
            observed_us=r.occurred_us + k,
            prompt_hash=f"{r.prompt_hash}-c{k}",
        )
        for r in calls
        for k in range(12)
    ]
    return calls + [r for r in children if r.occurred_us < WINDOW.end_us]


def fast_mode(calls: Calls, draw: np.random.Generator) -> Calls:
    """A flag makes every request run at the dear speed."""
    return [r._replace(speed="fast") for r in calls]


def cache_below_minimum(calls: Calls, draw: np.random.Generator) -> Calls:
    """Another model needs a longer prefix: it neither reads nor writes the cache, and says nothing."""
    return [
        r._replace(model=LONG, cache_read=0, cache_write_5m=0, input_uncached=r.input_uncached + 3100) for r in calls
    ]


def tokenizer_change(calls: Calls, draw: np.random.Generator) -> Calls:
    """The same characters count as 40 % more tokens."""
    return [
        r._replace(
            input_uncached=r.input_uncached * 14 // 10,
            cache_read=r.cache_read * 14 // 10,
            cache_write_5m=r.cache_write_5m * 14 // 10,
        )
        for r in calls
    ]


@dataclass(frozen=True)
class Grown:
    """The app's ordinary traffic, `extra` times more: a busier hour with the same people, a clean twin."""

    extra: int
    window: Window = WINDOW

    def __call__(self, calls: Calls, draw: np.random.Generator) -> Calls:
        """The calls and so many hours' worth more."""
        more = [r for _ in range(self.extra) for r in hour_of(self.window.start, app="assist", draw=draw)]
        return calls + [r._replace(record_id=f"{r.record_id}-more{i}") for i, r in enumerate(more)]
