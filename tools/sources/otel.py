"""OpenTelemetry: OTLP/JSON exports of traces and logs. Spans of model calls, agents and tools; coding agents' events.

Source: opentelemetry-proto (JSON mapping); the names of attributes are in tools.sources.otel_spans and coding_agents.
Grade: claimed, because whoever holds the exporter's endpoint can write what it likes.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from store.model.ports import Clock
from store.model.usage import BillingMode, UsageRecord
from tools.sources.coding_agents import record_of_event
from tools.sources.documents import Broken, DocumentSource, Object, Skipped, Traced, listed
from tools.sources.fields import Faulty
from tools.sources.steps import traced


class _Signal(NamedTuple):
    key: str
    scopes: tuple[str, ...]
    rows: str


_SIGNALS = (
    _Signal("resourceSpans", ("scopeSpans", "instrumentationLibrarySpans"), "spans"),
    _Signal("resourceLogs", ("scopeLogs", "instrumentationLibraryLogs"), "logRecords"),
)
_KEPT_IN_QUARANTINE = (
    *("traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "observedTimeUnixNano"),
    *("event.name", "event.timestamp", "event.sequence", "session.id", "conversation.id", "gen_ai.conversation.id"),
    *("gen_ai.response.id", "gen_ai.request.model", "gen_ai.response.model", "model", "llm.model_name"),
)


def open_otlp(*, name: str, clock: Clock, billing_mode: BillingMode = "metered") -> DocumentSource:
    """OTLP/JSON files: JSON lines (one export a line, as the collector's file exporter writes) or one document.

    `billing_mode` is how the coding agents' usage is paid: `included` for seats. Spans are always metered.
    """
    return DocumentSource(
        name=name, clock=clock, unfold=_unfold, record=partial(_record, billing_mode=billing_mode), shown=_shown
    )


def _unfold(document: Object) -> Iterator[Object | Broken]:
    """Each span and log record, with its `kind` and its `resource` beside its own fields."""
    known = [signal for signal in _SIGNALS if signal.key in document]
    if not known and "resourceMetrics" not in document:
        yield Broken("not an OTLP export: no resourceSpans, no resourceLogs", ", ".join(sorted(document)[:10]))
    if "resourceMetrics" in document:
        yield {"kind": "metrics"}
    for signal in known:
        for group in listed(document, signal.key):
            if isinstance(group, Broken):
                yield group
            else:
                yield from _rows_of(group, signal)


def _rows_of(group: Object, signal: _Signal) -> Iterator[Object | Broken]:
    resource = group.get("resource")
    for scopes in signal.scopes:
        for scope in listed(group, scopes):
            if isinstance(scope, Broken):
                yield scope
                continue
            for row in listed(scope, signal.rows):
                if isinstance(row, Broken):
                    yield row
                else:
                    yield {**row, "kind": signal.rows, "resource": resource if isinstance(resource, dict) else {}}


def _record(row: Object, source: str, observed_us: int, *, billing_mode: BillingMode) -> UsageRecord | Skipped | Traced:
    if row["kind"] == "metrics":
        return Skipped("metrics: they repeat what spans and events say")
    flat = {**row, "attributes": _flat(row), "resource": _flat(row["resource"])}
    if row["kind"] == "spans":
        span, usage = traced(flat, source, observed_us)
        return usage if span is None else Traced(span, usage)
    return record_of_event(flat, source, observed_us, billing_mode)


def _flat(holder: object) -> Object:
    """The attributes of a span, a log record or a resource as {name: value}."""
    found: Object = {}
    for pair in listed(holder if isinstance(holder, dict) else {}, "attributes"):
        if isinstance(pair, Broken):
            raise Faulty(pair.reason)
        found[str(pair.get("key"))] = value_of(pair.get("value"))
    return found


def value_of(value: object) -> object:
    """An OTLP AnyValue as text, number, boolean or list; a 64-bit number stays the text that JSON has it as."""
    if not isinstance(value, dict):
        return None
    kind, content = next(iter(value.items()), ("", None))
    if kind == "arrayValue" and isinstance(content, dict):
        return [value_of(element) for element in listed(content, "values") if isinstance(element, dict)]
    return content


def _shown(row: Object) -> object:
    shown = {name: row[name] for name in _KEPT_IN_QUARANTINE if name in row}
    try:
        attributes = _flat(row)
    except Faulty:
        return shown
    kept = {name: value for name, value in attributes.items() if name in _KEPT_IN_QUARANTINE or "token" in name}
    return {**shown, **kept}
