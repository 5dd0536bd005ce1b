"""Cubes and calls as the rows that a model reads: each figure now and in the reference, amounts in USD."""

from collections.abc import Sequence

import numpy as np

from agent.analyst.columns import Calls, percentile, share
from agent.reasoning.brief import number
from store.model.usage import Cube
from tools.reasoner.inquiry import Cell

MOST_ROWS = 15
_USD = 1e-9


def by_value(now: Cube, before: Sequence[Cube], dimension: str, scale: float) -> list[tuple[str, dict[str, Cell]]]:
    """(value, figures) of a dimension's values, those whose spend changed most first."""
    sums: dict[str, list[float]] = {}
    for cube, factor, at in [(now, 1.0, 0), *((one, scale, 2) for one in before)]:
        codes, values = cube.codes[dimension], cube.values[dimension]
        for place, measure in enumerate(("cost_nanos", "requests")):
            totals = np.bincount(codes, weights=cube.measures[measure], minlength=len(values)) * factor
            for value, total in zip(values, totals.tolist(), strict=True):
                sums.setdefault(value, [0.0] * 4)[at + place] += total
    changed = sorted(sums.items(), key=lambda one: (-abs(one[1][0] - one[1][2]), one[0]))
    return [
        (
            value,
            {
                "usd_now": number(spent * _USD),
                "usd_reference": number(spent_before * _USD),
                "requests_now": number(calls),
                "requests_reference": number(calls_before),
                "usd_per_request_now": number(share(spent, calls) * _USD),
                "usd_per_request_reference": number(share(spent_before, calls_before) * _USD),
            },
        )
        for value, (spent, calls, spent_before, calls_before) in changed[:MOST_ROWS]
    ]


def over_time(cube: Cube, *, step_seconds: int, onset_us: int) -> list[dict[str, Cell]]:
    """One row a step: hours since the onset, spend, requests, errors, input and output tokens, cache reads."""
    start, end = cube.window.start_us // 10**6, cube.window.end_us // 10**6
    steps = max(0, -(-(end - start) // step_seconds))
    place = (cube.bucket - start) // step_seconds
    inside = (place >= 0) & (place < steps)

    def sums(*measures: str) -> list[float]:
        whole = np.sum([cube.measures[name] for name in measures], axis=0)[inside]
        return [float(one) for one in np.bincount(place[inside], weights=whole, minlength=steps)]

    spent, calls, errors = sums("cost_nanos"), sums("requests"), sums("errors")
    given = sums("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")
    read, output = sums("cache_read"), sums("output")
    return [
        {
            "hours_since_onset": number((start + i * step_seconds - onset_us / 1e6) / 3600),
            "usd": number(spent[i] * _USD),
            "requests": calls[i],
            "errors": errors[i],
            "input_tokens": given[i],
            "cache_read_share": number(share(read[i], given[i])),
            "output_tokens": output[i],
        }
        for i in range(steps)
        if calls[i] or spent[i]
    ]


def levels(cubes: Sequence[Cube], scale: float) -> dict[str, Cell]:
    """Totals and figures per request of one side."""

    def total(*measures: str) -> float:
        return sum(cube.total(name) for cube in cubes for name in measures) * scale

    calls = total("requests")
    given = total("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")
    output, succeeded = total("output"), calls - total("errors") - total("refused")
    return {
        "usd": number(total("cost_nanos") * _USD),
        "requests": number(calls),
        "usd_per_request": number(share(total("cost_nanos"), calls) * _USD),
        "error_share": number(share(total("errors"), calls)),
        "retry_share": number(share(total("retries"), calls)),
        "attempts_per_success": number(share(calls, succeeded)),
        "input_tokens_per_request": number(share(given, calls)),
        "output_tokens_per_request": number(share(output, calls)),
        "cache_read_share": number(share(total("cache_read"), given)),
        "cache_write_share": number(share(total("cache_write_5m", "cache_write_1h"), given)),
        "cache_write_1h_share": number(share(total("cache_write_1h"), given)),
        "reasoning_share_of_output": number(share(total("reasoning"), output)),
        "usd_per_million_tokens": number(share(total("cost_nanos") * _USD * 1e6, given + output)),
        "billed_per_cost": number(share(total("billed_nanos"), total("cost_nanos"))),
        "unpriced_requests": number(total("unpriced")),
        "mean_latency_ms": number(share(total("latency_ms"), calls)),
    }


def call_levels(calls: Calls) -> dict[str, Cell]:
    """What single calls were like on one side."""
    if not calls.rows:
        return {"calls_read": 0}
    prompts, users, sessions = calls.text("prompt_hash"), calls.text("end_user"), calls.text("session_id")
    known = prompts.known()
    output = calls.number("output")
    length = np.isin(calls.text("finish_reason").codes, _codes(calls, "finish_reason", ("length", "max_tokens")))
    return {
        "calls_read": calls.rows,
        "distinct_prompt_share": number(share(len(np.unique(prompts.codes[known])), known.sum())),
        "distinct_end_users": len(np.unique(users.codes[users.known()])),
        "no_end_user_share": number(1 - float(users.known().mean())),
        "distinct_sessions": len(np.unique(sessions.codes[sessions.known()])),
        "no_session_share": number(1 - float(sessions.known().mean())),
        "distinct_regions": len(calls.text("region").values),
        "job_share": number(float(calls.text("job").known().mean())),
        "input_tokens_p50": number(percentile(calls.input(), 50)),
        "input_tokens_p95": number(percentile(calls.input(), 95)),
        "output_tokens_p50": number(percentile(output, 50)),
        "output_tokens_p95": number(percentile(output, 95)),
        "cut_by_length_share": number(float(length.mean())),
        "tools_per_call": number(float(calls.number("n_tools").mean())),
        "distinct_prefixes": len(np.unique(calls.text("prefix_hash").codes)),
        "prefix_tokens_p50": number(percentile(calls.number("prefix_tokens"), 50)),
        "characters_per_input_token": number(share(calls.number("prompt_chars").sum(), calls.input().sum())),
        "later_attempt_share": number(float((calls.number("attempt") > 1).mean())),
        "latency_ms_p50": number(percentile(calls.number("latency_ms"), 50)),
    }


def dearest_sessions(calls: Calls, most: int = 8) -> list[tuple[str, dict[str, Cell]]]:
    """(session, figures) of the sessions that cost most."""
    if not calls.rows:
        return []
    sessions = calls.text("session_id")
    cost = np.bincount(sessions.codes, weights=calls.number("cost_nanos") * sessions.known())
    prompts = calls.text("prompt_hash")
    rows: list[tuple[str, dict[str, Cell]]] = []
    for code in np.argsort(-cost, kind="stable")[:most].tolist():
        mine = (sessions.codes == code) & sessions.known()
        if not mine.any():
            continue
        at, given = calls.micros()[mine], calls.input()[mine]
        figures: dict[str, Cell] = {
            "calls": int(mine.sum()),
            "usd": number(float(cost[code]) * _USD),
            "minutes": number(float(at.max() - at.min()) / 6e7),
            "distinct_prompts": len(np.unique(prompts.codes[mine])),
            "first_input_tokens": number(float(given[np.argmin(at)])),
            "last_input_tokens": number(float(given[np.argmax(at)])),
            "error_share": number(float(calls.where("status", "error")[mine].mean())),
        }
        rows.append((sessions.values[code], figures))
    return rows


def _codes(calls: Calls, name: str, words: Sequence[str]) -> list[int]:
    values = calls.text(name).values
    return [values.index(word) for word in words if word in values]
