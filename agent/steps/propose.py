"""Propose: from a finding to remedies that could be put before the policy, best first."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from agent.savings import Record, record_text
from playbooks.direction import changes, loosens
from playbooks.models import ALTERNATIVES, undated
from playbooks.notify import NotifyPlaybook
from playbooks.playbook import RECORD_COLUMNS, Draft, Params, Playbook, ProposalFacts, rows_in, text
from playbooks.ranking import Worth, in_order, worth_of
from playbooks.targets import at_model_of, is_named, touches, without_model
from store.model.canonical import stable_id
from store.model.incident import Finding, Incident
from store.model.ports import GatewayReader, Unreadable, Warehouse
from store.model.prices import PriceKey, PriceTable
from store.model.remedy import Action, Proposal, SetModelAlias, joined_versions
from store.model.usage import RecordTable, Scope, Window

PriceTableFor = Callable[[Collection[PriceKey]], PriceTable]
ROW_LIMIT = 100_000
"""The newest records that a replay reads; a busier incident is judged by its latest part."""
NORMAL_SPAN = timedelta(days=7)
APPROVAL_TIME = timedelta(hours=24)
NO_GATEWAY = "none"


class _Seen(NamedTuple):
    """A draft that has met the gateway: its actions with `was`, or the reason why it was dropped."""

    actions: tuple[Action, ...] = ()
    version: str | None = None
    dropped: str | None = None


def propose(
    *,
    finding: Finding,
    incident: Incident,
    warehouse: Warehouse,
    price_table_for: PriceTableFor,
    reader: GatewayReader | None,
    playbooks: Sequence[Playbook],
    never_touch: Sequence[Scope],
    now: datetime,
    parameters: Mapping[str, Params] | None = None,
    expires_after: timedelta = APPROVAL_TIME,
    route: Callable[[Sequence[Action]], GatewayReader | None] | None = None,
    track_records: Mapping[str, Record] | None = None,
) -> list[Proposal]:
    """What could be done about a finding, by expected net benefit; doing nothing is among it where `notify` is in use.

    Every draft is checked here, whoever filled its parameters: its actions are those of its playbook, its target is
    in the finding's evidence and not on the never-touch list, it sends traffic to a known model only, it loosens
    nothing, and nobody's temporary change is in force there. What was dropped stands in the note of `notify`.

    Args:
        finding: the newest finding of the incident.
        incident: the incident; its revision becomes the proposals'.
        warehouse: read for the finding's scope in its window and in the week before it.
        price_table_for: the price table of the models named.
        reader: looks at the gateway; None: there is none, proposals are drafted all the same.
        playbooks: those in use.
        never_touch: scopes that nothing may act upon.
        now: the moment.
        parameters: by playbook; default: each playbook's own.
        expires_after: how long a request for approval stands.
        route: which of several gateways a plan is for; default: `reader` is the only one.
        track_records: by playbook, what came of its earlier estimates; they lower what is believed of the next.
    """
    records = _fetch(warehouse, finding.window, finding.scope)
    # A limit acts at every hour of the week, so what is normal is asked of a whole week and not of the same hours.
    start = finding.window.start
    # Of a model that is new here nothing is known before; what its application did then is.
    reference = _fetch(warehouse, Window(start=start - NORMAL_SPAN, end=start), without_model(finding.scope))
    facts = ProposalFacts(
        records=records,
        reference_records=reference,
        prices=price_table_for(_models(finding, records, reference)),
        seconds=_covered(finding.window, records),
        now=now,
        alternatives=ALTERNATIVES,
        gateway=None if reader is None else reader.capabilities(),
        never_touch=tuple(never_touch),
    )
    proposals: list[Proposal] = []
    worths: list[Worth] = []
    dropped: list[str] = []
    for playbook in playbooks:
        params = (parameters or {}).get(playbook.name) or playbook.params()
        draft = playbook.propose(finding, facts, params)
        if draft is None:
            continue
        at, against = _gateway_for(draft, reader, route)
        if against is not None and draft.otherwise is not None:
            draft = draft.otherwise
            at, against = _gateway_for(draft, reader, route)
        seen = _Seen(dropped=against) if against is not None else _look(draft, playbook, finding, facts, at)
        if seen.dropped is not None:
            dropped.append(f"{playbook.name} ({seen.dropped})")
            continue
        draft = _in_the_light_of(track_records or {}, draft)
        worths.append(worth_of(draft, finding))
        rank = round(worths[-1].net, 6)
        gateway = NO_GATEWAY if at is None else at.name
        if at is not None and not _only_notes(draft.actions):
            # What waits for people waits longer than a change at a gateway may stay.
            patience = at.capabilities().patience_seconds
            draft = draft.model_copy(update={"lease_seconds": max(draft.lease_seconds, patience)})
        made = _proposal(draft, seen, incident, gateway=gateway, rank=rank, now=now, expires_at=now + expires_after)
        proposals.append(made)
    best_first = in_order(list(zip(proposals, worths, strict=True)))
    return [_with_dropped(p, dropped) if p.playbook == NotifyPlaybook.name else p for p in best_first]


def _in_the_light_of(track_records: Mapping[str, Record], draft: Draft) -> Draft:
    """The draft as much to be believed as earlier estimates of its playbook came true, and saying so."""
    record = track_records.get(draft.playbook)
    if record is None:
        return draft
    assumption = f"{draft.saving.assumption}; {record_text(record)}"
    saving = draft.saving.model_copy(update={"assumption": assumption})
    return draft.model_copy(update={"confidence": draft.confidence * record.reliability, "saving": saving})


def _fetch(warehouse: Warehouse, window: Window, scope: Scope) -> RecordTable:
    return warehouse.records(window, scope=scope, columns=RECORD_COLUMNS, limit=ROW_LIMIT)


def _gateway_for(
    draft: Draft, reader: GatewayReader | None, route: Callable[[Sequence[Action]], GatewayReader | None] | None
) -> tuple[GatewayReader | None, str | None]:
    """Which gateway would carry it out, and why none can; without any gateway a draft stands as what could be done."""
    at = route(draft.actions) if route is not None else reader
    if at is None:
        return None, None if reader is None else "no configured gateway takes it"
    strange = {action.kind for action in draft.actions if action.kind != "notify"} - at.capabilities().handles
    return at, f"the gateway cannot do {', '.join(sorted(strange))}" if strange else None


def _covered(window: Window, records: RecordTable) -> int:
    """How many seconds up to the window's end the records cover: all of it unless a row limit cut them."""
    start_us = int(records.column("occurred_us")[0]) if records.cut and records.rows else window.start_us
    return max(1, (window.end_us - start_us) // 10**6)


def _models(finding: Finding, *tables: RecordTable) -> set[PriceKey]:
    """Every model that a replay may ask a price of: those that answered, those before, and the cheaper ones."""
    found: set[PriceKey] = set()
    for table in tables:
        pairs = zip(table.column("provider").tolist(), table.column("model").tolist(), strict=True)
        found.update(PriceKey(*pair) for pair in set(pairs))
    providers = {key.provider for key in found}
    previous = text(finding, "previous_model")
    if previous is not None:
        found |= {PriceKey(provider, previous) for provider in providers}
    cheaper = {
        PriceKey(key.provider, choice.model) for key in found for choice in ALTERNATIVES.get(undated(key.model), ())
    }
    return found | cheaper


def _look(
    draft: Draft, playbook: Playbook, finding: Finding, facts: ProposalFacts, reader: GatewayReader | None
) -> _Seen:
    """Check a draft and read from the gateway what its actions would replace."""
    for action in draft.actions:
        against = _objection(action, playbook, finding, facts)
        if against is not None:
            return _Seen(dropped=against)
    if reader is None or _only_notes(draft.actions):
        return _Seen(actions=draft.actions)
    filled: list[Action] = []
    versions: list[str | None] = []
    for action in draft.actions:
        if action.kind == "notify":
            filled.append(action)
            continue
        try:
            observed = reader.observe(action)
        except Unreadable as error:
            return _Seen(dropped=f"the gateway could not be read: {error}")
        now_held = action.model_copy(update={"was": observed.value})
        if observed.marker is not None:
            return _Seen(dropped=f"remedy {observed.marker} is in force there")
        if not changes(now_held):
            return _Seen(dropped="the gateway holds that value already")
        if loosens(now_held):
            return _Seen(dropped="the gateway holds a tighter limit")
        filled.append(now_held)
        versions.append(observed.version)
    return _Seen(actions=tuple(filled), version=joined_versions(versions))


def _objection(action: Action, playbook: Playbook, finding: Finding, facts: ProposalFacts) -> str | None:
    """Why an action may not be proposed at all, or None."""
    if action.kind not in playbook.kinds:
        return f"{action.kind} is not an action of this playbook"
    if action.kind == "notify":
        return None
    evident = at_model_of(finding, action.target) if isinstance(action, SetModelAlias) else action.target
    if not is_named(evident, finding):
        return f"{action.target.text} is not in the evidence"
    kept = touches(action.target, facts.never_touch) or _traffic_of(action.target, facts)
    if kept is not None:
        return f"{kept.text} is never touched"
    if isinstance(action, SetModelAlias) and action.to_model not in _known_models(finding, facts):
        return f"{action.to_model} is not a model that traffic may be sent to"
    return None


def _traffic_of(target: Scope, facts: ProposalFacts) -> Scope | None:
    """A scope of the never-touch list whose recorded traffic lies in the target."""
    inside = rows_in(facts.records, target)
    return next((scope for scope in facts.never_touch if bool((inside & rows_in(facts.records, scope)).any())), None)


def _known_models(finding: Finding, facts: ProposalFacts) -> set[str]:
    """Models of the catalogue, the previous one, and the names that this traffic asked for before."""
    known = {choice.model for choices in facts.alternatives.values() for choice in choices}
    known |= {str(name) for name in facts.reference_records.column("requested_model").tolist()}
    previous = text(finding, "previous_model")
    return known if previous is None else known | {previous}


def _proposal(
    draft: Draft,
    seen: _Seen,
    incident: Incident,
    *,
    gateway: str,
    rank: float,
    now: datetime,
    expires_at: datetime,
) -> Proposal:
    scope = seen.actions[0].target
    return Proposal(
        remedy_id=stable_id("rem", incident.id, draft.playbook, scope.as_dict()),
        revision=incident.revision,
        incident_id=incident.id,
        incident_revision=incident.revision,
        scope=scope,
        playbook=draft.playbook,
        cause=draft.cause,
        confidence=draft.confidence,
        gateway=gateway,
        actions=seen.actions,
        base_version=seen.version,
        risk=draft.risk,
        reversible=draft.reversible,
        saving=draft.saving,
        quality_note=draft.quality_note,
        undo_note=draft.undo_note,
        check=draft.check,
        lease_seconds=draft.lease_seconds,
        made_at=now,
        expires_at=expires_at,
        rank=rank,
    )


def _only_notes(actions: Sequence[Action]) -> bool:
    return all(action.kind == "notify" for action in actions)


def _with_dropped(proposal: Proposal, dropped: Sequence[str]) -> Proposal:
    if not dropped:
        return proposal
    note = f"{proposal.quality_note} Considered and not proposed: {'; '.join(dropped)}."
    return proposal.model_copy(update={"quality_note": note})
