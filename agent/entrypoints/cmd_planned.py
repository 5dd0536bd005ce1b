"""`bursar planned`: spend that people expect, so that it is shown and not acted upon until the entry expires."""

import getpass
from datetime import timedelta
from typing import Annotated

import typer
from pydantic import ValidationError

from agent.detectors.settings import PlannedEvent
from agent.entrypoints.console import note, print_json, print_table, say
from agent.entrypoints.options import moment, options, utc_now
from store.errors import BadInput
from store.ledger.ledger import Ledger
from store.model.expected import Expected
from store.model.usage import Scope, Window, iso

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Scopes = Annotated[list[str] | None, typer.Option("--scope", help="DIMENSION=VALUE, repeated; none: everything.")]
Because = Annotated[str, typer.Option(help="Why; kept with the entry and in the audit log.")]
Owner = Annotated[str | None, typer.Option(help="Whom to ask about it; default your login name.")]

planned = typer.Typer(help="Spend that is expected: a calendar, and explanations of incidents.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(planned, name="planned")


@planned.command()
def add(
    context: typer.Context,
    name: str,
    start: Annotated[str, typer.Option("--from", help="ISO 8601; without a zone it is UTC.")],
    end: Annotated[str | None, typer.Option("--to", help="The entry expires then; or give --hours.")] = None,
    hours: Annotated[float | None, typer.Option(min=0.1, max=24 * 90, help="Instead of --to.")] = None,
    scope: Scopes = None,
    owner: Owner = None,
    because: Because = "",
) -> None:
    """Expect more spend in a scope for some time: a launch, a backfill, a load test. A known name is replaced."""
    begins = moment(start, option="--from")
    if (end is None) == (hours is None):
        raise BadInput("planned add: give either --to TIME or --hours N, so that the entry expires")
    ends = begins + timedelta(hours=hours) if hours is not None else moment(end or "", option="--to")
    if ends <= begins:
        raise BadInput(f"--to: {iso(ends)} is not later than --from {iso(begins)}")
    by = getpass.getuser()
    entry = _entry(
        name=name,
        kind="planned",
        scope=_scope(scope or []),
        window=Window(start=begins, end=ends),
        owner=owner or by,
        because=because,
        made_at=utc_now(),
    )
    if ends <= utc_now():
        note(f"{name} ended at {iso(ends)}: it only marks what is found there from now on")
    with options(context).ledger() as ledger:
        ledger.expect(entry, by=by)
    say(f"planned {name}: {entry.scope.text}, {iso(begins)} to {iso(ends)}, owner {entry.owner}")


@planned.command()
def explain(
    context: typer.Context,
    incident_id: Annotated[str, typer.Argument(metavar="INCIDENT")],
    days: Annotated[float, typer.Option(min=0.1, max=90, help="How long the explanation holds from now on.")] = 14,
    owner: Owner = None,
    because: Because = "",
) -> None:
    """Say that an incident was expected: it, and more like it in its scope, is held back until this expires."""
    by, now = getpass.getuser(), utc_now().replace(microsecond=0)
    with options(context).ledger() as ledger:
        incident = ledger.incident(incident_id)
        if incident is None:
            raise BadInput(f"no incident {incident_id!r}; `bursar incidents` lists them")
        entry = _entry(
            name=f"explained {incident.id}",
            kind="explained",
            scope=incident.scope,
            window=Window(start=incident.started_at, end=now + timedelta(days=days)),
            owner=owner or by,
            because=because,
            incident_id=incident.id,
            made_at=now,
        )
        ledger.expect(entry, by=by)
        ledger.save_incident(incident.model_copy(update={"planned": entry.name}))
        waiting = [one for one in ledger.remedies(incident_id=incident_id) if one.state == "pending"]
    say(f"{incident.id} is expected: {entry.scope.text} until {iso(entry.window.end)}, owner {entry.owner}")
    if not incident.scope.dims:
        note("its scope is everything: until then no incident at all is acted upon; `bursar planned remove` ends that")
    for one in waiting:
        note(f"{one.remedy_id}@{one.revision} still waits for a decision; `bursar reject` ends it")


@planned.command("list")
def list_(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Expired entries too.")] = False,
    json_: Json = False,
) -> None:
    """List what is expected, from the calendar, from explanations and from the configuration."""
    opts, now = options(context), utc_now()
    with opts.ledger() as ledger:
        entries = [*ledger.expected(), *(_of_config(event) for event in opts.settings.detectors.planned)]
        held = _held(ledger)
    shown = [entry for entry in entries if every or entry.state(now) != "expired"]
    if json_:
        print_json([_document(entry, entry.state(now), held.get(entry.name, [])) for entry in shown])
        return
    rows = [
        [
            entry.name,
            entry.kind if entry.owner != _CONFIG else "configured",
            entry.state(now),
            entry.scope.text,
            iso(entry.window.start),
            iso(entry.window.end),
            entry.owner,
            str(len(held.get(entry.name, []))),
            entry.because,
        ]
        for entry in shown
    ]
    columns = ["name", "kind", "state", "scope", "from", "expires", "owner", "held back", "because"]
    print_table(columns, rows, empty="nothing is expected; `bursar planned add NAME --from T --hours N` adds an event")


@planned.command()
def remove(context: typer.Context, name: str) -> None:
    """Forget an entry: what it held back is treated like any other incident from the next look on."""
    with options(context).ledger() as ledger:
        if not ledger.unexpect(name, by=getpass.getuser()):
            raise BadInput(
                f"no entry {name!r} in the calendar; `bursar planned list --all` names them, those of the "
                "configuration are removed there"
            )
    say(f"removed {name}")


_CONFIG = "configuration"


def _of_config(event: PlannedEvent) -> Expected:
    return Expected(
        name=event.name,
        kind="planned",
        scope=event.scope,
        window=event.window,
        owner=event.owner or _CONFIG,
        made_at=event.window.start,
    )


def _held(ledger: Ledger) -> dict[str, list[str]]:
    """Which incidents each entry holds back."""
    held: dict[str, list[str]] = {}
    for incident in ledger.incidents():
        if incident.planned is not None:
            held.setdefault(incident.planned, []).append(incident.id)
    return held


def _document(entry: Expected, state: str, held: list[str]) -> dict[str, object]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "state": state,
        "scope": entry.scope.as_dict(),
        "from": iso(entry.window.start),
        "expires": iso(entry.window.end),
        "owner": entry.owner,
        "because": entry.because,
        "incident": entry.incident_id,
        "holds_back": held,
    }


def _entry(**values: object) -> Expected:
    try:
        return Expected.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"planned: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error


def _scope(pairs: list[str]) -> Scope:
    dims: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not value:
            raise BadInput(f"--scope: {pair!r}; write DIMENSION=VALUE, for instance team=search")
        dims[name] = value
    try:
        return Scope.of(dims)
    except ValidationError as error:
        raise BadInput(f"--scope: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
