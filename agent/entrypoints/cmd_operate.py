"""Running Bursar: init, check, status, serve."""

import os
import socket as sockets
import uuid
from pathlib import Path
from typing import Annotated

import typer

from agent.entrypoints.admins import admin_states
from agent.entrypoints.console import note, print_json, print_table, say
from agent.entrypoints.options import Options, options, utc_now
from agent.entrypoints.proxies import guard_document, guard_lines, guard_state
from agent.entrypoints.standing import standing, standing_lines
from agent.settings import Loaded
from store.errors import BadInput
from store.ledger.ledger import Ledger
from store.ledger.lock import lock_data_dir
from store.model.money import usd_number, usd_text
from store.model.usage import iso
from tools.slack.calls import ping as ping_slack

EXAMPLE = Path(__file__).parents[2] / "bursar.example.yaml"
"""Bursar runs from its checkout; the example lies at its top."""

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(init)
    app.command()(check)
    app.command()(status)
    app.command()(serve)


def init(path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("bursar.yaml")) -> None:
    """Write a configuration file to begin with; never overwrites one."""
    if path.exists():
        raise BadInput(f"{path}: exists already; edit it, or name another file")
    path.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    say(f"wrote {path}; look at it, then run `bursar check`")


def check(
    context: typer.Context,
    online: Annotated[bool, typer.Option("--online", help="Also open and ping every part.")] = False,
    json_: Json = False,
) -> None:
    """Show the configuration as it resolves and where each value comes from; with --online ping every part."""
    opts = options(context)
    loaded = opts.load()
    parts = _ping(opts) if online else []
    if json_:
        print_json(
            {
                "settings": _hidden(loaded),
                "origin": loaded.origin,
                "parts": [{"part": part, "state": state} for part, state in parts],
            }
        )
    else:
        rows = [[key, value, loaded.origin.get(key, "default")] for key, value in _leaves(_hidden(loaded))]
        print_table(["setting", "value", "from"], rows, empty="")
        print_table(["part", "state"], [[part, state] for part, state in parts], empty="")
    if any(not state.startswith("ok") for _, state in parts):
        raise typer.Exit(1)


def _hidden(loaded: Loaded) -> dict[str, object]:
    """The settings as JSON, a value that came from the environment replaced by its name."""
    tree: dict[str, object] = loaded.settings.model_dump(mode="json")
    for key, origin in loaded.origin.items():
        if origin.startswith("${"):
            _replace(tree, key.replace("[", ".").replace("]", "").split("."), origin)
    return tree


def _replace(tree: object, path: list[str], value: str) -> None:
    for part in path[:-1]:
        tree = tree[int(part)] if isinstance(tree, list) else tree[part] if isinstance(tree, dict) else None
    if isinstance(tree, dict):
        tree[path[-1]] = value
    elif isinstance(tree, list):
        tree[int(path[-1])] = value


def _leaves(tree: object, key: str = "") -> list[tuple[str, str]]:
    if isinstance(tree, dict):
        return [leaf for k, v in tree.items() for leaf in _leaves(v, f"{key}.{k}" if key else str(k))]
    if isinstance(tree, list):
        return [leaf for i, v in enumerate(tree) for leaf in _leaves(v, f"{key}[{i}]")]
    return [(key, "" if tree is None else str(tree))]


def _ping(opts: Options) -> list[tuple[str, str]]:
    # Here and in `status`, because other commands need not wait for what pulls APIs.
    from agent.entrypoints.pull_views import pings
    from agent.reviewer import reviewer_state
    from store.prices import PriceBook

    parts: list[tuple[str, str]] = []
    settings = opts.settings
    with opts.ledger() as ledger:
        ledger.ping()
        parts.append(("ledger", "ok"))
        guard = guard_state(settings, ledger=ledger, now=utc_now())
        reasoner = reviewer_state(settings, ledger=ledger, prices=PriceBook(settings.prices), clock=utc_now)
    with opts.reading() as warehouse:
        parts.append(("warehouse", f"ok, {sum(state.records for state in warehouse.sources()):,} records"))
    parts.extend(pings(settings.sources, clock=utc_now))
    for source in (one for one in settings.sources if one.pull is None):
        found = [path for pattern in source.paths for path in Path().glob(pattern)] + [
            Path(p) for p in source.paths if Path(p).is_file()
        ]
        parts.append(
            (
                f"source {source.name}",
                f"ok, {len(set(found))} files" if found else f"no file matches {', '.join(source.paths)}",
            )
        )
    if guard is not None:
        parts.append(("guard", guard))
    parts.extend(admin_states(settings))
    if reasoner is not None:
        parts.append(("reasoner", reasoner))
    if settings.slack is not None:
        parts.append(("slack", ping_slack(settings.slack)))
    return parts


