"""The investigation without a model: from what the queries fetched to a finding."""

from agent.analyst.attribution import LeafTable, attribute
from agent.analyst.case import CaseData, Seen
from agent.analyst.causes import score_causes
from agent.analyst.columns import Calls
from agent.analyst.drivers import DRIVER_DIMENSIONS, DRIVER_MEASURES, FACTORS, Amounts, Moments, Workload, split_drivers
from agent.analyst.facts import gather_facts
from agent.analyst.forensics.caching import look_at_cache, look_at_prefixes
from agent.analyst.forensics.changes import look_at_changes
from agent.analyst.forensics.keys import look_at_key
from agent.analyst.forensics.models import look_at_models
from agent.analyst.forensics.money import look_at_figures, look_at_spend
from agent.analyst.forensics.people import look_at_people
from agent.analyst.forensics.price_events import look_at_price_events
from agent.analyst.forensics.retries import look_at_retries
from agent.analyst.forensics.sessions import look_at_sessions
from agent.analyst.forensics.sizes import look_at_sizes, tokenizer_changes
from agent.analyst.forensics.steps import look_at_steps
from agent.analyst.leaves import leaves_of
from agent.analyst.notebook import Datum, Note, Notebook
from agent.analyst.scopes import ATTRIBUTE_BY, CAUSES_CHANGE
from store.model.incident import Cause, DriverShare, Finding, Suspect
from store.model.money import to_cents, usd_text
from store.model.usage import TOTAL, Cube, Scope, Window


def analyse(case: CaseData) -> Finding:
    """Explain one incident revision: exact drivers, suspects, evidence, causes with confidence, focus and facts."""
    incident = case.incident
    now, before = Calls([case.calls.now]), Calls(case.calls.before)
    chars = tokenizer_changes(now, before)
    drivers = _incident_drivers(case, chars)
    suspects = _suspects(case)
    notebook = Notebook()
    for note in _notes(case, now, before, _movement(case, chars), suspects):
        notebook.add(note, scope=case.core, window=case.window)
    causes = score_causes(notebook)
    return Finding(
        incident_id=incident.id,
        revision=incident.revision,
        scope=incident.scope,
        focus=focus(causes[0].cause, case.core, notebook.values),
        window=case.window,
        reference=case.reference.windows[0] if case.reference.windows else _nothing(case.window),
        excess_nanos=to_cents(incident.excess_nanos),
        drivers=drivers,
        causes=causes,
        suspects=suspects,
        evidence=tuple(notebook.evidence),
        facts=gather_facts(notebook, case, now=now, before=before),
    )


def focus(cause: Cause, core: Scope, known: dict[str, Datum]) -> Scope:
    """The deepest scope that the evidence for a cause names: where a remedy should act."""
    if cause == "leaked_key" and "api_key_id" in known:
        return Scope.of(api_key_id=str(known["api_key_id"]))
    deeper = {"agent_loop": "session_id", "denial_of_wallet": "end_user"}.get(cause)
    if deeper is not None and deeper in known:
        return Scope.of({**core.as_dict(), deeper: str(known[deeper])})
    return core


def _incident_drivers(case: CaseData, chars: dict[Workload, tuple[float, float]]) -> tuple[DriverShare, ...]:
    """The split of the incident's excess; a scope that names a model is seen as a part of all its models' traffic."""
    incident = case.incident
    changed = {name: value for name, value in incident.scope.dims if name in CAUSES_CHANGE}
    seen, part = case.spend, TOTAL
    if changed and all(name in DRIVER_DIMENSIONS for name in changed):
        seen, part = case.wide, Scope.of(changed)
    excess, baseline = incident.excess_nanos, incident.baseline_nanos
    return _drivers(case, seen, excess=excess, baseline=baseline, chars=chars, part=part)


def _drivers(
    case: CaseData,
    seen: Seen[Cube],
    *,
    excess: int,
    baseline: int,
    chars: dict[Workload, tuple[float, float]],
    part: Scope = TOTAL,
) -> tuple[DriverShare, ...]:
    scale = case.reference.scale
    leaves = leaves_of(seen.now, seen.before, dims=DRIVER_DIMENSIONS, measures=DRIVER_MEASURES, scale=scale)
    earlier = case.reference.windows[0] if case.reference.windows else case.window
    return split_drivers(
        leaves,
        amounts=Amounts(excess=excess, baseline=baseline, reference=_spent_before(seen, part, scale)),
        prices=case.prices,
        moments=Moments(now_us=_middle(case.window), before_us=_middle(earlier)),
        tokens_per_char=chars,
        part=part,
    )


