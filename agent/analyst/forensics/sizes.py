"""What a call carries: input, tools, output, reasoning, and where its answers were cut off."""

import numpy as np

from agent.analyst.columns import Calls, percentile, share
from agent.analyst.leaves import total_by
from agent.analyst.notebook import Datum, Note

LONG_CONTEXT = 200_000
"""Input tokens above which some models have another price."""

TOKENIZER_LIMIT = 1.6
"""No tokenizer was measured to differ by more (FIELD.md section 3: up to 1.47); beyond it, other things are counted."""

_MEASURES = (
    "input_per_request", "visible_output", "reasoning_share", "output_p95", "length_share", "long_share", "tools",
    "tokens_per_char", "uniformity", "job_share", "userless_share",
)  # fmt: skip


def look_at_sizes(now: Calls, before: Calls) -> Note | None:
    """Input and output of the calls, now and before; None without calls."""
    if not now.rows:
        return None
    mine = _measure(now)
    usual = _measure(before) if before.rows else {}
    data: dict[str, Datum] = {
        "input_tokens_per_request_now": mine["input_per_request"],
        "output_tokens_p95_now": mine["output_p95"],
        "length_finish_share_now": mine["length_share"],
        "reasoning_share_now": mine["reasoning_share"],
        "input_uniformity": mine["uniformity"],
        "job_share_now": mine["job_share"],
        "userless_share_now": mine["userless_share"],
    }
    says = (
        f"A request carried {mine['input_per_request']:,.0f} input tokens, 95 of 100 answers had at most"
        f" {mine['output_p95']:,.0f} tokens, {mine['length_share']:.0%} were cut off at the limit, and reasoning was"
        f" {mine['reasoning_share']:.0%} of the output"
    )
    if usual:
        data |= {
            "input_tokens_per_request_before": usual["input_per_request"],
            "output_tokens_p95_normal": usual["output_p95"],
            "reasoning_share_before": usual["reasoning_share"],
            "reasoning_rise": mine["reasoning_share"] - usual["reasoning_share"],
            "length_finish_rise": mine["length_share"] - usual["length_share"],
            "long_context_rise": mine["long_share"] - usual["long_share"],
            "job_share_rise": mine["job_share"] - usual["job_share"],
        }
        for name, ratio in (
            ("input_per_request", "input_ratio"),
            ("visible_output", "visible_output_ratio"),
            ("output_p95", "output_p95_ratio"),
            ("tools", "tools_ratio"),
            ("tokens_per_char", "tokens_per_char_ratio"),
        ):
            if usual[name] > 0:
                data[ratio] = mine[name] / usual[name]
        says += (
            f" (before: {usual['input_per_request']:,.0f}; {usual['output_p95']:,.0f}; {usual['length_share']:.0%};"
            f" {usual['reasoning_share']:.0%})"
        )
    return Note("traces", says + ".", data)


def tokenizer_changes(now: Calls, before: Calls) -> dict[tuple[str, str], tuple[float, float]]:
    """Input tokens per prompt character (before, now) of each (team, app) where the change can be a tokenizer's."""
    mine, usual = _tokens_per_char(now), _tokens_per_char(before)
    both = {pair: (usual[pair], mine[pair]) for pair in mine if pair in usual}
    return {pair: (old, new) for pair, (old, new) in both.items() if 1 / TOKENIZER_LIMIT < new / old < TOKENIZER_LIMIT}


def _tokens_per_char(calls: Calls) -> dict[tuple[str, str], float]:
    if not calls.rows:
        return {}
    chars, tokens = calls.number("prompt_chars"), calls.input()
    teams, apps = calls.text("team"), calls.text("app")
    pair = teams.codes * len(apps.values) + apps.codes
    size = len(teams.values) * len(apps.values)
    counted = total_by(pair, chars, size)
    read = total_by(pair, tokens * (chars > 0), size)
    return {
        (teams.values[i // len(apps.values)], apps.values[i % len(apps.values)]): float(read[i] / counted[i])
        for i in np.flatnonzero((counted > 0) & (read > 0))
    }


def _measure(calls: Calls) -> dict[str, float]:
    requests, output, reasoning = calls.number("requests"), calls.number("output"), calls.number("reasoning")
    good = calls.where("status", "ok") & (requests > 0)
    total = float(requests[good].sum())
    size = calls.input()
    each = size[good] / requests[good]
    chars = calls.number("prompt_chars")
    spread = share(float(each.std()), float(each.mean())) if len(each) else 0.0
    values = (
        share(size[good].sum(), total),
        share((output - reasoning)[good].sum(), total),
        share(reasoning[good].sum(), output[good].sum()),
        percentile(output[good] / requests[good], 95),
        share((requests * calls.where("finish_reason", "length"))[good].sum(), total),
        share((requests[good] * (each > LONG_CONTEXT)).sum(), total),
        share(calls.number("n_tools")[good].sum(), total),
        share(size[chars > 0].sum(), chars.sum()),
        max(0.0, 1 - spread),
        share((requests * calls.text("job").known())[good].sum(), total),
        share((requests * ~calls.text("end_user").known())[good].sum(), total),
    )
    return dict(zip(_MEASURES, values, strict=True))
