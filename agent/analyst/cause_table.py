"""The taxonomy of causes as data: which numbers each needs, which support it, and which speak against it.

Signatures after FIELD.md section 3. Measures are named as the forensics note them; `share_of_change.X` is driver X's
part of the change against the reference, `share_of_rate_change.X` its part of what one request came to cost more.
"""

from typing import NamedTuple

from store.model.incident import Cause


class Ramp(NamedTuple):
    """A soft test: 0 up to `low`, 1 from `high` on, straight between; with high < low it falls instead."""

    measure: str
    low: float
    high: float

    def level(self, value: float) -> float:
        """How far the value passes, in [0, 1]."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


class CauseTests(NamedTuple):
    """One cause: all of `needs`, as much as possible of `supports` (weights add up to 1), none of `unless`."""

    because: str
    needs: tuple[Ramp, ...]
    supports: tuple[tuple[Ramp, float], ...] = ()
    unless: tuple[tuple[Ramp, float], ...] = ()


def _share(driver: str, low: float, high: float) -> Ramp:
    return Ramp(f"share_of_change.{driver}", low, high)


def _rate_share(driver: str, low: float, high: float) -> Ramp:
    return Ramp(f"share_of_rate_change.{driver}", low, high)


CHANGED = (Ramp("change_share", 0.1, 0.5), 0.0)
"""A release or model that began at the onset is cited; that others began then too makes it no proof, so no weight."""
TOOL_REPEATS = (Ramp("tool_calls_ratio", 3, 10), 0.0)
AGENT_REPEATS = (Ramp("agent_runs_ratio", 3, 10), 0.0)
"""What a trace repeats is cited and has no weight: most traffic comes without spans of tools and agents."""
CALLS_FLAT = Ramp("requests_ratio", 2.0, 1.4)
CALLS_UP = Ramp("requests_ratio", 1.2, 1.6)
ONE_SESSION = Ramp("session_spend_share", 0.3, 0.6)
LONG_SESSION = Ramp("session_calls_ratio", 2, 5)
REPEATS = Ramp("repeated_call_share", 0.3, 0.6)
STRANGE_KEY = Ramp("key_novelties", 1.0, 1.6)
STORM = Ramp("attempts_ratio", 1.2, 1.6)
MODEL_MOVED = Ramp("model_shift", 0.2, 0.5)
PREFIX_BROKE = Ramp("prefix_changes_rise", 0.2, 0.6)
PREFIX_STOOD = Ramp("prefix_changes_rise", 0.1, 0.02)
HITS_FELL = Ramp("cache_hit_drop", 0.1, 0.3)
READS_FELL = Ramp("cache_read_ratio", 0.9, 0.6)
ONE_USER = Ramp("end_user_share_rise", 0.15, 0.4)
DOUBTFUL = Ramp("telemetry_doubt", 0.2, 0.6)

CAUSES: dict[Cause, CauseTests] = {
    "agent_loop": CauseTests(
        "One session makes far more calls than any session normally does, and they repeat or grow.",
        needs=(LONG_SESSION, ONE_SESSION, Ramp("session_calls", 20, 60)),
        supports=(
            TOOL_REPEATS,
            (REPEATS, 0.55),
            (Ramp("context_growth_share", 0.6, 0.85), 0.25),
            (Ramp("ping_pong_share", 0.3, 0.6), 0.1),
            (Ramp("people_ratio", 1.6, 1.2), 0.1),
        ),
        unless=((STORM, 0.6), (STRANGE_KEY, 0.5), (Ramp("parallel_ratio", 3, 6), 0.4)),
    ),
    "retry_storm": CauseTests(
        "Failing calls are tried again and again: attempts per success rose, unique prompts did not.",
        needs=(Ramp("attempts_per_success_now", 1.2, 1.7), STORM),
        supports=(
            CHANGED,
            TOOL_REPEATS,
            (Ramp("retry_share_rise", 0.1, 0.4), 0.35),
            (Ramp("error_share_rise", 0.1, 0.3), 0.35),
            (Ramp("unique_prompt_drop", 0.1, 0.35), 0.3),
        ),
    ),
    "leaked_key": CauseTests(
        "One key spends on models, from regions or at hours that it had never been seen with.",
        needs=(STRANGE_KEY, Ramp("key_spend_share", 0.3, 0.6), Ramp("key_spend_ratio", 1.3, 2.0)),
        supports=(
            (Ramp("key_new_region_share", 0.1, 0.4), 0.35),
            (Ramp("key_new_model_share", 0.1, 0.4), 0.25),
            (Ramp("key_new_user_share", 0.2, 0.6), 0.15),
            (Ramp("off_hours_share", 0.2, 0.6), 0.15),
            (Ramp("key_sessionless_share", 0.3, 0.7), 0.1),
        ),
    ),
    "cache_break": CauseTests(
        "The prompt prefix changes from call to call, so that the cache is written anew instead of read.",
        needs=(Ramp("cache_hit_drop", 0.15, 0.35), READS_FELL, _share("cache_mix", 0.2, 0.5)),
        supports=(
            CHANGED,
            (PREFIX_BROKE, 0.5),
            (Ramp("cache_write_rise", 0.1, 0.3), 0.25),
            (CALLS_FLAT, 0.25),
        ),
        unless=((MODEL_MOVED, 0.4), (Ramp("cache_1h_drop", 0.3, 0.7), 0.5), (PREFIX_STOOD, 0.5)),
    ),
    "cache_ttl": CauseTests(
        "Cache entries live for five minutes instead of an hour, and calls come further apart than that.",
        needs=(HITS_FELL, READS_FELL, Ramp("late_hits_drop", 0.2, 0.5)),
        supports=(
            CHANGED,
            (Ramp("reuse_gap_seconds_p50", 200, 320), 0.4),
            (_share("cache_mix", 0.2, 0.5), 0.4),
            (CALLS_FLAT, 0.2),
        ),
        unless=((PREFIX_BROKE, 0.8), (Ramp("early_hits_drop", 0.2, 0.5), 0.6)),
    ),
    "cache_below_minimum": CauseTests(
        "The prefix is too short for the model that answers now: the cache is neither read nor written.",
        needs=(
            Ramp("cache_silent", 0.5, 1.0),
            Ramp("cache_use_before", 0.1, 0.3),
            Ramp("prefix_tokens", 0, 200),
            Ramp("prefix_tokens", 6000, 4096),
        ),
        supports=(CHANGED, (MODEL_MOVED, 0.5), (CALLS_FLAT, 0.5)),
        unless=((PREFIX_BROKE, 0.6),),
    ),
    "tokenizer_change": CauseTests(
        "The same text counts as more tokens than before.",
        needs=(_rate_share("tokenizer", 0.25, 0.5), Ramp("tokens_per_char_ratio", 1.08, 1.2)),
        supports=(CHANGED, (MODEL_MOVED, 0.5), (CALLS_FLAT, 0.5)),
    ),
    "model_switch": CauseTests(
        "A dearer model answers the same requests.",
        needs=(MODEL_MOVED, _share("model_mix", 0.3, 0.6)),
        supports=(
            CHANGED,
            (Ramp("silent_shift", 0.1, 0.4), 0.35),
            (CALLS_FLAT, 0.45),
            (Ramp("input_ratio", 1.8, 1.3), 0.2),
        ),
        unless=((STRANGE_KEY, 0.8), (ONE_USER, 0.3)),
    ),
    "reasoning_effort": CauseTests(
        "Models think longer about the same requests: reasoning grew, visible answers did not.",
        needs=(Ramp("reasoning_rise", 0.08, 0.2), _share("reasoning", 0.3, 0.6)),
        supports=(CHANGED, (CALLS_FLAT, 0.5), (Ramp("visible_output_ratio", 1.6, 1.2), 0.5)),
    ),
    "context_bloat": CauseTests(
        "Each request carries more input for the same output.",
        needs=(Ramp("input_ratio", 1.2, 1.6), _share("input_per_request", 0.3, 0.6)),
        supports=(
            CHANGED,
            (CALLS_FLAT, 0.4),
            (Ramp("visible_output_ratio", 1.6, 1.2), 0.3),
            (Ramp("tools_ratio", 1.2, 1.8), 0.3),
        ),
        unless=((ONE_SESSION, 0.7), (ONE_USER, 0.6), (_share("tier_speed", 0.15, 0.35), 0.5)),
    ),
    "long_context_tier": CauseTests(
        "Requests crossed into the price tier for long contexts.",
        needs=(Ramp("long_context_rise", 0.05, 0.25), _share("tier_speed", 0.15, 0.35)),
        supports=((CALLS_FLAT, 0.5), (Ramp("input_ratio", 1.1, 1.4), 0.5)),
    ),
    "fast_mode": CauseTests(
        "Requests run at a dearer speed or service tier.",
        needs=(Ramp("fast_share_rise", 0.1, 0.4), _share("tier_speed", 0.25, 0.5)),
        supports=((CALLS_FLAT, 0.6), (Ramp("input_ratio", 1.6, 1.2), 0.4)),
    ),
    "price_change": CauseTests(
        "The same tokens of the same models cost more.",
        needs=(_share("price", 0.5, 0.85),),
        supports=(
            (Ramp("tokens_ratio", 1.6, 1.2), 0.4),
            (CALLS_FLAT, 0.3),
            (Ramp("model_shift", 0.3, 0.1), 0.3),
            # The driver says as much; the event is named beside it.
            (Ramp("price_events", 0, 1), 0.0),
        ),
        unless=((DOUBTFUL, 0.9), (Ramp("unit_cost_ratio", 3, 10), 0.8), (Ramp("unit_cost_ratio", 0.5, 0.1), 0.8)),
    ),
    "cache_write_premium": CauseTests(
        "The cache is written at a premium and hardly ever read, as it was before.",
        needs=(
            Ramp("cache_write_share_now", 0.3, 0.6),
            Ramp("cache_hit_ratio_before", 0.3, 0.1),
            _share("cache_mix", 0.2, 0.5),
        ),
        supports=(CHANGED, (CALLS_FLAT, 0.5), (Ramp("cache_write_rise", 0.1, 0.3), 0.5)),
        unless=((PREFIX_BROKE, 0.5),),
    ),
    "batch_backfill": CauseTests(
        "A job works through many uniform, distinct prompts with no user behind them.",
        needs=(Ramp("job_share_rise", 0.2, 0.5), Ramp("requests_ratio", 1.3, 2.0)),
        supports=(
            (Ramp("input_uniformity", 0.5, 0.8), 0.3),
            (Ramp("unique_prompt_share", 0.7, 0.9), 0.3),
            (Ramp("userless_share_now", 0.3, 0.6), 0.25),
            (Ramp("batch_share_now", 0.5, 0.1), 0.15),
        ),
        unless=((STORM, 0.6), (STRANGE_KEY, 0.8)),
    ),
    "denial_of_wallet": CauseTests(
        "One end user takes a share of the spend that no single user had before.",
        needs=(ONE_USER, Ramp("requests_ratio", 1.1, 1.5)),
        supports=(
            (Ramp("length_finish_rise", 0.1, 0.3), 0.3),
            (Ramp("input_ratio", 1.2, 1.8), 0.25),
            (Ramp("end_user_share_now", 0.3, 0.6), 0.45),
        ),
        unless=((STRANGE_KEY, 0.7), (REPEATS, 0.6), (STORM, 0.5)),
    ),
    "runaway_output": CauseTests(
        "Answers run on until they are cut off.",
        needs=(Ramp("length_finish_rise", 0.1, 0.3), _share("output_per_request", 0.3, 0.6)),
        supports=(CHANGED, (Ramp("output_p95_ratio", 1.3, 2.0), 0.5), (CALLS_FLAT, 0.5)),
        unless=((ONE_USER, 0.8), (STRANGE_KEY, 0.5)),
    ),
    "fan_out": CauseTests(
        "Sessions run many more calls at the same time than before.",
        needs=(Ramp("parallel_ratio", 1.5, 3.0), _share("request_volume", 0.3, 0.6)),
        supports=(
            AGENT_REPEATS,
            TOOL_REPEATS,
            (Ramp("people_ratio", 1.6, 1.2), 0.4),
            (Ramp("unique_prompt_share", 0.5, 0.8), 0.3),
            (CALLS_UP, 0.3),
        ),
        unless=((REPEATS, 0.6), (STORM, 0.7), (STRANGE_KEY, 0.5), (ONE_USER, 0.6)),
    ),
    "telemetry_fault": CauseTests(
        "The figures cannot be right: tokens without cost or price, or cost that parted from the bill.",
        needs=(DOUBTFUL,),
        supports=((CALLS_FLAT, 0.6), (Ramp("tokens_ratio", 2.0, 1.4), 0.4)),
    ),
    "organic_growth": CauseTests(
        "More people use it: users or sessions and requests rose together, and a request costs what it did.",
        needs=(
            Ramp("people_ratio", 1.1, 1.4),
            Ramp("requests_ratio", 1.1, 1.4),
            _share("request_volume", 0.4, 0.7),
            Ramp("unit_cost_ratio", 1.5, 1.2),
        ),
        supports=(
            (Ramp("growth_gap", 0.5, 0.2), 0.5),
            (Ramp("end_user_share_rise", 0.2, 0.05), 0.25),
            (Ramp("error_share_rise", 0.15, 0.05), 0.25),
        ),
        unless=((STORM, 0.9), (STRANGE_KEY, 0.9), (ONE_SESSION, 0.6), (ONE_USER, 0.6)),
    ),
}
"""Every cause of the taxonomy but `unknown`, which is what is left."""
