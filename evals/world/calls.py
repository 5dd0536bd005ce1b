"""The ordinary traffic of one app in one hour: vectorised draws, then records."""

from datetime import datetime
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from evals.world.company import AppSpec
from evals.world.seasons import activity, release_at
from evals.world.streams import id_stem, stream
from store.model.usage import NONE, UsageRecord, to_us

SOURCE = "company-gateway"
FAILURES = (429, 500, 503, 529)

Ints = npt.NDArray[np.int64]


class _Turns(NamedTuple):
    """When the calls of an hour end (microseconds into it, ascending), and whose turn of which session each is."""

    at: Ints
    session: Ints
    position: Ints
    last: npt.NDArray[np.bool_]
    user: Ints


class _Tokens(NamedTuple):
    uncached: Ints
    read: Ints
    write: Ints
    output: Ints
    reasoning: Ints


def calls_of(
    app: AppSpec, hour: datetime, seed: int, *, who: str = "", factor: float = 1.0, new_users: int = 0
) -> list[UsageRecord]:
    """The app's records of one hour, unpriced, in order of their end.

    `who` names the random stream: other traffic of the same kind (a launch) draws from its own. `factor` multiplies
    the usual mean number of requests. `new_users` end users are counted past, so that the callers are people not
    seen before.
    """
    who = who or app.name
    mean = app.peak * activity(app, hour) * factor
    if mean <= 0:
        return []
    draw = stream(seed, who, hour)
    turns = _turns(app, mean, draw)
    if not len(turns.at):
        return []
    tokens = _tokens(app, mean, turns, draw)
    records = _records(app, hour, id_stem(seed, who, hour), turns=turns, tokens=tokens, new_users=new_users, draw=draw)
    return _with_failures(app, records, to_us(hour), draw)


