"""Scheduled pulls and restated periods, as `bursar status` and `bursar check --online` show them."""

from collections.abc import Sequence
from datetime import datetime

from agent.pulls import ping_pull, state_of
from agent.settings import Settings, SourceSettings
from store.model.ports import Clock, Warehouse
from store.model.usage import iso

Document = dict[str, object]


def pulls_document(settings: Settings, warehouse: Warehouse) -> list[Document]:
    """One entry for each source that is pulled: in a word, up to when, when last and when next, and what is wrong."""
    kept = warehouse.pulls()
    return [_pull(source, kept.get(source.name)) for source in settings.sources if source.pull is not None]


def _pull(source: SourceSettings, kept: str | None) -> Document:
    state = state_of(kept)
    return {
        "source": source.name,
        "state": state.says,
        "covered_until": _iso(state.covered_until),
        "done_at": _iso(state.done_at),
        "due_at": _iso(state.due_at),
        "error": state.error,
    }


def periods_document(warehouse: Warehouse) -> list[Document]:
    """One entry for each source and account that restates whole periods; provisional ones may still change."""
    return [
        {
            "source": one.source,
            "account": one.account,
            "periods": one.periods,
            "provisional": one.provisional,
            "provisional_from": _iso(one.provisional_from),
            "newest_at": iso(one.newest_at),
            "withdrawn_rows": one.withdrawn,
        }
        for one in warehouse.statements()
    ]


def pings(sources: Sequence[SourceSettings], *, clock: Clock) -> list[tuple[str, str]]:
    """(part, "ok, ..." or what is wrong) of each source that is pulled."""
    return [(f"source {one.name}", ping_pull(one, clock=clock)) for one in sources if one.pull is not None]


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
