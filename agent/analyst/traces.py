"""Traces as trees: who ran below whom, and for which agent; a span whose parent is not known is a root."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from store.model.span import Span, SpanKind
from store.model.usage import NONE

_DEEPEST = 64


class Branch(NamedTuple):
    """Spans of one kind and name below one parent, taken together: a loop of 200 calls is one branch."""

    depth: int
    kind: SpanKind
    name: str
    times: int
    errors: int
    seconds: float
    """Of all of them, one after the other."""
    record_ids: tuple[str, ...]


class Forest:
    """The spans of some traces, by id."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = tuple(spans)
        self._by_id = {(one.trace_id, one.span_id): one for one in self.spans}

    def agent_of(self, span: Span) -> str:
        """The agent that a span ran for: as it says itself, else the nearest one above it; NONE where neither is."""
        here: Span | None = span
        for _ in range(_DEEPEST):
            if here is None:
                break
            if here.agent != NONE and here.kind != "agent":
                return here.agent
            here = self._by_id.get((here.trace_id, here.parent_id))
            if here is not None and here.kind == "agent":
                return here.name
        return NONE

    def branches(self, trace_id: str) -> Iterator[Branch]:
        """The tree of a trace from above, siblings of one kind and name as one; most times first below each parent.

        A span that is above itself, which only a hostile trace has, is in no branch.
        """
        below: dict[str, list[Span]] = {}
        for one in self.spans:
            if one.trace_id == trace_id:
                parent = one.parent_id if (trace_id, one.parent_id) in self._by_id else NONE
                below.setdefault(parent, []).append(one)
        yield from _unfold(below.get(NONE, []), below)


def _unfold(roots: Sequence[Span], below: dict[str, list[Span]]) -> Iterator[Branch]:
    waiting = [(0, group) for group in reversed(_grouped(roots))]
    while waiting:
        depth, group = waiting.pop()
        yield Branch(
            depth=depth,
            kind=group[0].kind,
            name=group[0].name,
            times=len(group),
            errors=sum(one.status == "error" for one in group),
            seconds=sum(one.ended_us - one.started_us for one in group) / 1e6,
            record_ids=tuple(one.record_id for one in group if one.record_id != NONE),
        )
        children = [child for one in group for child in below.get(one.span_id, ())]
        waiting += [(depth + 1, part) for part in reversed(_grouped(children))]


def _grouped(spans: Sequence[Span]) -> list[list[Span]]:
    groups: dict[tuple[str, str], list[Span]] = {}
    for one in spans:
        groups.setdefault((one.kind, one.name), []).append(one)
    return sorted(groups.values(), key=lambda group: (-len(group), group[0].kind, group[0].name))
