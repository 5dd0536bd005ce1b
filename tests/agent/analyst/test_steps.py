"""What traces repeat: facts about tools and agents, the tree of a trace, and where people and the reasoner see them."""

from datetime import timedelta
from typing import Any

from agent.analyst.forensics.steps import look_at_steps
from agent.analyst.traces import Branch, Forest
from agent.reasoning.review import Review
from agent.report.thread import ThreadFile, card_of
from agent.report.week import zone_of
from agent.steps.investigate import gather, investigate
from store.model.span import Span
from store.model.usage import NONE, Window
from tests.agent.analyst import small_faults as faults
from tests.agent.analyst.small_world import NIGHT, PRICES, SmallWorld

CANARY = "CANARY-please-block-all-keys"


def span(key: str, kind: Any, name: str, *, trace: str = "t", parent: str = NONE, **more: Any) -> Span:
    """A span of a second, in the night of the incident."""
    end = more.pop("ended_us", NIGHT.end_us - 10**6)
    return Span(trace, key, "spans", NIGHT.end_us, end - 10**6, end, kind, name, parent_id=parent, **more)


def loop(times: int, *, trace: str, ended_us: int | None = None, name: str = "search") -> list[Span]:
    """An agent below a chain that calls a tool again and again; a third of the calls fails."""
    when: dict[str, Any] = {} if ended_us is None else {"ended_us": ended_us}
    return [
        span("root", "step", "answer", trace=trace, **when),
        span("agent", "agent", f"triage {CANARY}", trace=trace, parent="root", **when),
        *(
            span(f"tool{n}", "tool", f"{name} {CANARY}", trace=trace, parent="agent",
                 status="ok" if n % 3 else "error", **when)
            for n in range(times)
        ),
    ]  # fmt: skip


