"""The three small graphs: every arrow between steps is here, and nowhere else.

A graph's state holds JSON primitives. The functions that are handed in are the steps, already bound to their
dependencies by agent.app; here they are only put in order and their nouns turned into state and back.

    watch    collect -> roll_up -> trust -> detect -> group -> open, or only to roll_up when nothing judged has changed
    case     investigate -> propose -> rule -> file, or investigate -> propose when nothing can be proposed
    remedy   look -> one of {apply, resolve, verify, expire, revert}, or nothing when nothing is due
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

# isort: off
import store.checkpoints  # noqa: F401 # first: it makes LangGraph's deserialiser strict

# isort: on
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel, TypeAdapter

from agent.state import SCHEMA_VERSION, CaseState, RemedyState, WatchState
from agent.steps.look import Looked
from store.model.incident import Finding, Incident, Spike, TrustNote
from store.model.remedy import Claim, Proposal, Remedy, Ruling
from store.model.usage import Intake, Window, iso

RECURSION_LIMIT = 25
"""A run has at most six steps; the library's own default is 10007."""

Graph = CompiledStateGraph[Any, Any, Any, Any]
_SPIKES = TypeAdapter(list[Spike])
_INCIDENTS = TypeAdapter(list[Incident])
_PROPOSALS = TypeAdapter(list[Proposal])
_RULINGS = TypeAdapter(list[Ruling])


def watch_graph(
    *,
    collect: Callable[[], Intake],
    roll_up: Callable[[], Window | None],
    trust: Callable[[datetime], Sequence[TrustNote]],
    detect: Callable[[datetime], Sequence[Spike]],
    group: Callable[[Sequence[Spike], datetime], Sequence[Incident]],
    open_: Callable[[Sequence[Incident]], Sequence[tuple[str, int]]],
) -> Graph:
    """Look at the spend once. Without a checkpoint: the same data give the same incidents however often it runs.

    A look at buckets that were judged by this process, and have not changed since, would find the same: it ends early.
    """
    judged: list[datetime] = []

    def until(state: WatchState) -> datetime:
        return datetime.fromisoformat(state["until"])

    def run_group(state: WatchState) -> WatchState:
        spikes = _SPIKES.validate_python(state["spikes"])
        return {"incidents": _dump(group(spikes, until(state)))}

    def run_open(state: WatchState) -> WatchState:
        opened = open_(_INCIDENTS.validate_python(state["incidents"]))
        judged[:] = [until(state)]
        return {"opened": [f"{incident_id}@{revision}" for incident_id, revision in opened]}

    def run_roll_up(state: WatchState) -> WatchState:
        changed = roll_up()
        fresh = until(state) not in judged or (changed is not None and changed.start < until(state))
        return {"fresh": fresh, "opened": []}

    graph = StateGraph(WatchState)
    graph.add_node("collect", lambda _: {"accepted": collect().accepted})
    graph.add_node("roll_up", run_roll_up)
    graph.add_node("trust", lambda state: {"trust": _dump(trust(until(state)))})
    graph.add_node("detect", lambda state: {"spikes": _dump(detect(until(state)))})
    graph.add_node("group", run_group)
    graph.add_node("open", run_open)
    graph.add_edge(START, "collect")
    graph.add_edge("collect", "roll_up")
    graph.add_conditional_edges(
        "roll_up", lambda state: "trust" if state["fresh"] else "seen", {"trust": "trust", "seen": END}
    )
    graph.add_edge("trust", "detect")
    graph.add_edge("detect", "group")
    graph.add_edge("group", "open")
    graph.add_edge("open", END)
    return graph.compile(name="watch")


