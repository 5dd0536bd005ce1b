"""Hand-made records, prices and findings for the tests of playbooks, policy and their steps."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from playbooks.models import ALTERNATIVES
from playbooks.playbook import ProposalFacts
from store.model.incident import Cause, CauseScore, Evidence, Finding, Incident
from store.model.ports import Capabilities
from store.model.prices import Price, PriceKey, PriceTable, Rates
from store.model.usage import RecordTable, Scope, UsageRecord, Window, to_us

START = datetime(2026, 11, 2, 12, tzinfo=UTC)
WINDOW = Window(start=START, end=START + timedelta(hours=3))
REFERENCE = WINDOW.shifted(-timedelta(days=7))
NOW = WINDOW.end
SCOPE = Scope.of(team="search", app="indexer")
OPUS, SONNET, HAIKU = "claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"

EVERYTHING = Capabilities(
    handles=frozenset(
        {
            "set_model_alias",
            "set_rate_limit",
            "set_session_cap",
            "set_output_cap",
            "set_prompt_cache",
            "block_key",
            "notify",
        }
    ),
    readback=True,
    marker=True,
    cas=True,
    idempotency=True,
    probe=True,
    propagation_seconds=5,
)


def rates(usd_in: int, usd_out: int) -> Rates:
    """Anthropic's multipliers on whole dollars per million tokens."""
    return Rates(
        input_uncached=usd_in * 10**9,
        cache_read=usd_in * 10**8,
        cache_write_5m=usd_in * 125 * 10**7,
        cache_write_1h=usd_in * 2 * 10**9,
        output=usd_out * 10**9,
    )


def _price(usd_in: int, usd_out: int) -> tuple[Price, ...]:
    return (Price(effective_from=datetime(2025, 1, 1, tzinfo=UTC), rates=rates(usd_in, usd_out)),)


PRICES = PriceTable(
    prices={
        PriceKey("anthropic", OPUS): _price(5, 25),
        PriceKey("anthropic", SONNET): _price(3, 15),
        PriceKey("anthropic", HAIKU): _price(1, 5),
    }
)


def record(number: int, at: datetime, **more: Any) -> UsageRecord:
    """One priced request of search/indexer; `more` overrides any field."""
    made = UsageRecord(
        record_id=f"r{number}",
        source="gateway",
        observed_us=to_us(at),
        occurred_us=to_us(at),
        provider="anthropic",
        model=SONNET,
        requested_model=SONNET,
        team="search",
        app="indexer",
        environment="production",
        api_key_id="key-1",
        input_uncached=1000,
        output=100,
    )._replace(**more)
    return made if made.cost_nanos is not None else made._replace(cost_nanos=PRICES.cost(made))


def every(seconds: float, count: int, *, start: datetime = START, first: int = 0, **more: Any) -> list[UsageRecord]:
    """`count` requests, one each so many seconds."""
    return [record(first + i, start + timedelta(seconds=i * seconds), **more) for i in range(count)]


_AMOUNTS = {"observed_us", "occurred_us", "cost_nanos", "billed_nanos"}
_NUMBERS = _AMOUNTS | {name for name, value in UsageRecord._field_defaults.items() if isinstance(value, int)}


def _type(name: str) -> type:
    return np.int64 if name in _NUMBERS else object


def table(records: Iterable[UsageRecord], window: Window = WINDOW, scope: Scope = SCOPE) -> RecordTable:
    """The records as a warehouse hands them out: as columns, oldest first."""
    rows = sorted(records, key=lambda row: (row.occurred_us, row.record_id))
    columns: dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]] = {}
    for position, name in enumerate(UsageRecord._fields):
        values = [row[position] for row in rows]
        columns[name] = np.array([value or 0 for value in values] if name in _NUMBERS else values, dtype=_type(name))
    return RecordTable(window=window, scope=scope, columns=columns)


def finding(
    cause: Cause,
    confidence: float = 0.85,
    *,
    others: tuple[tuple[Cause, float], ...] = (),
    scope: Scope = SCOPE,
    focus: Scope = SCOPE,
    excess_nanos: int = 10**10,
    facts: dict[str, float | int | str | bool | None] | None = None,
    evidence: tuple[Scope, ...] = (),
) -> Finding:
    """A finding with one leading cause."""
    return Finding(
        incident_id="inc-1",
        revision=1,
        scope=scope,
        focus=focus,
        window=WINDOW,
        reference=REFERENCE,
        excess_nanos=excess_nanos,
        drivers=(),
        causes=(
            CauseScore(cause=cause, confidence=confidence),
            *(CauseScore(cause=name, confidence=value) for name, value in others),
        ),
        evidence=tuple(
            Evidence(id=f"e{i}", query="q", scope=seen, window=WINDOW, says="seen") for i, seen in enumerate(evidence)
        ),
        facts=facts or {},
    )


def incident() -> Incident:
    """The open incident of the finding."""
    return Incident(
        id="inc-1",
        scope=SCOPE,
        opened_at=START,
        started_at=START,
        seen_until=NOW,
        revised_at=START,
        excess_nanos=10**10,
        baseline_nanos=0,
        actual_nanos=10**10,
        revised_excess_nanos=10**10,
    )


def facts_of(
    records: Iterable[UsageRecord],
    reference: Iterable[UsageRecord] = (),
    *,
    scope: Scope = SCOPE,
    never_touch: tuple[Scope, ...] = (),
) -> ProposalFacts:
    """What `propose` would have fetched."""
    return ProposalFacts(
        records=table(records, WINDOW, scope),
        reference_records=table(reference, REFERENCE, scope),
        prices=PRICES,
        seconds=int(WINDOW.seconds),
        now=NOW,
        alternatives=ALTERNATIVES,
        gateway=EVERYTHING,
        never_touch=never_touch,
    )