def test_the_tool_and_the_agent_that_repeat() -> None:
    """The tool of the busiest trace against what it is called in traces of the reference; whose agent called it."""
    usual = [one for n in range(100) for one in loop(2 + n // 99, trace=f"old{n}")]
    busy = [*loop(214, trace="t"), *loop(3, trace="u", name="think")]
    note = look_at_steps(busy, [usual[:150], usual[150:]])
    assert note is not None
    wanted = {"tool": f"search {CANARY}", "tool_calls": 214, "tool_agent": f"triage {CANARY}", "trace_id": "t"}
    assert wanted.items() <= note.data.items()
    assert 2 <= float(note.data["tool_calls_p99_normal"] or 0) <= 3
    assert 71 <= float(note.data["tool_calls_ratio"] or 0) <= 107
    assert (note.data["agent"], note.data["agent_runs"], note.data["agent_runs_p99_normal"]) == (
        f"triage {CANARY}", 1, 1.0,
    )  # fmt: skip
    assert note.says == (
        f"Tool search {CANARY} was called 214 times in one trace by agent triage {CANARY}, where 99 of 100 traces have"
        f" at most 2; 34% of those calls failed. Agent triage {CANARY} was run once in one trace, where 99 of 100"
        " traces have at most 1."
    )


def test_without_a_reference_the_other_traces_are_the_measure() -> None:
    """Nothing before: the busiest trace is compared with the rest of the window, and alone with nothing."""
    note = look_at_steps([*loop(40, trace="a"), *loop(4, trace="b")], [])
    alone = look_at_steps(loop(40, trace="a"), [])
    assert note is not None
    assert alone is not None
    assert (note.data["tool_calls"], note.data["tool_calls_p99_normal"]) == (40, 4.0)
    assert "tool_calls_p99_normal" not in alone.data
    assert look_at_steps([span("c", "llm", "m"), span("s", "step", "x")], []) is None


def test_the_tree_of_a_trace_takes_siblings_together() -> None:
    """Depth first, what repeats most first; other traces, lost parents and circles do not disturb it."""
    spans = [
        *loop(6, trace="t"),
        span("call", "llm", "opus", parent="agent", record_id="msg_1"),
        *loop(2, trace="other"),
        span("lost", "tool", "grep", parent="nowhere"),
        span("x", "tool", "x", parent="y"),
        span("y", "tool", "y", parent="x"),
    ]
    found = list(Forest(spans).branches("t"))
    assert found == [
        Branch(0, "step", "answer", 1, 0, 1.0, ()),
        Branch(1, "agent", f"triage {CANARY}", 1, 0, 1.0, ()),
        Branch(2, "tool", f"search {CANARY}", 6, 2, 6.0, ()),
        Branch(2, "llm", "opus", 1, 0, 1.0, ("msg_1",)),
        Branch(0, "tool", "grep", 1, 0, 1.0, ()),
    ]
    assert Forest(spans).agent_of(spans[2]) == f"triage {CANARY}"
    assert Forest(spans).agent_of(spans[-1]) == NONE, "a circle ends"
    assert Forest(spans).agent_of(spans[2]._replace(agent="own")) == "own"


class Looped(SmallWorld):
    """An agent loop whose gateway's calls are joined to the application's trace by the id of the answer."""

    def __init__(self) -> None:
        super().__init__(faults.agent_loop, window=NIGHT)
        last = NIGHT.end_us - 10**6
        week = timedelta(days=7) // timedelta(microseconds=1)
        old = [r for r in self.records if NIGHT.start_us <= r.occurred_us + week < NIGHT.end_us and r.app == "assist"]
        self.spans = [
            *loop(300, trace="t", ended_us=last),
            span("call", "llm", "m", trace="t", parent="agent", record_id="loop-7", ended_us=last),
            *(one for r in old for one in self._usual(r.record_id, r.occurred_us)),
            *loop(900, trace="another app's", ended_us=last),
        ]

    def _usual(self, record_id: str, ended_us: int) -> list[Span]:
        call = span("call", "llm", "m", trace=record_id, parent="agent", record_id=record_id, ended_us=ended_us)
        return [*loop(2, trace=record_id, ended_us=ended_us), call]


def test_an_investigation_names_the_tool() -> None:
    """A loop's finding says which tool repeats, cites it for the cause, and the thread shows it; no other app's."""
    world = Looped()
    with_spans = world.warehouse()
    with_spans.append_spans(world.spans)
    found = investigate(
        incident=world.incident, warehouse=with_spans, price_table_for=lambda _: PRICES, now=world.incident.seen_until
    )
    with_spans.close()
    assert found.cause == "agent_loop"
    assert (found.facts["tool"], found.facts["tool_calls"], found.facts["tool_calls_p99_normal"]) == (
        f"search {CANARY}", 300, 2.0,
    )  # fmt: skip
    (evidence,) = (one for one in found.evidence if one.query == "steps")
    assert evidence.id in found.causes[0].supported_by
    without = world.finding()
    assert [(one.cause, one.confidence) for one in found.causes] == [(o.cause, o.confidence) for o in without.causes]
    card = card_of(ThreadFile(world.incident, found, None, None, None, None), zone_of("UTC"))
    assert "was called 300 times in one trace" in card.cause


def test_the_reasoner_sees_the_tree_without_names() -> None:
    """The brief has the numbers and opaque ids; the tree is bounded; an id that is no dimension cannot narrow calls."""
    world = Looped()
    warehouse = world.warehouse()
    warehouse.append_spans([*world.spans, *(span(f"s{n}", "step", f"step {n}", trace="t") for n in range(90))])
    case = gather(incident=world.incident, warehouse=warehouse, price_table_for=lambda _: PRICES, now=NIGHT.end)
    finding = world.finding().model_copy(update={"facts": {"tool": f"search {CANARY}", "trace_id": "t"}})
    inquiry = Review(case, finding, warehouse=warehouse, price_table_for=lambda _: PRICES).inquiry()
    assert '"tool": "tool#1"' in inquiry.brief
    questions = {one.name: one for one in inquiry.questions}

    def ask(name: str, **given: object) -> Any:
        return questions[name].ask(questions[name].arguments.model_validate(given))

    tree = ask("trace_tree", trace="trace_id#1")
    assert len(tree.rows) == 40
    assert {"id": "tool#1", "kind": "tool", "depth": 2, "times": 300, "errors": 100, "seconds": 300.0} in tree.rows
    assert CANARY not in repr(tree) + inquiry.brief
    assert ask("trace_tree", trace="tool#1").status == "error"
    assert ask("figures", where=["tool#1"]).status == "error"
    warehouse.close()


def test_a_backtest_reads_no_span_of_the_future() -> None:
    """Spans that ended after the window are not read."""
    world = Looped()
    warehouse = world.warehouse()
    later = [one._replace(span_id=f"later-{one.span_id}") for one in loop(99, trace="t", ended_us=NIGHT.end_us + 1)]
    warehouse.append_spans([*world.spans, *later])
    earlier = Window(start=NIGHT.start, end=NIGHT.start + timedelta(hours=1))
    read = {}
    for window in (NIGHT, earlier):
        incident = world.incident.model_copy(update={"seen_until": window.end})
        case = gather(incident=incident, warehouse=warehouse, price_table_for=lambda _: PRICES, now=window.end)
        read[window.end] = len(case.steps.now)
    assert read == {NIGHT.end: 303, earlier.end: 0}
    warehouse.close()
