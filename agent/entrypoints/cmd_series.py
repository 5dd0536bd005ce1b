"""`bursar series`: what is watched, what each series spends against its baseline, and where the month will end."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated

import typer

from agent.agreed import agreed_budgets
from agent.detectors.detect import detect
from agent.detectors.forecast import MIN_DAYS, PeriodEnd, period_end
from agent.detectors.pace import Burn, burn, standing
from agent.detectors.series import fold
from agent.detectors.settings import DetectorSettings
from agent.detectors.watched import Watched, watched
from agent.entrypoints.console import print_json, print_table, say
from agent.entrypoints.options import moment, options, utc_now
from store.model.budget import Budget, budgets_in_force, period_window
from store.model.money import NANOS_PER_USD
from store.model.ports import Warehouse
from store.model.usage import Window, floor_to, iso

_FORECAST_DAYS = 60


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(series)


def series(
    context: typer.Context,
    at: Annotated[str | None, typer.Option("--at", help="As of this time; default the newest data.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many series the table shows; --json has all.")] = 30,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List the series that are watched with baseline and spend, and forecast the month of each team and each budget."""
    opts = options(context)
    tuned = opts.settings.detectors
    with opts.ledger() as ledger:
        budgets = agreed_budgets(opts.settings, ledger)
    with opts.reading() as warehouse:
        until = floor_to(_newest(warehouse, moment(at, option="--at") if at else None), tuned.bucket_seconds)
        found = _watched(warehouse, until, tuned)
        months = _months(warehouse, until)
        paces = [_pace(warehouse, budget, until) for budget in budgets_in_force(budgets, until)]
    if json_:
        print_json(
            {
                "until": iso(until),
                "series": [_series_document(one) for one in found],
                "month_end": [_end_document(one) for one in months],
                "budgets": [_pace_document(*one) for one in paces],
            }
        )
        return
    _print(found[:top], len(found), months, paces, until)


def _newest(warehouse: Warehouse, at: datetime | None) -> datetime:
    """The end of the newest usage, so that a copy of old data is not read as silence."""
    if at is not None:
        return at
    newest = [state.last_at for state in warehouse.sources() if state.role == "metered" and state.last_at]
    return min(max(newest, default=utc_now()) + timedelta(hours=1), utc_now())


def _watched(warehouse: Warehouse, until: datetime, tuned: DetectorSettings) -> list[Watched]:
    start = floor_to(until, 86_400) - timedelta(days=tuned.history_days)
    cube = warehouse.cube(Window(start=start, end=until), bucket_seconds=tuned.bucket_seconds, dims=tuned.dims)
    return watched(cube, until=until, settings=tuned, spikes=detect(cube, until=until, settings=tuned))


def _months(warehouse: Warehouse, until: datetime) -> list[PeriodEnd]:
    """The total and every team at the end of this month, the largest first."""
    month = period_window("month", until)
    start = min(month.start, floor_to(until, 86_400) - timedelta(days=_FORECAST_DAYS))
    cube = warehouse.cube(Window(start=start, end=until), bucket_seconds=3600, dims=("team",))
    leaves = fold(cube, until=until, dims=("team",))
    ends = [
        end
        for group_by in ((), ("team",))
        if leaves.stack.shape[2]
        for end in period_end(leaves.by(group_by), period=month, until=floor_to(until, 3600))
    ]
    return sorted(ends, key=lambda end: (len(end.scope.dims), -end.spent, end.scope.dims))


