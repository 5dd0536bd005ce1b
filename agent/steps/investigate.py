"""Investigate an incident: fetch what is known about it, and find out why it happened."""

from collections.abc import Callable
from datetime import datetime, timedelta

from agent.analyst.analyse import analyse
from agent.analyst.case import (
    BUCKET_SECONDS,
    CaseData,
    KeyPast,
    Reference,
    Seen,
    choose_reference,
    hours_before,
    incident_window,
    weeks_before,
)
from agent.analyst.scopes import comparable, narrowed, rising_key
from agent.reasoning.review import Review
from store.model.incident import Finding, Incident
from store.model.ports import Warehouse
from store.model.prices import PriceKey
from store.model.usage import Cube, RecordTable, Scope, Window, floor_to
from tools.queries.cache import cache
from tools.queries.changes import changes
from tools.queries.keys import keys
from tools.queries.mix import mix
from tools.queries.prices import PriceTableFor, prices
from tools.queries.spend import spend
from tools.queries.steps import SPAN_LIMIT, steps
from tools.queries.traces import CALL_LIMIT, traces
from tools.queries.users import USER_LIMIT, users
from tools.reasoner.inquiry import Inquiry, Opinion

KEY_PAST = timedelta(days=14)

Reasoner = Callable[[Inquiry], Opinion]
"""Looks at the analyst's finding again by read-only questions; where it fails, the analyst's answer stands."""


def investigate(
    *,
    incident: Incident,
    warehouse: Warehouse,
    price_table_for: PriceTableFor,
    now: datetime,
    reasoner: Reasoner | None = None,
) -> Finding:
    """Find out why an incident's scope spends more than it should, by read-only queries.

    `now` cuts off what came later: of an incident that goes on beyond it, no bucket that was not over by then is read.

    Raises:
        BadInput: the warehouse cannot answer for the incident's scope.
        StorageFailed: the warehouse cannot be read.
    """
    case = gather(incident=incident, warehouse=warehouse, price_table_for=price_table_for, now=now)
    finding = analyse(case)
    if reasoner is None:
        return finding
    review = Review(case, finding, warehouse=warehouse, price_table_for=price_table_for)
    return review.conclude(reasoner(review.inquiry()))


def gather(*, incident: Incident, warehouse: Warehouse, price_table_for: PriceTableFor, now: datetime) -> CaseData:
    """Fetch all that the analyst looks at; each question is limited in rows."""
    window, known_until = incident_window(incident), floor_to(now, BUCKET_SECONDS)
    # An incident that was seen up to `now` is read whole: in buckets of a minute its end lies within one of ours.
    if now < incident.window.end and window.start < known_until < window.end:
        window = Window(start=window.start, end=known_until)
    reference = _reference(incident, window, warehouse)
    spend_seen = _seen(window, reference, lambda w: spend(warehouse, scope=incident.scope, window=w).need())
    wide = comparable(incident.scope)
    wide_seen = (
        spend_seen
        if wide == incident.scope
        else _seen(window, reference, lambda w: spend(warehouse, scope=wide, window=w).need())
    )
    core = narrowed(wide, wide_seen.now, wide_seen.before, scale=reference.scale)
    core_seen = _within(wide_seen, core, wide)
    parts = max(1, len(reference.windows))
    return CaseData(
        incident=incident,
        window=window,
        reference=reference,
        core=core,
        spend=spend_seen,
        wide=wide_seen,
        core_spend=core_seen,
        mix=_seen(window, reference, lambda w: mix(warehouse, scope=core, window=w).need()),
        cache=_seen(window, reference, lambda w: cache(warehouse, scope=core, window=w).need()),
        calls=Seen(
            traces(warehouse, scope=core, window=window).need(),
            _calls_before(warehouse, core, reference, CALL_LIMIT // parts),
        ),
        users=Seen(
            users(warehouse, scope=core, window=window).need(),
            tuple(users(warehouse, scope=core, window=w, limit=USER_LIMIT // parts).need() for w in reference.windows),
        ),
        key=_key_past(core_seen, reference, window, warehouse),
        changes=changes(warehouse, scope=core, window=window).need(),
        prices=prices(price_table_for, models=_models(wide_seen), scope=core, window=window).need(),
        steps=Seen(
            steps(warehouse, scope=core, window=window).need(),
            tuple(steps(warehouse, scope=core, window=w, limit=SPAN_LIMIT // parts).need() for w in reference.windows),
        ),
    )


def _reference(incident: Incident, window: Window, warehouse: Warehouse) -> Reference:
    first_at = min((s.first_at for s in warehouse.sources() if s.role == "metered" and s.first_at), default=None)
    weeks = [
        (w, spend(warehouse, scope=incident.scope, window=w, dims=()).need().total("cost_nanos"))
        for w in weeks_before(window, first_at)
    ]
    return choose_reference(
        window, weeks=weeks, hours=hours_before(window, first_at), baseline_nanos=incident.baseline_nanos
    )


def _seen(window: Window, reference: Reference, fetch: Callable[[Window], Cube]) -> Seen[Cube]:
    return Seen(fetch(window), tuple(fetch(w) for w in reference.windows))


def _within(seen: Seen[Cube], core: Scope, wide: Scope) -> Seen[Cube]:
    new = Scope.of({name: value for name, value in core.dims if wide.get(name) is None})
    return Seen(seen.now.take(seen.now.mask(new)), tuple(cube.take(cube.mask(new)) for cube in seen.before))


def _calls_before(warehouse: Warehouse, core: Scope, reference: Reference, limit: int) -> tuple[RecordTable, ...]:
    return tuple(traces(warehouse, scope=core, window=w, limit=limit).need() for w in reference.windows)


def _key_past(seen: Seen[Cube], reference: Reference, window: Window, warehouse: Warehouse) -> KeyPast | None:
    key = rising_key(seen.now, seen.before, scale=reference.scale)
    if key is None:
        return None
    # Whole hours only: the hour in which the incident began is not the past.
    before = floor_to(window.start, 3600)
    past = Window(start=before - KEY_PAST, end=before)
    used = keys(warehouse, api_key_id=key, window=past).need()
    return KeyPast(api_key_id=key, window=past, hours=used.hours, calls=used.calls)


def _models(seen: Seen[Cube]) -> set[PriceKey]:
    return {
        PriceKey(cube.values["provider"][p], cube.values["model"][m])
        for cube in (seen.now, *seen.before)
        for p, m in set(zip(cube.codes["provider"].tolist(), cube.codes["model"].tolist(), strict=True))
    }
