"""What ran: agents, tools, model calls and the steps between them, in the traces of a scope."""

from store.model.ports import Warehouse
from store.model.span import Span
from store.model.usage import Scope, Window
from tools.queries.result import QueryResult, ask

SPAN_LIMIT = 20_000
"""The newest spans that one question may read."""


def steps(
    warehouse: Warehouse, *, scope: Scope, window: Window, limit: int = SPAN_LIMIT
) -> QueryResult[tuple[Span, ...]]:
    """The newest `limit` spans that ended in the window, in the traces of the scope's calls; oldest first."""

    def fetch() -> tuple[Span, ...]:
        return tuple(warehouse.spans(window, scope=scope, limit=min(limit, SPAN_LIMIT)))

    return ask("steps", scope, window, fetch)
