"""`bursar audit verify`: has anyone changed the record of what was decided and done?"""

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from agent.entrypoints.console import print_json, say
from agent.entrypoints.options import options
from store.errors import BadInput
from store.ledger.ledger import Anchor

audit = typer.Typer(help="The audit log: verify it, or write an anchor to keep elsewhere.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(audit, name="audit")


@audit.command()
def verify(
    context: typer.Context,
    anchor: Annotated[Path | None, typer.Option(help="An anchor that `bursar audit anchor` wrote.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Recompute the hash chain; with an anchor also find a shortened or rewritten log. Exit 1 if it does not hold."""
    known = _read(anchor) if anchor is not None else None
    with options(context).ledger() as ledger:
        report = ledger.verify_audit(known)
    if json_:
        print_json(report.model_dump(mode="json"))
    else:
        say(f"{report.rows} rows, head {report.head[:16]}: {'intact' if report.ok else report.problem}")
    if not report.ok:
        raise typer.Exit(1)


@audit.command("anchor")
def write_anchor(context: typer.Context, file: Path) -> None:
    """Write the log's length and head to a file; keep it where whoever can write the database cannot."""
    with options(context).ledger() as ledger:
        found = ledger.anchor()
    file.write_text(found.model_dump_json() + "\n", encoding="utf-8")
    say(f"{file}: {found.count} rows, head {found.head[:16]}")


def _read(path: Path) -> Anchor:
    try:
        return Anchor.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, ValidationError) as error:
        raise BadInput(f"{path}: not an anchor file; write one with `bursar audit anchor FILE`") from error
