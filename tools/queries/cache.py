"""How the prompt cache did: the token classes of a scope over time."""

from store.model.ports import Warehouse
from store.model.usage import Cube, Scope, Window
from tools.queries.buckets import widest_bucket
from tools.queries.result import QueryResult, ask


def cache(warehouse: Warehouse, *, scope: Scope, window: Window) -> QueryResult[Cube]:
    """All measures, the token classes among them, by app and model, in buckets of 5 minutes or an hour."""

    def fetch() -> Cube:
        return warehouse.cube(window, bucket_seconds=widest_bucket(window), dims=("app", "model"), scope=scope)

    return ask("cache", scope, window, fetch)