def _turns(app: AppSpec, mean: float, draw: np.random.Generator) -> _Turns:
    count = int(draw.negative_binomial(app.burst, app.burst / (app.burst + mean / app.mean_turns)))
    lengths = draw.integers(app.turns[0], app.turns[1] + 1, count)
    session = np.repeat(np.arange(count), lengths)
    position = np.arange(len(session)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    start = draw.random(count) * (3600 - lengths * app.turn_seconds)
    at = (start[session] + (position + 0.6 * draw.random(len(session))) * app.turn_seconds) * 1e6
    # A square makes some people much busier than others.
    user = (app.users * draw.random(count) ** 2).astype(np.int64)
    order = np.argsort(at, kind="stable")
    last = position == lengths[session] - 1
    return _Turns(at[order].astype(np.int64), session[order], position[order], last[order], user[session][order])


def _tokens(app: AppSpec, mean: float, turns: _Turns, draw: np.random.Generator) -> _Tokens:
    n = len(turns.at)
    fresh = _lognormal(app.input_median, app.input_sigma, n, draw)
    output = _lognormal(app.output_median, app.output_sigma, n, draw)
    reasoning = (output * np.minimum(app.reasoning_share * (0.6 + 0.8 * draw.random(n)), 1)).astype(np.int64)
    context = turns.position * app.context_growth
    zero = np.zeros(n, dtype=np.int64)
    if app.caching == "none":
        return _Tokens(fresh + context + app.prefix_tokens, zero, zero, output, reasoning)
    # How long ago the hour's first call had its forerunner is taken from the mean rate.
    gap_us = np.diff(turns.at, prepend=turns.at[0] - int(3.6e9 / mean * 0.5))
    warm = gap_us < (3.6e9 if app.caching == "1h" else 3e8)
    prefix = np.full(n, app.prefix_tokens, dtype=np.int64)
    if app.caching == "automatic":
        return _Tokens(
            fresh + context + np.where(warm, 0, prefix), np.where(warm, prefix, zero), zero, output, reasoning
        )
    known = np.maximum(turns.position - 1, 0) * app.context_growth
    return _Tokens(
        fresh, np.where(warm, prefix, 0) + known, np.where(warm, 0, prefix) + context - known, output, reasoning
    )


def _lognormal(median: float, sigma: float, n: int, draw: np.random.Generator) -> Ints:
    return np.maximum(draw.lognormal(np.log(median), sigma, n), 1).astype(np.int64)


def _records(
    app: AppSpec,
    hour: datetime,
    stem: str,
    *,
    turns: _Turns,
    tokens: _Tokens,
    new_users: int,
    draw: np.random.Generator,
) -> list[UsageRecord]:
    n, start_us, release = len(turns.at), to_us(hour), release_at(app, hour)
    prompt = draw.integers(0, 2**62, n)
    prompt = np.where(draw.random(n) < app.repeats, prompt % 5 + crc32(app.name.encode()), prompt)
    latency = (draw.lognormal(0, 0.25, n) * (600 + 11 * tokens.output)).astype(np.int64)
    prefix = f"{crc32(f'{app.name} {release}'.encode()):016x}" if app.prefix_tokens else NONE
    in_session = app.turns[1] > 1
    hour_write = app.caching == "1h"
    middle = "tool_calls" if app.tools else "stop"
    columns = (turns.at, turns.session, turns.last, turns.user, prompt, latency, *tokens)
    return [
        UsageRecord(
            record_id=f"{stem}-{i:x}",
            source=SOURCE,
            observed_us=start_us + at,
            occurred_us=start_us + at,
            provider=app.provider,
            model=app.model,
            requested_model=app.model,
            region=app.region,
            finish_reason="stop" if last else middle,
            latency_ms=latency_ms,
            trace_id=f"{stem}-{i:x}",
            session_id=f"s-{stem}-{session:x}" if in_session else NONE,
            team=app.team,
            app=app.name,
            environment=app.environment,
            api_key_id=app.key_ids[i % len(app.key_ids)],
            end_user=f"{app.name}-u{user + new_users}" if app.users > 1 else NONE,
            route=app.route,
            release=release,
            job=app.job,
            input_uncached=uncached,
            cache_read=read,
            cache_write_5m=0 if hour_write else write,
            cache_write_1h=write if hour_write else 0,
            output=output,
            reasoning=reasoning,
            prompt_hash=f"{hashed:016x}",
            prompt_chars=4 * (uncached + read + write),
            completion_chars=4 * (output - reasoning),
            n_tools=app.tools,
            prefix_hash=prefix,
            prefix_tokens=app.prefix_tokens,
        )
        for i, (at, session, last, user, hashed, latency_ms, uncached, read, write, output, reasoning) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        )
    ]


def _with_failures(
    app: AppSpec, records: list[UsageRecord], start_us: int, draw: np.random.Generator
) -> list[UsageRecord]:
    """Now and then a first attempt fails, unbilled, and the call succeeds as the second one."""
    unlucky = draw.random(len(records)) < app.errors
    codes = draw.choice(FAILURES, len(records))
    for i in np.flatnonzero(unlucky).tolist():
        record = records[i]
        at = max(record.occurred_us - 2_000_000, start_us)
        records.append(failed(record, suffix=".e", at_us=at, code=int(codes[i]), attempt=1))
        records[i] = record._replace(attempt=2)
    return sorted(records, key=lambda record: record.occurred_us) if unlucky.any() else records


def failed(record: UsageRecord, *, suffix: str, at_us: int, code: int, attempt: int) -> UsageRecord:
    """The same call as an attempt that failed and was not billed."""
    return record._replace(
        record_id=f"{record.record_id}{suffix}",
        observed_us=at_us,
        occurred_us=at_us,
        status="error",
        status_code=code,
        finish_reason="error",
        attempt=attempt,
        input_uncached=0,
        cache_read=0,
        cache_write_5m=0,
        cache_write_1h=0,
        output=0,
        reasoning=0,
        completion_chars=0,
    )