def status(context: typer.Context, json_: Json = False) -> None:
    """Say what is open, what waits for whom, how old the data are, and what is spent per hour."""
    from agent.entrypoints.pull_views import periods_document, pulls_document

    opts = options(context)
    with opts.ledger() as ledger, opts.reading() as warehouse:
        now = utc_now()
        sources = warehouse.sources()
        guard = guard_document(opts.settings, ledger=ledger, now=now)
        document: dict[str, object] = {
            "now": iso(now),
            "mode": opts.settings.policy.mode,
            "kill_switch": ledger.kill_switch(),
            "sources": [
                {
                    "source": s.source,
                    "role": s.role,
                    "records": s.records,
                    "last_at": iso(s.last_at) if s.last_at else None,
                }
                for s in sources
            ],
            "pulls": pulls_document(opts.settings, warehouse),
            "restated": periods_document(warehouse),
            "open_incidents": _open(ledger),
            "waiting": [
                {"remedy": f"{r.remedy_id}@{r.revision}", "for": list(_approvers(ledger, r.remedy_id))}
                for r in ledger.remedies(states={"pending"})
            ],
            "in_force": [
                r.remedy_id for r in ledger.remedies(states={"verifying", "kept", "unknown", "applying", "reverting"})
            ],
            "paging": [r.remedy_id for r in ledger.remedies(states={"paging"})],
            "guard": guard,
            **standing(opts.settings, ledger=ledger, warehouse=warehouse, now=now),
        }
    if json_:
        print_json(document)
        return
    for key, value in {**document, "guard": guard_lines(guard), **standing_lines(document)}.items():
        shown = value if isinstance(value, list) else [value]
        say(f"{key}: " + ("; ".join(_line(item) for item in shown) or "none"))


def _line(item: object) -> str:
    return " ".join(f"{k}={v}" for k, v in item.items()) if isinstance(item, dict) else str(item)


def _open(ledger: Ledger) -> list[dict[str, object]]:
    return [
        {
            "id": i.id,
            "scope": i.scope.text,
            "since": iso(i.started_at),
            "excess_usd": usd_number(i.excess_nanos),
            "excess": usd_text(i.excess_nanos),
        }
        for i in ledger.incidents(status="open")
    ]


def _approvers(ledger: Ledger, remedy_id: str) -> tuple[str, ...]:
    rulings = [ruling for ruling in ledger.rulings(remedy_id) if ruling.phase == "proposal"]
    return rulings[-1].approvers if rulings else ()


def serve(context: typer.Context) -> None:
    """Run the service: look every minute, investigate, ask, apply what was decided, verify, report weekly."""
    # Here, because the graphs and the web server take a second to load and no other command needs them.
    from agent.app import assemble
    from agent.entrypoints.service import Service
    from agent.failpoints import from_environment
    from agent.walk import Pace

    settings = options(context).settings
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with lock_data_dir(settings.data_dir):
        # A random part in the name: host and process id come again after a restart, a lease of theirs must not.
        owner = f"{sockets.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        pace = Pace(
            lease_seconds=settings.schedule.claim_seconds,
            retry_seconds=settings.schedule.retry_seconds,
            data_delay_seconds=settings.schedule.source_delay_seconds,
        )
        # A failpoint is for tests that kill the service; without its variable there is none.
        failpoint = from_environment(os.environ)
        bursar = assemble(settings, clock=utc_now, owner=owner, pace=pace, failpoint=failpoint)
        try:
            Service(bursar).run(say=note)
        finally:
            bursar.close()
