"""The answer to one read-only question: what was asked, over what, and what came back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from store.errors import BadInput
from store.model.canonical import stable_id
from store.model.usage import Cube, RecordTable, Scope, Window, iso

Data = TypeVar("Data")


@dataclass(frozen=True)
class QueryResult(Generic[Data]):
    """What a query found. `status` empty: there was nothing; error: it could not be asked, and `says` tells why."""

    id: str
    query: str
    scope: Scope
    window: Window
    status: Literal["ok", "empty", "error"]
    data: Data | None
    says: str = ""

    def need(self) -> Data:
        """The data.

        Raises:
            BadInput: the query could not be asked.
        """
        if self.data is None:
            raise BadInput(f"query {self.query} over {self.scope.text}: {self.says}")
        return self.data


def ask(query: str, scope: Scope, window: Window, fetch: Callable[[], Data]) -> QueryResult[Data]:
    """Run one fetch and wrap what it gives; a question that the store cannot answer is a result, not an exception."""
    key = stable_id("q", query, scope.as_dict(), iso(window.start), iso(window.end))
    try:
        data = fetch()
    except BadInput as error:
        return QueryResult(id=key, query=query, scope=scope, window=window, status="error", data=None, says=str(error))
    status: Literal["ok", "empty"] = "empty" if _size(data) == 0 else "ok"
    return QueryResult(id=key, query=query, scope=scope, window=window, status=status, data=data)


def _size(data: object) -> int:
    return data.rows if isinstance(data, Cube | RecordTable) else 1
