"""Usage in, and what Bursar would have made of it: ingest, backtest, prices."""

import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Protocol, TypedDict, runtime_checkable

import typer

from agent.entrypoints.cmd_quarantine import why
from agent.entrypoints.console import err, note, print_json, print_table, say
from agent.entrypoints.door import ServiceDoor
from agent.entrypoints.meter import Meter
from agent.entrypoints.options import ALL_TIME, moment, options, utc_now
from agent.entrypoints.price_changes import tell_changes
from agent.entrypoints.views import backtest_document
from agent.reconciling.value import models_of
from agent.settings import Settings
from agent.steps.collect import collect
from agent.steps.restate import Stating, restate
from agent.stores import open_warehouse_at
from store.errors import BadInput, Busy
from store.model.amendment import Amendment
from store.model.money import usd_text
from store.model.ports import Source, Warehouse
from store.model.usage import BillingMode, Intake, Role, Window, iso
from store.prices import PriceBook
from tools.sources.registry import SOURCES, SourceOptions, open_source

if TYPE_CHECKING:
    from agent.backtest import Backtest

_LOOKED_AT = 1_000
INTERRUPTED = 130
"""The exit code of a command that was interrupted, as shells have it."""

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(ingest)
    app.command("backtest")(run_backtest)
    app.command()(prices)


def ingest(
    context: typer.Context,
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help=" | ".join(sorted(SOURCES)))],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...")],
    map_: Annotated[Path | None, typer.Option("--map", help="The mapping file of a tabular source.")] = None,
    name: Annotated[str | None, typer.Option("--source", help="The instance's name; default the format.")] = None,
    role: Annotated[Role, typer.Option(help="metered, or reference: only compared with, never counted.")] = "metered",
    billing: Annotated[
        BillingMode, typer.Option("--billing-mode", help="otlp only: how it is paid; included is seats.")
    ] = "metered",
    json_: Json = False,
) -> None:
    """Read usage files into the warehouse; reading a file twice changes nothing. Works beside `bursar serve`."""
    opts = options(context)
    settings = opts.settings
    source = open_source(format_, SourceOptions(clock=utc_now, name=name, mapping=map_, billing_mode=billing))
    book = PriceBook(settings.prices)
    try:
        with opts.warehouse() as warehouse:
            withdrawn = _withdrawn(warehouse)
            try:
                intake = _collect(source, paths, warehouse, book, role, settings.amendment)
            finally:
                warehouse.roll_up()  # also of what was kept before the reading was interrupted or failed
            _say_why(intake, warehouse)
            if gone := _withdrawn(warehouse) - withdrawn:
                note(
                    f"{gone:,} rows of earlier statements of these periods are not in this one and count no more; "
                    "parts of one month belong into one command, or into one folder"
                )
    except Busy:
        note("another process holds the warehouse; handing the records to `bursar serve`")
        intake = _hand_over(source, paths, settings, book, role)
    if json_:
        print_json(intake.model_dump())
    else:
        say(f"{intake.total} rows: " + ", ".join(f"{n} {what}" for what, n in intake.model_dump().items()))
    if isinstance(source, Skips):
        for reason, rows in source.skipped.items():
            note(f"{rows} rows passed over: {reason}")
    if intake.total and intake.quarantined == intake.total:
        raise typer.Exit(1)  # nothing of it could be used: most likely another format


def _say_why(intake: Intake, warehouse: Warehouse) -> None:
    """Name the reason of most of the rows that were just kept out."""
    if intake.quarantined:
        reason = why(warehouse.quarantined(limit=min(intake.quarantined, _LOOKED_AT)))
        note(f"{intake.quarantined:,} rows are quarantined, most of them: {reason}; `bursar quarantine` lists them")


def _withdrawn(warehouse: Warehouse) -> int:
    return sum(one.withdrawn for one in warehouse.statements())


@runtime_checkable
class Skips(Protocol):
    """A source that passes over rows which are no usage, and counts them by reason."""

    skipped: Counter[str]


def _collect(
    source: Source, paths: list[Path], warehouse: Warehouse, book: PriceBook, role: Role, amendment: Amendment
) -> Intake:
    with err.status("reading") as status:
        meter = Meter(paths, seconds=monotonic, tell=status.update)
        given = _Given(
            paths=paths,
            warehouse=warehouse,
            prices=book,
            role=role,
            amendment=amendment,
            progress=meter.hear,
        )
        try:
            return restate(source=source, **given) if isinstance(source, Stating) else collect(source=source, **given)
        except KeyboardInterrupt:
            note(
                f"interrupted: {meter.intake.total:,} rows were read and are kept; run the same command again to read "
                "the rest: rows that are known are not counted twice"
            )
            raise typer.Exit(INTERRUPTED) from None


class _Given(TypedDict):
    """What both ways of reading are given."""

    paths: list[Path]
    warehouse: Warehouse
    prices: PriceBook
    role: Role
    amendment: Amendment
    progress: Callable[[Intake, int], None]