def _spent_before(seen: Seen[Cube], part: Scope, scale: float) -> int:
    return round(sum(cube.take(cube.mask(part)).total("cost_nanos") for cube in seen.before) * scale)


def _movement(case: CaseData, chars: dict[Workload, tuple[float, float]]) -> Note:
    """How the core scope's spend moved against the reference, by driver."""
    cubes = case.core_spend
    actual = cubes.now.total("cost_nanos")
    reference = _spent_before(cubes, TOTAL, case.reference.scale)
    parts = _drivers(case, cubes, excess=actual - reference, baseline=reference, chars=chars)
    moved = {part.driver: part.nanos for part in parts if part.driver in FACTORS}
    whole = sum(abs(nanos) for nanos in moved.values())
    data: dict[str, Datum] = {
        f"share_of_change.{name}": moved.get(name, 0) / whole if whole else 0.0 for name in FACTORS
    }
    rates = {name: nanos for name, nanos in moved.items() if name != "request_volume"}
    rated = sum(abs(nanos) for nanos in rates.values())
    data |= {f"share_of_rate_change.{name}": nanos / rated if rated else 0.0 for name, nanos in rates.items()}
    largest = ", ".join(f"{name.replace('_', ' ')} {usd_text(nanos)}" for name, nanos in list(moved.items())[:3])
    return Note(
        "spend", f"Against {case.reference.says}, spend moved by {usd_text(actual - reference)}: {largest}.", data
    )


def _notes(
    case: CaseData, now: Calls, before: Calls, movement: Note, suspects: tuple[Suspect, ...]
) -> list[Note | None]:
    cubes, scale = case.core_spend, case.reference.scale
    spend = look_at_spend(cubes.now, cubes.before, window=case.window, scale=scale, says=case.reference.says)
    grown = spend.data.get("requests_ratio")
    return [
        spend,
        movement,
        _suspect_note(suspects, case.incident.scope),
        look_at_figures(cubes.now, cubes.before),
        look_at_models(case.mix.now, case.mix.before, scale=scale),
        look_at_cache(case.cache.now, case.cache.before),
        look_at_prefixes(now, before),
        look_at_sessions(now, before),
        look_at_retries(now, before),
        look_at_sizes(now, before),
        look_at_people(case.users.now, case.users.before, requests_ratio=grown if isinstance(grown, float) else None),
        None if case.key is None else look_at_key(now, case.key, hours=case.window.seconds / 3600),
        look_at_changes(case.changes, case.window),
        look_at_price_events(case.prices, _since_the_reference(case)),
        look_at_steps(case.steps.now, case.steps.before),
    ]


def _since_the_reference(case: CaseData) -> Window:
    return Window(start=min(w.start for w in (case.window, *case.reference.windows)), end=case.window.end)


def _suspects(case: CaseData) -> tuple[Suspect, ...]:
    leaves = leaves_of(
        case.spend.now, case.spend.before, dims=ATTRIBUTE_BY, measures=("cost_nanos",), scale=case.reference.scale
    )
    if leaves.size == 0:
        return ()
    table = LeafTable(leaves.codes, leaves.values, leaves.now["cost_nanos"], leaves.before["cost_nanos"])
    inside = case.incident.scope.as_dict()
    return tuple(
        Suspect(scope=Scope.of({**inside, **found.dims}), explained=found.explained, nanos=round(found.change))
        for found in attribute(table)
    )


def _suspect_note(suspects: tuple[Suspect, ...], scope: Scope) -> Note | None:
    if not suspects:
        return None
    best = suspects[0]
    says = f"{best.scope.text} explains {best.explained:.0%} of the change ({usd_text(best.nanos)})."
    return Note("spend", says, {"suspect_explained": best.explained, "suspect_nanos": best.nanos}, scope)


def _middle(window: Window) -> int:
    return (window.start_us + window.end_us) // 2


def _nothing(window: Window) -> Window:
    return Window(start=window.start, end=window.start)
