"""The names that `Finding.facts` may hold; what is not known is absent. Money in nano-USD, shares in [0, 1].

- spend: run_rate_nanos_per_hour, baseline_nanos_per_hour (of the finding's scope, now and in the reference; all other
  facts are of the scope that was compared, the finding's narrowed to its team and app), requests_per_minute_now,
  requests_per_minute_normal (means), requests_per_minute_p95_normal (over active minutes of the reference),
  nanos_per_request_now, nanos_per_request_before, growth_share (requests now / in the reference - 1)
- models: model, provider, previous_model, model_share_now, model_share_before (of requests)
- sessions: session_id, session_calls, session_nanos, session_calls_p99_normal, repeated_call_share
- key: api_key_id, key_is_new_to_models, key_is_new_to_regions, off_hours_share, key_environment
- users: end_user, end_user_share_now, end_user_share_before (of spend), users_now, users_before, sessions_now,
  sessions_before (distinct an hour)
- retries: attempts_per_success_now, attempts_per_success_normal, error_share_now, error_share_normal,
  unique_prompt_share
- cache: cache_hit_ratio_now, cache_hit_ratio_before, cache_write_share_now (of input), prefix_tokens,
  prefix_changes_share, prefix_break_offset (tokens), prefix_break_kind, reuse_gap_seconds_p50
- sizes: output_tokens_p95_now, output_tokens_p95_normal, length_finish_share_now, reasoning_share_now,
  reasoning_share_before (of output)
- steps: tool, tool_agent (that called it), tool_calls, tool_calls_p99_normal (in one trace), tool_error_share, agent,
  agent_runs, agent_runs_p99_normal (in one trace), trace_id
- environment: the one environment of the scope's traffic, or "mixed"
"""

from agent.analyst.case import CaseData
from agent.analyst.columns import Calls
from agent.analyst.forensics.money import per_minute_p95
from agent.analyst.notebook import Datum, Notebook

FACTS = (
    "requests_per_minute_now",
    "requests_per_minute_normal",
    "nanos_per_request_now",
    "nanos_per_request_before",
    "growth_share",
    "model",
    "provider",
    "previous_model",
    "model_share_now",
    "model_share_before",
    "session_id",
    "session_calls",
    "session_nanos",
    "session_calls_p99_normal",
    "repeated_call_share",
    "api_key_id",
    "key_is_new_to_models",
    "key_is_new_to_regions",
    "off_hours_share",
    "key_environment",
    "end_user",
    "end_user_share_now",
    "end_user_share_before",
    "users_now",
    "users_before",
    "sessions_now",
    "sessions_before",
    "attempts_per_success_now",
    "attempts_per_success_normal",
    "error_share_now",
    "error_share_normal",
    "unique_prompt_share",
    "cache_hit_ratio_now",
    "cache_hit_ratio_before",
    "cache_write_share_now",
    "prefix_tokens",
    "prefix_changes_share",
    "prefix_break_offset",
    "prefix_break_kind",
    "reuse_gap_seconds_p50",
    "output_tokens_p95_now",
    "output_tokens_p95_normal",
    "length_finish_share_now",
    "reasoning_share_now",
    "reasoning_share_before",
    "tool",
    "tool_agent",
    "tool_calls",
    "tool_calls_p99_normal",
    "tool_error_share",
    "agent",
    "agent_runs",
    "agent_runs_p99_normal",
    "trace_id",
)
"""Those that a note holds under the same name."""


def gather_facts(notebook: Notebook, case: CaseData, *, now: Calls, before: Calls) -> dict[str, Datum]:
    """The facts of a case, out of its notes, its calls and its scope's spend."""
    facts = {name: notebook.values[name] for name in FACTS if name in notebook.values}
    spent_before = sum(cube.total("cost_nanos") for cube in case.spend.before) * case.reference.scale
    hours = case.window.seconds / 3600
    facts["run_rate_nanos_per_hour"] = round(case.spend.now.total("cost_nanos") / hours)
    facts["baseline_nanos_per_hour"] = round(spent_before / hours)
    busiest = per_minute_p95(before)
    if busiest is not None:
        facts["requests_per_minute_p95_normal"] = busiest
    if now.rows:
        environments = now.text("environment").values
        facts["environment"] = environments[0] if len(environments) == 1 else "mixed"
    return facts