def case_graph(
    *,
    investigate: Callable[[str], Finding],
    propose: Callable[[str], Sequence[Proposal]],
    rule: Callable[[Proposal], Ruling],
    file: Callable[[Sequence[Proposal], Sequence[Ruling]], Sequence[Remedy]],
    checkpointer: BaseCheckpointSaver[Any] | None,
) -> Graph:
    """Investigate one revision of one incident and put the best remedy before the policy. Ends in rows."""

    def run_investigate(state: CaseState) -> CaseState:
        finding = investigate(state["incident_id"])
        return {"schema_version": SCHEMA_VERSION, "revision": finding.revision, "cause": finding.cause}

    def run_rule(state: CaseState) -> CaseState:
        best = _PROPOSALS.validate_python(state["proposals"])[0]
        return {"rulings": _dump([rule(best)])}

    def run_file(state: CaseState) -> CaseState:
        proposals = _PROPOSALS.validate_python(state["proposals"])
        rulings = _RULINGS.validate_python(state["rulings"])
        return {"remedies": [remedy.remedy_id for remedy in file(proposals, rulings)]}

    graph = StateGraph(CaseState)
    graph.add_node("investigate", run_investigate)
    graph.add_node("propose", lambda state: {"proposals": _dump(propose(state["incident_id"]))})
    graph.add_node("rule", run_rule)
    graph.add_node("file", run_file)
    graph.add_edge(START, "investigate")
    graph.add_edge("investigate", "propose")
    graph.add_conditional_edges(
        "propose", lambda state: "rule" if state["proposals"] else "nothing", {"rule": "rule", "nothing": END}
    )
    graph.add_edge("rule", "file")
    graph.add_edge("file", END)
    return graph.compile(checkpointer=checkpointer, name="case")


def remedy_graph(
    *,
    look: Callable[[str], Looked | None],
    apply: Callable[[Claim], Remedy | None],
    resolve: Callable[[Claim], Remedy | None],
    verify: Callable[[Claim], Remedy | None],
    expire: Callable[[Claim], Remedy | None],
    revert: Callable[[Claim], Remedy | None],
) -> Graph:
    """Move one remedy one step. Without a checkpoint: the ledger is the truth, and every step may be repeated."""

    def run_look(state: RemedyState) -> RemedyState:
        looked = look(state["remedy_id"])
        if looked is None:
            return {"step": "done"}
        return {"owner": looked.claim.owner, "fence": looked.claim.fence, "step": looked.step}

    def run_step(step: Callable[[Claim], Remedy | None], state: RemedyState) -> RemedyState:
        remedy = step(Claim(remedy_id=state["remedy_id"], owner=state["owner"], fence=state["fence"]))
        # No remedy: the claim was lost on the way, and whoever holds it now goes on.
        return {"became": remedy.state if remedy else "lost"}

    graph = StateGraph(RemedyState)
    graph.add_node("look", run_look)
    steps = {"apply": apply, "resolve": resolve, "verify": verify, "expire": expire, "revert": revert}
    for name, step in steps.items():
        graph.add_node(name, partial(run_step, step))
        graph.add_edge(name, END)
    graph.add_edge(START, "look")
    graph.add_conditional_edges("look", lambda state: state["step"], {**{name: name for name in steps}, "done": END})
    return graph.compile(name="remedy")


def run(graph: Graph, state: dict[str, Any], *, thread_id: str | None = None) -> dict[str, Any]:
    """Run a graph to its end; its final state. With a saver and a `thread_id` each step is on disk before the next."""
    if thread_id is None or graph.checkpointer is None:
        return dict(graph.invoke(state, RunnableConfig(recursion_limit=RECURSION_LIMIT)))
    config = RunnableConfig(recursion_limit=RECURSION_LIMIT, configurable={"thread_id": thread_id})
    return dict(graph.invoke(state, config, durability="sync"))


def watch_input(until: datetime) -> dict[str, Any]:
    """The start of a watch run: judge the buckets that ended by then."""
    return {"until": iso(until)}


def _dump(nouns: Sequence[BaseModel]) -> list[dict[str, object]]:
    return [noun.model_dump(mode="json") for noun in nouns]
