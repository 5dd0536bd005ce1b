"""What repeats inside a trace: the tool that is called over and over, the agent that is started over and over."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agent.analyst.columns import percentile, share
from agent.analyst.notebook import Datum, Note
from agent.analyst.traces import Forest
from store.model.span import Span, SpanKind
from store.model.usage import NONE

_SHOWN = 80
"""Characters of a name in a sentence."""


class Repeated(NamedTuple):
    """What ran most often in one trace beyond what is usual for it; `usual` None: nothing to compare with."""

    name: str
    trace_id: str
    times: int
    usual: float | None
    spans: tuple[Span, ...]

    @property
    def ratio(self) -> float | None:
        """How many times as often as usual."""
        return None if self.usual is None else self.times / max(1.0, self.usual)


def look_at_steps(now: Sequence[Span], before: Sequence[Sequence[Span]]) -> Note | None:
    """The tool and the agent that one trace ran most beyond the usual, against the traces of the reference.

    None where there are no spans of tools or agents: most gateways report none.
    """
    earlier = [one for spans in before for one in spans]
    tool, agent = (_most_repeated(now, earlier, kind) for kind in ("tool", "agent"))
    data: dict[str, Datum] = {}
    said: list[str] = []
    if tool is not None:
        forest = Forest(now)
        caller = Counter(forest.agent_of(one) for one in tool.spans).most_common(1)[0][0]
        failed = share(sum(one.status == "error" for one in tool.spans), tool.times)
        data |= {"tool": tool.name, **_numbers(tool, "tool_calls"), "tool_error_share": failed}
        by = ""
        if caller != NONE:
            data["tool_agent"] = caller
            by = f" by agent {caller[:_SHOWN]}"
        errors = f"; {failed:.0%} of those calls failed" if failed else ""
        said.append(f"Tool {tool.name[:_SHOWN]} was called {_times(tool)}{by}{_usually(tool)}{errors}.")
    if agent is not None:
        data |= {"agent": agent.name, **_numbers(agent, "agent_runs")}
        said.append(f"Agent {agent.name[:_SHOWN]} was run {_times(agent)}{_usually(agent)}.")
    found = max((one for one in (tool, agent) if one is not None), key=lambda one: one.ratio or 0.0, default=None)
    if found is None:
        return None
    data["trace_id"] = found.trace_id
    return Note("steps", " ".join(said), data)


def _most_repeated(now: Sequence[Span], before: Sequence[Span], kind: SpanKind) -> Repeated | None:
    counts = _per_trace(now, kind)
    if not counts:
        return None
    earlier = _per_trace(before, kind)
    usual = {name: _usual(name, counts, earlier) for name in {name for _, name in counts}}

    def beyond(one: tuple[str, str]) -> tuple[float, int, str, str]:
        return counts[one] - (usual[one[1]] or 0.0), counts[one], one[1], one[0]

    trace_id, name = max(counts, key=beyond)
    spans = tuple(one for one in now if one.kind == kind and (one.trace_id, one.name) == (trace_id, name))
    return Repeated(name, trace_id, counts[trace_id, name], usual[name], spans)


def _usual(name: str, now: Counter[tuple[str, str]], before: Counter[tuple[str, str]]) -> float | None:
    """What 99 of 100 traces with it have at most: in the reference, else in the window without its busiest trace."""
    normal = [times for (_, of), times in before.items() if of == name]
    if not normal:
        normal = sorted(times for (_, of), times in now.items() if of == name)[:-1]
    return percentile(np.array(normal, dtype=np.float64), 99) if normal else None


def _per_trace(spans: Sequence[Span], kind: SpanKind) -> Counter[tuple[str, str]]:
    return Counter((one.trace_id, one.name) for one in spans if one.kind == kind)


def _numbers(found: Repeated, name: str) -> dict[str, Datum]:
    numbers: dict[str, Datum] = {name: found.times}
    if found.usual is not None:
        numbers |= {f"{name}_p99_normal": found.usual, f"{name}_ratio": found.ratio}
    return numbers


def _times(found: Repeated) -> str:
    return f"{found.times:,} times in one trace" if found.times != 1 else "once in one trace"


def _usually(found: Repeated) -> str:
    return "" if found.usual is None else f", where 99 of 100 traces have at most {found.usual:,.0f}"
