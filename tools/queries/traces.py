"""The single calls of a scope, and the sessions in which they stand."""

from store.model.ports import Warehouse
from store.model.usage import TOKEN_CLASSES, RecordTable, Scope, Window
from tools.queries.result import QueryResult, ask

CALL_LIMIT = 50_000
"""The newest calls that one question may read."""

CALL_COLUMNS = (
    "occurred_us",
    "team",
    "app",
    "environment",
    "api_key_id",
    "end_user",
    "session_id",
    "trace_id",
    "job",
    "region",
    "model",
    "service_tier",
    "status",
    "finish_reason",
    "latency_ms",
    "requests",
    "attempt",
    *TOKEN_CLASSES,
    "reasoning",
    "cost_nanos",
    "prompt_hash",
    "prompt_chars",
    "n_tools",
    "prefix_hash",
    "prefix_tokens",
    "prefix_break_at",
    "prefix_break_kind",
)


def traces(warehouse: Warehouse, *, scope: Scope, window: Window, limit: int = CALL_LIMIT) -> QueryResult[RecordTable]:
    """The newest `limit` calls of the scope, oldest first; `data.cut` says whether there were more."""

    def fetch() -> RecordTable:
        return warehouse.records(window, scope=scope, columns=CALL_COLUMNS, limit=min(limit, CALL_LIMIT))

    return ask("traces", scope, window, fetch)
