"""Meeting a gateway: `connect litellm` reads its history and shows first findings; `guard keys` readies the guard."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Annotated

import typer

from agent.entrypoints.cmd_usage import tell_backtest
from agent.entrypoints.console import err, note, print_json, say
from agent.entrypoints.options import options, utc_now
from agent.entrypoints.views import backtest_document
from agent.guard import guard_signer
from agent.settings import Settings
from agent.stores import open_warehouse_at
from store.errors import BadInput
from store.model.ports import Warehouse
from store.model.usage import Intake, Quarantined, UsageRecord, Window, floor_to, iso
from store.prices import PriceBook, price, price_keys
from tools.actuators.signing import KEY_NAME
from tools.http import Host, NoAnswer, checked_url
from tools.sources.litellm_proxy import CANNOT_KNOW, Grain, History, ProxyHistory

HISTORY = timedelta(days=14)
"""Read before the days that are judged, to learn what is normal."""
_BATCH = 20_000
_SECONDS = 120.0
_MOST_BYTES = 512 * 2**20
_WORDS: dict[Grain, str] = {"calls": "single calls", "days": "daily sums by model and key", "totals": "daily totals"}
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    connect = typer.Typer(help="First findings from a gateway's own history.", no_args_is_help=True)
    connect.command("litellm")(connect_litellm)
    app.add_typer(connect, name="connect")
    guard = typer.Typer(help="The guard inside LiteLLM proxies.", no_args_is_help=True)
    guard.command("keys")(keys)
    app.add_typer(guard, name="guard")


def connect_litellm(
    context: typer.Context,
    read_only: Annotated[str, typer.Option("--read-only", metavar="URL", help="The proxy; it is only read.")],
    key: Annotated[
        str, typer.Option(envvar="BURSAR_LITELLM_KEY", help="A key that may read spend; better by the environment.")
    ],
    days: Annotated[int, typer.Option(min=1, max=365, help="How many days are judged.")] = 30,
    max_calls: Annotated[int, typer.Option(min=1_000, help="Read at most so many single calls.")] = 200_000,
    grain: Annotated[
        Grain | None, typer.Option(help="Read only this; default the finest that there is. days is quick.")
    ] = None,
    json_: Json = False,
) -> None:
    """Read a LiteLLM proxy's own history and print what Bursar would have found in it. Needs no plugin.

    Sends GET requests only. What was read stays in memory and is gone at the end, so that it cannot be counted twice
    beside the source that you set up later.
    """
    settings = options(context).settings
    try:
        host = Host(checked_url(read_only), bearer=key, seconds=_SECONDS, most_bytes=_MOST_BYTES)
    except ValueError as error:
        raise BadInput(f"--read-only: {error}") from error
    now = floor_to(utc_now(), 3600)
    judged = Window(start=now - timedelta(days=days), end=now)
    warehouse = open_warehouse_at(None, clock=utc_now)
    try:
        asked = Window(start=judged.start - HISTORY, end=judged.end)
        history = ProxyHistory(host, clock=utc_now, most_calls=max_calls).read(asked, grain=grain)
        intake = _fill(warehouse, history, settings)
        _look(warehouse, history, intake, judged, settings, json_=json_)
    except NoAnswer as error:
        raise BadInput(f"the proxy stopped answering: {error}; run it again, perhaps with fewer --days") from error
    finally:
        host.close()
        warehouse.close()


def _fill(warehouse: Warehouse, history: History, settings: Settings) -> Intake:
    book, intake, rows = PriceBook(settings.prices), Intake(), iter(history.rows)
    with err.status("reading") as status:
        while batch := list(islice(rows, _BATCH)):
            wrong = [row for row in batch if isinstance(row, Quarantined)]
            warehouse.quarantine(wrong)
            records = (row for row in batch if isinstance(row, UsageRecord))
            priced = list(records) if history.grain != "calls" else list(_priced(list(records), book))
            intake += warehouse.append(priced) + Intake(quarantined=len(wrong))
            status.update(f"{intake.total:,} rows read")
    warehouse.roll_up()
    return intake


def _priced(records: list[UsageRecord], book: PriceBook) -> Iterator[UsageRecord]:
    """At the price book's cost; a model that it does not know at LiteLLM's."""
    for record in price(records, book.table_for(price_keys(records))):
        yield record._replace(cost_nanos=record.billed_nanos) if record.cost_nanos is None else record


def _look(
    warehouse: Warehouse, history: History, intake: Intake, judged: Window, settings: Settings, *, json_: bool
) -> None:
    # Here, because the graphs take long to load, and this module is loaded for every command.
    from agent.backtest import backtest

    width = settings.detectors.bucket_seconds if history.grain == "calls" else 86_400
    detectors = settings.detectors.model_copy(update={"bucket_seconds": width})
    start, end = max(judged.start, history.window.start), min(judged.end, history.window.end)
    window = Window(start=floor_to(start, width), end=max(floor_to(start, width), floor_to(end, width)))
    with err.status("looking") as status:
        result = backtest(
            warehouse=warehouse,
            settings=settings.model_copy(update={"detectors": detectors}),
            window=window,
            step_seconds=width,
            progress=lambda at, n: status.update(f"looking at {iso(at)}: {n} incidents"),
        )
    if json_:
        about = {
            "grain": history.grain,
            "window": {"start": iso(window.start), "end": iso(window.end)},
            "cannot_know": list(CANNOT_KNOW[history.grain]),
            "notes": list(history.notes),
        }
        print_json({**about, **backtest_document(result), "records": intake.model_dump()})
        return
    say(f"read {intake.total:,} rows, {_WORDS[history.grain]}; judged {iso(window.start)} to {iso(window.end)}")
    _list("this history cannot show", CANNOT_KNOW[history.grain])
    for line in history.notes:
        note(f"note: {line}")
    tell_backtest(result)
    say("nothing was kept and nothing was changed; docs/connect-litellm.md says how to go on")


def _list(title: str, lines: Iterable[str]) -> None:
    say(f"{title}:")
    for line in lines:
        say(f"  - {line}")


def keys(context: typer.Context, json_: Json = False) -> None:
    """Show the public key that the guard needs; the private one is made at first use, for its owner only."""
    settings = options(context).settings
    signer = guard_signer(settings)
    named = settings.guard.private_key if settings.guard else None
    path = named or settings.data_dir / KEY_NAME
    if json_:
        print_json({"public_key": signer.public_key, "key_id": signer.key_id, "private_key": str(path)})
        return
    say(f"BURSAR_GUARD_PUBLIC_KEY={signer.public_key}")
    note(f"key {signer.key_id}; its private half is {path}, which must not leave this host")
