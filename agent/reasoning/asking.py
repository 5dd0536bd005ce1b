"""How a question of a review is bound to its case: where it may look, and the form of its answer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.analyst.case import CaseData
from agent.analyst.columns import Calls
from agent.reasoning.brief import span
from agent.reasoning.masks import Masks
from store.errors import BadInput
from store.model.incident import Evidence, Finding
from store.model.ports import Warehouse
from store.model.usage import RECORD_DIMENSIONS, Cube, Scope, Window
from tools.queries.prices import PriceTableFor
from tools.queries.spend import spend
from tools.queries.traces import traces
from tools.reasoner.inquiry import Answer, Cell

CALLS_READ = 20_000
CANNOT = "the usage cannot be asked this way; try other ids or another question"
NOTHING = "there was no such traffic in the window"

Rows = list[dict[str, Cell]]
Named = list[tuple[str, dict[str, Cell]]]


class Place(NamedTuple):
    """Where a question looks: inside the incident only."""

    scope: Scope
    filters: dict[str, str]


@dataclass
class Asking:
    """One review's case, and the evidence that its questions gave: `asked`, by id, with real names."""

    case: CaseData
    finding: Finding
    masks: Masks
    warehouse: Warehouse
    price_table_for: PriceTableFor
    asked: dict[str, Evidence] = field(default_factory=dict)
    count: int = 0

    def over(
        self, query: str, where: Sequence[str], fetch: Callable[[Scope], Rows], *, window: Window | None = None
    ) -> Answer:
        """Ask of the place that the ids name; what is wrong with them, or with the question, is an answer."""
        place = self.place(where)
        if isinstance(place, str):
            return self.error(query, {}, place)
        try:
            rows = fetch(place.scope)
        except BadInput:  # its words may hold names
            return self.error(query, place.filters, CANNOT)
        return self.answer(query, place.scope, place.filters, rows, window=window)

    def place(self, where: Iterable[str]) -> Place | str:
        """The incident's scope narrowed to the ids, or what is wrong with them; without ids the compared scope."""
        ids = list(where)
        whole = {name: value for name, value in self.case.core.dims if self.case.incident.scope.get(name) is not None}
        dims = whole if ids else self.case.core.as_dict()
        filters: dict[str, str] = {}
        for opaque in ids:
            known = self.masks.value_of(opaque)
            if known is None:
                return f"no such id in this review: {opaque}"
            name, value = known
            if name not in RECORD_DIMENSIONS and not name.startswith("tags."):
                return f"{opaque} is no dimension of calls; ask trace_tree about it"
            if name in filters or dims.get(name, value) != value:
                return f"{opaque} lies outside of the incident, or contradicts another id"
            dims[name], filters[name] = value, opaque
        return Place(Scope.of(dims), {self.masks.name_of(name): opaque for name, opaque in filters.items()})

    def spent(self, scope: Scope, dims: Sequence[str]) -> tuple[Cube, list[Cube]]:
        """The cube of the window, and those of the reference.

        Raises:
            BadInput: the warehouse cannot be asked this way.
        """
        windows = (self.case.window, *self.case.reference.windows)
        now, *before = (spend(self.warehouse, scope=scope, window=one, dims=dims).need() for one in windows)
        return now, before

    def calls(self, scope: Scope) -> tuple[Calls, Calls]:
        """The newest calls of the window, and of the reference.

        Raises:
            BadInput: the warehouse cannot be asked this way.
        """
        windows = self.case.reference.windows
        now = traces(self.warehouse, scope=scope, window=self.case.window, limit=CALLS_READ).need()
        most = CALLS_READ // max(1, len(windows))
        return Calls([now]), Calls(
            [traces(self.warehouse, scope=scope, window=one, limit=most).need() for one in windows]
        )

    def masked(self, dimension: str, named: Named) -> Rows:
        """Rows under the ids of their values."""
        return [{"id": self.masks.id_of(dimension, value), **row} for value, row in named]

    def answer(
        self, query: str, scope: Scope, filters: dict[str, str], rows: Rows, *, window: Window | None = None
    ) -> Answer:
        """An answer with an id of its own, kept as evidence too."""
        self.count += 1
        key, seen = f"q-{self.count}", window or self.case.window
        says = f"Asked on review: {query} of {scope.text}, {len(rows)} rows{self._first(rows)}."
        self.asked[key] = Evidence(id=key, query=query, scope=scope, window=seen, says=says)
        return Answer(
            evidence_id=key,
            status="ok" if rows else "empty",
            query=query,
            scope=self.masks.scope(scope),
            window=span(seen),
            filters=filters,
            says="" if rows else NOTHING,
            rows=tuple(rows),
        )

    def error(self, query: str, filters: dict[str, str], says: str) -> Answer:
        """A question that could not be asked; it is no evidence."""
        self.count += 1
        scope = self.masks.scope(self.case.core)
        return Answer(f"q-{self.count}", "error", query, scope, span(self.case.window), filters, says)

    def _first(self, rows: Rows) -> str:
        """The first row in words, with the real name: people read the evidence."""
        if not rows:
            return ""
        known = self.masks.value_of(str(rows[0].get("id", "")))
        name = f"{known[0]}={known[1]}: " if known else ""
        parts = [f"{key} {value}" for key, value in rows[0].items() if key != "id" and value is not None]
        return f"; first {name}{', '.join(parts[:6])}"
