"""Builds what a case is played on: a small company's records before and after the onset, with the fault and without."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from zlib import crc32

from evals.exam.case import Case
from evals.world.catalogue import COMPANY
from evals.world.company import AppSpec
from evals.world.faults.fault import Fault
from evals.world.faults.launch import Launch
from evals.world.world import World
from store.errors import BadInput
from store.model.money import NANOS_PER_USD
from store.model.prices import PriceKey
from store.model.usage import Scope, UsageRecord, Window
from store.price_overrides import Override, UsdPerMillion
from store.prices import PriceBook

MONDAY = datetime(2026, 10, 5, tzinfo=UTC)
HISTORY = timedelta(days=14)
LOOK_BEFORE = timedelta(hours=2)
NEIGHBOURS = ("policy-bot", "redactor", "ledger-copilot", "contract-review")
BATCH = "newsletter"
NOISE = 4.0


@dataclass(frozen=True)
class Staged:
    """One case at one seed. Records are oldest first; `after` and `clean_after` begin at the onset."""

    case: Case
    seed: int
    scope: Scope
    """Where it truly is."""
    look: Window
    """When the service looks; it has all that came before as history."""
    onset: datetime
    history: Sequence[UsageRecord]
    after: Sequence[UsageRecord]
    clean_after: Sequence[UsageRecord]
    prices: tuple[Override, ...]
    others: tuple[Scope, ...]
    """Where something else rises for good reason: no incident there is a false alarm."""


class _Company(NamedTuple):
    apps: tuple[AppSpec, ...]
    faults: tuple[Fault, ...]
    """The confounder's."""
    others: tuple[Scope, ...]


def stage(case: Case, seed: int) -> Staged:
    """Make the records of one case at one seed; the same arguments give the same records."""
    pattern = case.pattern
    victim = _app(pattern.apps[seed % len(pattern.apps)])
    # Tuesday to Thursday, up to two hours later: the same case meets another moment at each seed.
    onset = MONDAY + HISTORY + timedelta(days=1 + seed % 3, hours=pattern.begins + crc32(b"%d" % seed) % 3)
    window = Window(start=onset, end=onset + timedelta(hours=pattern.hours))
    company = _company(case, victim, window)
    fault = pattern.fault(victim.name, window, case.size) if pattern.fault else None
    keys = World(seed=seed, faults=[fault] if fault else [], company=company.apps).price_keys
    table = PriceBook().table_for(keys)
    clean = World(seed=seed, faults=company.faults, company=company.apps, prices=table)
    history = clean.traffic(Window(start=onset - HISTORY, end=onset))
    clean_after = clean.traffic(window)
    after, prices = clean_after, tuple[Override, ...]()
    if fault is not None:
        after = World(
            seed=seed, faults=[*company.faults, fault], company=company.apps, prices=table
        ).traffic(window)
    elif pattern.money == "dearer":
        prices = (_dearer(PriceKey(victim.provider, victim.model), onset, case.size),)
        table = PriceBook(prices).table_for(keys)
        after = [record._replace(cost_nanos=table.cost(record)) for record in clean_after]
    elif pattern.money == "free":
        after = [_free(record, victim.model, case.size) for record in clean_after]
    else:
        history, clean_after = _billed(history), _billed(clean_after)
        after = [_inflated(record, victim.model, case.size) for record in clean_after]
    by_model = pattern.fault is None
    return Staged(
        case=case,
        seed=seed,
        scope=Scope.of(provider=victim.provider, model=victim.model) if by_model else victim.scope,
        look=Window(start=onset - LOOK_BEFORE, end=window.end),
        onset=onset,
        history=history,
        after=after,
        clean_after=clean_after,
        prices=prices,
        others=company.others,
    )


def _company(case: Case, victim: AppSpec, window: Window) -> _Company:
    if case.confounder == "noise":
        victim = replace(victim, burst=victim.burst / NOISE)
    apps = {app.name: app for app in (victim, *(_app(name) for name in NEIGHBOURS if name != victim.name))}
    if case.confounder == "launch":
        name = next(one for one in ("contract-review", "ledger-copilot") if one != victim.name)
        launch = Launch(name, window, growth=3.0)
        return _Company(tuple(apps.values()), (launch,), (apps[name].scope,))
    if case.confounder == "weekly":
        batch = replace(_app(BATCH), rhythm="global", weekend=1.0, peak=2.0)
        length = timedelta(hours=4)
        runs = [window.start - timedelta(weeks=weeks) for weeks in (2, 1, 0)]
        faults = tuple(Launch(BATCH, Window(start=at, end=at + length), growth=250.0, ramp_hours=0.1) for at in runs)
        return _Company((*apps.values(), batch), faults, ())
    return _Company(tuple(apps.values()), (), ())


def _app(name: str) -> AppSpec:
    return next(app for app in COMPANY if app.name == name)


def _dearer(key: PriceKey, onset: datetime, factor: float) -> Override:
    price = PriceBook().table_for([key]).price_at(key, int(onset.timestamp() * 1e6))
    if price is None:
        raise BadInput(f"{key.model} has no list price that could rise; give the pattern another app")
    read, write_5m, write_1h = (
        _usd(nanos, factor) for nanos in (price.rates.cache_read, price.rates.cache_write_5m, price.rates.cache_write_1h)
    )
    rates = UsdPerMillion(
        input=_usd(price.rates.input_uncached, factor),
        output=_usd(price.rates.output, factor),
        cache_read=read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
    )
    return Override(provider=key.provider, model=key.model, effective_from=onset, usd_per_million=rates)


def _usd(nanos: int, factor: float) -> Decimal:
    return Decimal(nanos) * Decimal(str(factor)) / NANOS_PER_USD


def _free(record: UsageRecord, model: str, share: float) -> UsageRecord:
    hit = record.model == model and crc32(record.record_id.encode()) % 1000 < 1000 * share
    return record._replace(cost_nanos=0) if hit else record


def _billed(records: Sequence[UsageRecord]) -> list[UsageRecord]:
    return [record._replace(billed_nanos=record.cost_nanos) for record in records]


def _inflated(record: UsageRecord, model: str, factor: float) -> UsageRecord:
    if record.model != model or record.cost_nanos is None:
        return record
    return record._replace(cost_nanos=round(record.cost_nanos * factor))
