"""What answered: the rollup rows of a scope by model, provider, tier and speed."""

from store.model.ports import Warehouse
from store.model.usage import Cube, Scope, Window
from tools.queries.buckets import widest_bucket
from tools.queries.result import QueryResult, ask

MIX_DIMENSIONS = ("provider", "model", "requested_model", "service_tier", "speed")


def mix(warehouse: Warehouse, *, scope: Scope, window: Window) -> QueryResult[Cube]:
    """All measures by provider, model, requested model, service tier and speed."""

    def fetch() -> Cube:
        return warehouse.cube(window, bucket_seconds=widest_bucket(window), dims=MIX_DIMENSIONS, scope=scope)

    return ask("mix", scope, window, fetch)
