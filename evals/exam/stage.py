"""Builds what a case is played on: a small company's records before and after the onset, with the fault and without."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zlib import crc32

from evals.exam.case import Case
from evals.exam.money import billed, dearer, inflated, partly_free, priced
from evals.world.catalogue import COMPANY
from evals.world.company import AppSpec
from evals.world.faults.fault import Fault
from evals.world.faults.launch import Launch
from evals.world.world import World
from store.model.prices import PriceKey
from store.model.usage import Scope, UsageRecord, Window
from store.price_overrides import Override
from store.prices import PriceBook

MONDAY = datetime(2026, 10, 5, tzinfo=UTC)
HISTORY = timedelta(days=14)
LOOK_BEFORE = timedelta(hours=2)
# Apps that the seeded company lacks and some patterns need: long prompts, a fast model, caches that are met again late.
OWN_APPS = (
    AppSpec("legal", "archive-reader", "claude-sonnet-4-5", 14, users=12, input_median=160_000, input_sigma=0.07,
            output_median=900, burst=20),
    AppSpec("devtools", "planner", "claude-opus-4-6", 40, users=30, input_median=5000, input_sigma=0.35,
            output_median=900, burst=25),
    AppSpec("people", "rulebook", "claude-sonnet-4-5", 9, users=40, prefix_tokens=150_000, caching="1h",
            input_median=800, output_median=300, burst=20),
    AppSpec("legal", "case-notes", "claude-sonnet-4-5", 8, users=15, prefix_tokens=170_000, caching="1h",
            input_median=1200, output_median=400, burst=20),
)  # fmt: skip
NEIGHBOURS = ("policy-bot", "redactor", "ledger-copilot", "contract-review")
BATCH = "newsletter"
NOISE = 4.0


@dataclass(frozen=True)
class Staged:
    """One case at one seed. Records are oldest first; `after` and `clean_after` begin at the onset."""

    case: Case
    seed: int
    victim: AppSpec
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


def stage(case: Case, seed: int, *, history_length: timedelta = HISTORY) -> Staged:
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
    history = clean.traffic(Window(start=onset - history_length, end=onset))
    clean_after = clean.traffic(window)
    prices: tuple[Override, ...] = ()
    if fault is not None:
        faulty = World(seed=seed, faults=[*company.faults, fault], company=company.apps, prices=table)
        after = faulty.traffic(window)
    elif pattern.money == "dearer":
        prices = (dearer(PriceKey(victim.provider, victim.model), onset, case.size),)
        after = priced(clean_after, PriceBook(prices).table_for(keys))
    elif pattern.money == "free":
        after = partly_free(clean_after, victim.model, case.size)
    else:
        history, clean_after = billed(history), billed(clean_after)
        after = inflated(clean_after, victim.model, case.size)
    by_model = pattern.fault is None
    return Staged(
        case=case,
        seed=seed,
        victim=next(app for app in company.apps if app.name == victim.name),
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
        # Of another app, and of another model where it is the model's money that changes.
        first = victim.name != "contract-review" and case.pattern.fault is not None
        name = "contract-review" if first else "ledger-copilot"
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
    return next(app for app in (*COMPANY, *OWN_APPS) if app.name == name)
