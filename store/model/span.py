"""Spans: what ran in a trace. Agents, tools, model calls and the steps between them; what a call cost is its record's.

A span says who called what and how often. It holds no tokens and no money, so it is in no sum and in no roll-up.
"""

from typing import Literal, NamedTuple

from store.model.usage import NONE, Quarantined, UsageRecord

SpanKind = Literal["agent", "tool", "llm", "step"]
"""`step`: a chain, workflow, retriever or guardrail, kept so that what lies below it finds its agent."""


class Span(NamedTuple):
    """One thing that ran. Of spans with one (trace_id, span_id) the greatest (observed_us, content) wins.

    Names are hostile text: whoever may export spans wrote them. An absent value is NONE.
    """

    trace_id: str
    span_id: str
    source: str
    observed_us: int
    started_us: int
    ended_us: int
    kind: SpanKind
    name: str
    """Of the agent, of the tool, of the model that answered, or of the step."""
    parent_id: str = NONE
    agent: str = NONE
    """The agent that it ran for, where the span itself says so."""
    status: Literal["ok", "error"] = "ok"
    record_id: str = NONE
    """The usage record of a model call, whichever door that came by."""


SourceRow = UsageRecord | Span | Quarantined
"""What a source makes of a row."""
