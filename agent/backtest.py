"""Backtest: the shipped service over recorded usage, with a throw-away ledger, no hands, nothing applied."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

from agent.app import assemble
from agent.reviewer import Reviewer
from agent.settings import Settings
from store.ledger.ledger import Ledger, open_ledger
from store.model.incident import Finding, Incident, TrustNote
from store.model.ports import Capabilities, Clock, Observed, Preview, Warehouse
from store.model.prices import PriceKey, PriceTable
from store.model.remedy import Action, ActionKind, Proposal, Ruling
from store.model.span import Span
from store.model.statement import Offer, StatementState
from store.model.usage import (
    TOTAL,
    Arrival,
    Cube,
    Expired,
    Intake,
    Quarantined,
    RecordTable,
    Role,
    Scope,
    SourceState,
    UsageRecord,
    Window,
)
from store.model.usage_batch import UsageBatch


@dataclass
class Backtest:
    """What Bursar would have caught and proposed; nouns as the ledger held them at the end, oldest incident first."""

    window: Window
    incidents: list[Incident] = field(default_factory=list)
    findings: dict[str, Finding] = field(default_factory=dict)
    proposals: dict[str, list[tuple[Proposal, Ruling | None]]] = field(default_factory=dict)
    trust: list[TrustNote] = field(default_factory=list)
    records: Intake = field(default_factory=Intake)
    looks: int = 0
    seconds: float = 0.0


def backtest(
    *,
    warehouse: Warehouse,
    settings: Settings,
    window: Window,
    step_seconds: int,
    progress: Callable[[datetime, int], None],
    reviewer_for: Callable[[Ledger, Clock], Reviewer] | None = None,
) -> Backtest:
    """Move a clock over the window step by step, and look as the live service would have looked.

    Earlier records serve as history. The live service waits for late data before it judges a bucket; here all
    data are in, so a bucket is judged at its end. No model is called unless a reviewer is handed in: a past month
    would cost what its incidents cost.
    """
    began, clock = time.perf_counter(), _Clock(window.start)
    ledger = open_ledger("sqlite://", clock=clock)
    alone = settings.model_copy(
        update={
            "sources": (),
            "reasoner": None,
            "schedule": settings.schedule.model_copy(update={"source_delay_seconds": 0}),
        }
    )
    reviewer = reviewer_for(ledger, clock) if reviewer_for else None
    bursar = assemble(
        alone,
        clock=clock,
        owner="backtest",
        ledger=ledger,
        warehouse=ReplayWarehouse(warehouse, window),
        reader=PaperGateway(),
        checkpointed=False,
        reviewer=reviewer,
    )
    result, trust = Backtest(window=window), dict[str, TrustNote]()
    while clock.now < window.end:
        clock.now = min(clock.now + timedelta(seconds=step_seconds), window.end)
        bursar.watch()
        bursar.run_cases()
        ledger.expire_due(clock.now)
        trust.update({f"{note.kind} {note.scope.text}": note for note in bursar.trust_notes})
        result.looks += 1
        progress(clock.now, len(ledger.incidents()))
    for incident in ledger.incidents(status="open"):
        bursar.settle(incident.id)
    _gather(result, ledger)
    result.records = warehouse.taken()
    result.trust = list(trust.values())
    ledger.close()
    if reviewer is not None:
        reviewer.close()
    result.seconds = time.perf_counter() - began
    return result


def _gather(result: Backtest, ledger: Ledger) -> None:
    for incident in sorted(ledger.incidents(), key=lambda found: (found.started_at, found.id)):
        result.incidents.append(incident)
        finding = ledger.finding(incident.id)
        if finding is not None:
            result.findings[incident.id] = finding
        for proposal in ledger.proposals(incident.id):
            rulings = [r for r in ledger.rulings(proposal.remedy_id) if r.revision == proposal.revision]
            result.proposals.setdefault(incident.id, []).append((proposal, rulings[-1] if rulings else None))


@dataclass
class _Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


class PaperGateway:
    """A gateway that could do everything and holds nothing: what would be proposed if there were one."""

    name = "paper"

    def capabilities(self) -> Capabilities:
        """All of them."""
        return Capabilities(
            handles=frozenset(get_args(ActionKind)),
            readback=True,
            marker=True,
            cas=True,
            idempotency=True,
            probe=True,
            propagation_seconds=0,
        )

    def observe(self, action: Action) -> Observed:  # noqa: ARG002 # the port names it
        """Nothing is set."""
        return Observed(value={}, marker=None, version=None)

    def preview(self, action: Action) -> Preview:
        """The value that would be set."""
        return Preview(before="not set", after=str(action.to))


class ReplayWarehouse:
    """A warehouse whose cubes are cut out of one read of the whole span, because a backtest asks at every step."""

    def __init__(self, inner: Warehouse, window: Window, history: timedelta = timedelta(days=36)) -> None:
        self._inner = inner
        self._span = Window(start=window.start - history, end=window.end)
        self._cubes: dict[tuple[object, ...], Cube] = {}

    def cube(
        self,
        window: Window,
        *,
        bucket_seconds: int,
        dims: Sequence[str],
        scope: Scope = TOTAL,
        role: Role = "metered",
    ) -> Cube:
        """As the warehouse's own, for windows inside the span; others are read."""
        if window.start < self._span.start or window.end > self._span.end:
            return self._inner.cube(window, bucket_seconds=bucket_seconds, dims=dims, scope=scope, role=role)
        key = (bucket_seconds, tuple(dims), scope, role)
        if key not in self._cubes:
            self._cubes[key] = self._inner.cube(
                self._span, bucket_seconds=bucket_seconds, dims=dims, scope=scope, role=role
            )
        return self._cubes[key].within(window)

    def records(
        self,
        window: Window,
        *,
        scope: Scope = TOTAL,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        role: Role = "metered",
    ) -> RecordTable:
        """As the warehouse's own."""
        return self._inner.records(window, scope=scope, columns=columns, limit=limit, role=role)

    def append(self, records: Sequence[UsageRecord] | UsageBatch, *, role: Role = "metered") -> Intake:
        """As the warehouse's own; a backtest never calls it."""
        return self._inner.append(records, role=role)

    def restate(
        self,
        offers: Sequence[Offer],
        batches: Iterable[tuple[Sequence[str], Sequence[UsageRecord]]],
        *,
        role: Role = "metered",
    ) -> Intake:
        """As the warehouse's own; a backtest never calls it."""
        return self._inner.restate(offers, batches, role=role)

    def statements(self) -> list[StatementState]:
        """As the warehouse's own."""
        return self._inner.statements()

    def pulls(self) -> dict[str, str]:
        """As the warehouse's own."""
        return self._inner.pulls()

    def keep_pull(self, source: str, body: str) -> None:
        """As the warehouse's own; a backtest never calls it."""
        self._inner.keep_pull(source, body)

    def quarantine(self, rows: Sequence[Quarantined]) -> None:
        """As the warehouse's own."""
        self._inner.quarantine(rows)

    def append_spans(self, found: Sequence[Span]) -> None:
        """As the warehouse's own; a backtest never calls it."""
        self._inner.append_spans(found)

    def spans(self, window: Window, *, scope: Scope = TOTAL, limit: int) -> list[Span]:
        """As the warehouse's own."""
        return self._inner.spans(window, scope=scope, limit=limit)

    def roll_up(self) -> Window | None:
        """As the warehouse's own."""
        return self._inner.roll_up()

    def sources(self) -> list[SourceState]:
        """As the warehouse's own."""
        return self._inner.sources()

    def arrivals(self, window: Window) -> list[Arrival]:
        """As the warehouse's own."""
        return self._inner.arrivals(window)

    def taken(self) -> Intake:
        """As the warehouse's own."""
        return self._inner.taken()

    def unpriced(self, window: Window) -> list[tuple[str, str, int, int]]:
        """As the warehouse's own."""
        return self._inner.unpriced(window)

    def quarantined(self, *, limit: int = 100) -> list[Quarantined]:
        """As the warehouse's own."""
        return self._inner.quarantined(limit=limit)

    def snapshot(self, window: Window, folder: Path) -> Path:
        """As the warehouse's own."""
        return self._inner.snapshot(window, folder)

    def load_snapshot(self, path: Path) -> Intake:
        """As the warehouse's own."""
        return self._inner.load_snapshot(path)

    def expire(self, *, records_before: datetime, fine_before: datetime, coarse_before: datetime) -> Expired:
        """As the warehouse's own; a backtest never calls it."""
        return self._inner.expire(records_before=records_before, fine_before=fine_before, coarse_before=coarse_before)

    def reprice(self, table_for: Callable[[Iterable[PriceKey]], PriceTable]) -> int:
        """As the warehouse's own."""
        return self._inner.reprice(table_for)

    def close(self) -> None:
        """The inner warehouse is closed by whoever opened it."""
