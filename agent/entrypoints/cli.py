"""The command `bursar`: global options, the list of commands, and how errors end. Decides nothing itself."""

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from agent.entrypoints import (
    cmd_allocate,
    cmd_attribute,
    cmd_audit,
    cmd_connect,
    cmd_decide,
    cmd_export,
    cmd_lab,
    cmd_operate,
    cmd_planned,
    cmd_policy,
    cmd_quarantine,
    cmd_reconcile,
    cmd_report,
    cmd_series,
    cmd_settle,
    cmd_terms,
    cmd_usage,
)
from agent.entrypoints.console import fail
from agent.entrypoints.options import Options
from store.errors import BadInput, BursarError, Busy

app = typer.Typer(
    name="bursar",
    help="The on-call engineer for your LLM token bill.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="The configuration file; default bursar.yaml here.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(envvar="BURSAR_DATA_DIR", help="Where Bursar keeps its data.")
    ] = None,
) -> None:
    """Options that every command takes."""
    context.obj = Options(config=config, data_dir=data_dir)


for part in (
    cmd_operate,
    cmd_connect,
    cmd_usage,
    cmd_quarantine,
    cmd_export,
    cmd_decide,
    cmd_settle,
    cmd_report,
    cmd_reconcile,
    cmd_terms,
    cmd_allocate,
    cmd_planned,
    cmd_series,
    cmd_policy,
    cmd_audit,
    cmd_lab,
    cmd_attribute,
):
    part.register(app)
for entry in sorted(entry_points(group="bursar.commands"), key=lambda entry: entry.name):
    entry.load()(app)


def main() -> None:
    """Run the command line: exit 0 fine, 1 the thing asked for failed, 2 bad input or configuration."""
    try:
        app()
    except (BadInput, Busy) as error:
        fail(str(error), code=2)
    except BursarError as error:
        fail(str(error), code=1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
