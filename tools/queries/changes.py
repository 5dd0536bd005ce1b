"""What began: the rollup rows of a scope by release and model, over some days before a window and through it."""

from datetime import timedelta

from store.model.ports import Warehouse
from store.model.usage import Cube, Scope, Window
from tools.queries.result import QueryResult, ask

CHANGE_DIMENSIONS = ("release", "requested_model", "model")
DAYS_BEFORE = timedelta(days=3)
"""What was in use at some time in these days is nothing new."""
_BUCKET_SECONDS = 300


def changes(warehouse: Warehouse, *, scope: Scope, window: Window) -> QueryResult[Cube]:
    """All measures by release, requested model and model, in buckets of five minutes."""
    whole = Window(start=window.start - DAYS_BEFORE, end=window.end)

    def fetch() -> Cube:
        return warehouse.cube(whole, bucket_seconds=_BUCKET_SECONDS, dims=CHANGE_DIMENSIONS, scope=scope)

    return ask("changes", scope, whole, fetch)
