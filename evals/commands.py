"""The exam's commands; they join the command line through the entry-point group `bursar.commands`."""

from pathlib import Path
from typing import Annotated

import typer

from evals.bench.detect_command import detect
from evals.bench.nab_command import nab
from evals.bench.rca_command import rca
from evals.bench.replay_command import replay
from evals.bench.stream_command import stream
from evals.bench.usage_command import ingest, rollup
from evals.exam.command import eval_

DEFAULT_OUT = Path("bursar-demo")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(demo)
    app.command("eval")(eval_)
    bench = typer.Typer(no_args_is_help=True)
    bench.command()(detect)
    bench.command()(nab)
    bench.command()(rca)
    bench.command()(ingest)
    bench.command()(rollup)
    bench.command()(replay)
    bench.command()(stream)
    # A callback keeps the name of a benchmark on the command line while there is only one.
    bench.callback()(_bench)
    app.add_typer(bench, name="bench")


def _bench() -> None:
    """Benchmarks, each with its peers in the same run."""


def demo(
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Another seed gives other noise, the same story.")
    ] = 7,
    out: Annotated[Path, typer.Option(help="The folder for the demo's data and the summary's files.")] = DEFAULT_OUT,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Play the whole story offline: a seeded company, three weeks of its usage, and what Bursar does about them."""
    # Imported here: every other command would pay for numpy, matplotlib and the graphs.
    from agent.entrypoints.console import print_json
    from evals.demo.play import play
    from evals.demo.printing import Teller, console_for, print_result
    from evals.demo.story import the_story
    from evals.demo.wiring import open_service, price_table

    console = console_for(stderr=json_)
    with Teller(console, tells=not json_) as teller:
        result = play(the_story(), seed=seed, out=out, open_service=open_service, prices=price_table, tell=teller)
    if json_:
        print_json(result.document())
    else:
        print_result(result, console)