def _hand_over(source: Source, paths: list[Path], settings: Settings, book: PriceBook, role: Role) -> Intake:
    """Read into a warehouse of our own, and give the service its records as one snapshot."""
    door = ServiceDoor(settings.data_dir)
    door.exchange.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=door.exchange) as folder:
        mine = open_warehouse_at(Path(folder) / "ingest.duckdb", clock=utc_now)
        try:
            read = _collect(source, paths, mine, book, role, settings.amendment)
            _say_why(read, mine)
            # Of all times: spans and statements may lie outside of the records. The name is ours: others hand over too.
            written = mine.snapshot(ALL_TIME, Path(folder))
            snapshot = written.rename(door.exchange / f"{Path(folder).name}{written.suffix}")
            quarantined = mine.quarantined(limit=10_000)
        finally:
            mine.close()
    taken = door.append(snapshot, role=role, quarantined=quarantined)
    # What this reading already had twice, plus what the service already had.
    return Intake(
        accepted=taken.accepted,
        duplicate=read.duplicate + taken.duplicate,
        superseded=read.superseded + taken.superseded,
        quarantined=read.quarantined,
    )


def _span(warehouse: Warehouse) -> Window | None:
    known = [(s.first_at, s.last_at) for s in warehouse.sources() if s.first_at and s.last_at]
    if not known:
        return None
    return Window(start=min(first for first, _ in known), end=max(last for _, last in known) + timedelta(seconds=1))


def run_backtest(
    context: typer.Context,
    from_: Annotated[str | None, typer.Option("--from", help="ISO 8601; default the first record.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="ISO 8601; default the last record.")] = None,
    step: Annotated[
        str | None, typer.Option(help="How often it would have looked: 5m, 1h; default one bucket.")
    ] = None,
    json_: Json = False,
) -> None:
    """What Bursar would have caught, proposed and saved on recorded usage. Applies nothing; keeps no state."""
    # Here, because the graphs take a second to load and no other command needs them.
    from agent.backtest import backtest

    opts = options(context)
    with opts.reading() as warehouse:
        span = _span(warehouse)
        if span is None:
            raise BadInput("the warehouse is empty; fill it with `bursar ingest FORMAT PATH...`")
        window = Window(
            start=moment(from_, option="--from") if from_ else span.start,
            end=moment(to, option="--to") if to else span.end,
        )
        seconds = _duration(step) if step else opts.settings.detectors.bucket_seconds
        with err.status("replaying") as status:
            result = backtest(
                warehouse=warehouse,
                settings=opts.settings,
                window=window,
                step_seconds=seconds,
                progress=lambda at, n: status.update(f"{iso(at)}  {n} incidents"),
            )
    if json_:
        print_json(backtest_document(result))
    else:
        tell_backtest(result)


def tell_backtest(result: "Backtest") -> None:
    """A backtest for people: one line an incident, and the sum."""
    for trust in result.trust:
        say(f"trust: {trust.says}")
    rows = []
    for incident in result.incidents:
        finding = result.findings.get(incident.id)
        proposed = result.proposals.get(incident.id, [])
        best = proposed[0][0] if proposed else None
        rows.append(
            [
                iso(incident.started_at),
                incident.scope.text,
                usd_text(incident.excess_nanos),
                f"{finding.cause} {finding.confidence:.0%}" if finding else "",
                f"{best.playbook}, about {usd_text(best.saving.mid)} a day" if best else "nothing",
            ]
        )
    print_table(["started", "scope", "excess", "cause", "would propose"], rows, empty="no incidents")
    total = sum(i.excess_nanos for i in result.incidents)
    pace = f"{result.looks} looks in {result.seconds:.1f} s"
    say(f"{len(result.incidents)} incidents, {usd_text(total)} above the baseline; {pace}")


def _duration(text: str) -> int:
    units = {"m": 60, "h": 3600, "d": 86400}
    if text[:-1].isdecimal() and text[-1:] in units and int(text[:-1]) > 0:
        return int(text[:-1]) * units[text[-1]]
    raise BadInput(f"--step: {text!r}; write for instance 5m or 1h")


def prices(
    context: typer.Context,
    days: Annotated[int, typer.Option(help="How far back to look for models.")] = 30,
    changes: Annotated[bool, typer.Option("--changes", help="List the price changes of the models in use.")] = False,
    json_: Json = False,
) -> None:
    """List models that cost tokens and have no price: add an override for each under `prices:`."""
    opts, now = options(context), utc_now()
    with opts.reading() as warehouse:
        window = Window(start=now - timedelta(days=days), end=now)
        if changes:
            models = models_of(warehouse.cube(window, bucket_seconds=3600, dims=("provider", "model")))
            tell_changes(PriceBook(opts.settings.prices).table_for(models), window, json_=json_)
            return
        found = warehouse.unpriced(window)
    if json_:
        print_json([{"provider": p, "model": m, "records": n, "tokens": t} for p, m, n, t in found])
        return
    rows = [[provider, model, f"{records:,}", f"{tokens:,}"] for provider, model, records, tokens in found]
    print_table(["provider", "model", "records", "tokens"], rows, empty="every model has a price")
