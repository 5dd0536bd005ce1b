"""Who used it: end users and sessions of a scope."""

from store.model.ports import Warehouse
from store.model.usage import RecordTable, Scope, Window
from tools.queries.result import QueryResult, ask

USER_LIMIT = 200_000
"""The newest calls that one question may read."""

USER_COLUMNS = ("occurred_us", "end_user", "session_id", "requests", "cost_nanos")


def users(warehouse: Warehouse, *, scope: Scope, window: Window, limit: int = USER_LIMIT) -> QueryResult[RecordTable]:
    """End user, session and cost of the newest `limit` calls of the scope, oldest first."""

    def fetch() -> RecordTable:
        return warehouse.records(window, scope=scope, columns=USER_COLUMNS, limit=min(limit, USER_LIMIT))

    return ask("users", scope, window, fetch)