def _pace(warehouse: Warehouse, budget: Budget, until: datetime) -> tuple[Budget, PeriodEnd, Burn]:
    period = budget.window(until)
    start = min(floor_to(period.start, 86_400), floor_to(until, 86_400) - timedelta(days=_FORECAST_DAYS))
    cube = warehouse.cube(Window(start=start, end=until), bucket_seconds=3600, dims=(), scope=budget.scope)
    usd = budget.usd_nanos / NANOS_PER_USD
    leaves = fold(cube, until=until, dims=())
    if not leaves.stack.size:
        nothing = PeriodEnd(budget.scope, 0.0, None, None, None)
        return budget, nothing, burn(leaves.stack.reshape(-1), budget_usd=usd, period_hours=period.seconds / 3600)
    one = leaves.by(())
    (end,) = period_end(one, period=period, until=floor_to(until, 3600))
    began = (int(period.start.timestamp()) - one.start_s) // 3600
    burning = burn(one.usd[0], budget_usd=usd, period_hours=period.seconds / 3600, from_hour=max(0, began))
    return budget, end._replace(scope=budget.scope), burning


def _print(
    found: Iterable[Watched],
    count: int,
    months: list[PeriodEnd],
    paces: list[tuple[Budget, PeriodEnd, Burn]],
    until: datetime,
) -> None:
    rows = [
        [
            one.scope.text,
            one.state,
            ", ".join(one.signals),
            _usd(one.bucket_usd),
            _usd(one.bucket_baseline_usd),
            _usd(one.day_usd),
            _usd(one.day_baseline_usd),
        ]
        for one in found
    ]
    columns = ["series", "state", "signals", "last bucket", "usual", "last 24 h", "usual"]
    print_table(columns, rows, empty="no usage yet")
    say(f"{len(rows)} of {count} series as of {iso(until)}, in USD; baselines are those of these hours of the week")
    ends = [[end.scope.text, _usd(end.spent), *_interval(end)] for end in months]
    if ends:
        say("")
        print_table(["month's end", "spent so far", "forecast", "8 of 10 times between"], ends, empty="")
    if any(end.mid is None for end in months):
        say(f"no forecast before {MIN_DAYS} whole days are known")
    if paces:
        say("")
        print_table(
            ["budget", "amount", "spent", "forecast", "8 of 10 times between", "standing", "burn rate 1 h, 6 h, 24 h"],
            [_pace_row(*one) for one in paces],
            empty="",
        )


def _pace_row(budget: Budget, end: PeriodEnd, burning: Burn) -> list[str]:
    usd = budget.usd_nanos / NANOS_PER_USD
    rates = ", ".join(f"{burning.rates[hours]:.1f}" for hours in (1, 6, 24)) + (" too fast" if burning.fast else "")
    return [budget.name, _usd(usd), _usd(end.spent), *_interval(end), standing(end, usd), rates]


def _interval(end: PeriodEnd) -> list[str]:
    return [_usd(end.mid), "" if end.low is None else f"{_usd(end.low)} to {_usd(end.high)}"]


def _usd(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def _cents(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _series_document(one: Watched) -> dict[str, object]:
    return {
        "scope": one.scope.as_dict(),
        "group_by": list(one.group_by),
        "first_seen": iso(one.first_seen),
        "state": one.state,
        "signals": list(one.signals),
        "last_bucket_usd": _cents(one.bucket_usd),
        "last_bucket_baseline_usd": _cents(one.bucket_baseline_usd),
        "last_24h_usd": _cents(one.day_usd),
        "last_24h_baseline_usd": _cents(one.day_baseline_usd),
        "rates": {name: {"now": _digits(rate.now), "usual": _digits(rate.usual)} for name, rate in one.rates.items()},
    }


def _end_document(end: PeriodEnd) -> dict[str, object]:
    interval = {"low": _cents(end.low), "mid": _cents(end.mid), "high": _cents(end.high)}
    return {"scope": end.scope.as_dict(), "spent_usd": _cents(end.spent), "forecast_usd": interval}


def _pace_document(budget: Budget, end: PeriodEnd, burning: Burn) -> dict[str, object]:
    usd = budget.usd_nanos / NANOS_PER_USD
    return {
        **_end_document(end),
        "budget": budget.name,
        "period": budget.period,
        "budget_usd": _cents(usd),
        "standing": standing(end, usd),
        "burn_rate": {f"{hours}h": round(rate, 3) for hours, rate in burning.rates.items()},
        "burns_too_fast": burning.fast,
    }
