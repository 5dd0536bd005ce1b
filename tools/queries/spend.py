"""What was spent, and by whom: the rollup rows of a scope."""

from collections.abc import Sequence

from store.model.ports import Warehouse
from store.model.usage import CUBE_DIMENSIONS, Cube, Scope, Window
from tools.queries.buckets import widest_bucket
from tools.queries.result import QueryResult, ask


def spend(
    warehouse: Warehouse, *, scope: Scope, window: Window, dims: Sequence[str] = CUBE_DIMENSIONS
) -> QueryResult[Cube]:
    """All measures by the given dimensions (default: all that rollups keep), in buckets of 5 minutes or an hour."""

    def fetch() -> Cube:
        return warehouse.cube(window, bucket_seconds=widest_bucket(window), dims=dims, scope=scope)

    return ask("spend", scope, window, fetch)
