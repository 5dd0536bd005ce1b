"""Rule: gather what the policy must know of a proposal at this moment, and ask it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from agent import policy as house_policy
from agent.policy import Phase, Policy, RulingFacts
from playbooks.playbook import RECORD_COLUMNS, rows_in
from store.model.incident import TrustNote
from store.model.ports import GatewayReader, Warehouse
from store.model.remedy import Proposal, Ruling
from store.model.usage import ALLOCATION_DIMENSIONS, RecordTable, Scope, Window

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ROW_LIMIT = 100_000
_SEEN_IN_RECORDS = frozenset({"unpriced", "zero_cost", "disagreement", "reported_twice", "late"})
"""Kinds of distrust that records themselves show: they count only where the target has such records."""


class Effects(Protocol):
    """What a ruling reads of the ledger."""

    def kill_switch(self) -> bool:
        """Whether it is on."""
        ...

    def effects_since(self, moment: datetime) -> list[tuple[datetime, str, Scope]]:
        """(when, remedy id, scope) of every intent to apply since then."""
        ...


def rule(
    *,
    proposal: Proposal,
    policy: Policy,
    ledger: Effects,
    warehouse: Warehouse,
    trust: Sequence[TrustNote],
    reader: GatewayReader | None,
    now: datetime,
    phase: Phase = "proposal",
) -> Ruling:
    """The policy's ruling with fresh facts; asked when a proposal is made, and again before it is applied."""
    facts = gather_facts(
        proposal=proposal, policy=policy, ledger=ledger, warehouse=warehouse, trust=trust, reader=reader, now=now
    )
    return house_policy.rule(proposal, policy, facts, now, phase=phase)


def gather_facts(
    *,
    proposal: Proposal,
    policy: Policy,
    ledger: Effects,
    warehouse: Warehouse,
    trust: Sequence[TrustNote],
    reader: GatewayReader | None,
    now: datetime,
) -> RulingFacts:
    """What is known of the proposal's scope: its traffic of the last day, effects, doubts, gateway, kill switch."""
    window = Window(start=now - DAY, end=now)
    records = warehouse.records(window, scope=proposal.scope, columns=RECORD_COLUMNS, limit=ROW_LIMIT)
    effects = ledger.effects_since(now - DAY)
    others = {scope for _, _, scope in effects if scope != proposal.scope}
    known_gateway = reader is not None and reader.name == proposal.gateway
    return RulingFacts(
        values={name: frozenset(map(str, records.column(name).tolist())) for name in ALLOCATION_DIMENSIONS},
        spend_nanos_per_day=_spend(records),
        attested_share=float((records.column("grade") == "attested").mean()) if records.rows else 0.0,
        effects_last_hour=sum(at >= now - HOUR for at, _, _ in effects),
        effects_last_day=len(effects),
        effects_in_scope_last_day=sum(scope.overlaps(proposal.scope) for _, _, scope in effects),
        scopes_last_day=len(others),
        trust=tuple(note for note in trust if _concerns(note, proposal.scope, records)),
        capabilities=reader.capabilities() if reader is not None and known_gateway else None,
        kill_switch=ledger.kill_switch(),
        touched=tuple(scope for scope in policy.never_touch if bool(rows_in(records, scope).any())),
    )


def _spend(records: RecordTable) -> int:
    """Nano-USD of the last day; where a row limit cut the day, the rest of it is taken to be like what is known."""
    spent = int(records.column("cost_nanos").sum()) if records.rows else 0
    if not records.cut:
        return spent
    covered = max(1, records.window.end_us - int(records.column("occurred_us")[0]))
    return spent * (records.window.end_us - records.window.start_us) // covered


def _concerns(note: TrustNote, scope: Scope, records: RecordTable) -> bool:
    if not note.scope.overlaps(scope):
        return False
    return note.kind not in _SEEN_IN_RECORDS or bool(rows_in(records, note.scope).any())
