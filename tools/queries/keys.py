"""What an API key did: the models, environments, regions, end users and hours that it was seen with."""

from typing import NamedTuple

from store.model.ports import Warehouse
from store.model.usage import Cube, RecordTable, Scope, Window
from tools.queries.result import QueryResult, ask

KEY_CALL_LIMIT = 20_000
"""The newest calls of a key that one question may read."""

KEY_CALL_COLUMNS = ("occurred_us", "region", "end_user", "session_id", "requests", "cost_nanos")


class KeyUse(NamedTuple):
    """Hourly rollup rows of one key by model and environment, and its newest calls with region and end user."""

    hours: Cube
    calls: RecordTable


def keys(warehouse: Warehouse, *, api_key_id: str, window: Window) -> QueryResult[KeyUse]:
    """How a key was used in a window; asked for the time before and now, the two can be compared."""
    scope = Scope.of(api_key_id=api_key_id)

    def fetch() -> KeyUse:
        hours = warehouse.cube(window, bucket_seconds=3600, dims=("model", "environment", "team", "app"), scope=scope)
        calls = warehouse.records(window, scope=scope, columns=KEY_CALL_COLUMNS, limit=KEY_CALL_LIMIT)
        return KeyUse(hours=hours, calls=calls)

    return ask("keys", scope, window, fetch)
