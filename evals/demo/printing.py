"""The demo on a terminal: progress, the timeline as it happens, one last line per incident, where the files are."""

from datetime import datetime
from types import TracebackType
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from agent.report.escape import NAME_CHARS, SENTENCE_CHARS, plain
from agent.report.wording import cause_text, deciders_text, time_text
from evals.demo import play
from evals.demo.result import DemoResult, Row
from evals.demo.story import TIME_ZONE
from evals.demo.timeline import Event, Kind, place
from store.model.money import usd_text

WIDE = 132
"""Columns where the output is no terminal: a file or a pipe."""

_COLOURS: dict[Kind, str] = {
    "opened": "bold red",
    "cause": "magenta",
    "proposed": "cyan",
    "decided": "bold yellow",
    "applied": "blue",
    "verified": "bold green",
    "ended": "green",
    "closed": "dim",
}


class Teller:
    """Shows how far the demo is and tells the news. Whatever came from data is shown as plain text, never as markup.

    `tells`: whether the timeline is printed; a JSON caller gets progress alone.
    """

    def __init__(self, console: Console, *, tells: bool) -> None:
        self._console = console
        self._tells = tells
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("a seeded company", total=1.0)

    def __enter__(self) -> "Teller":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, progress: play.Progress) -> None:
        """Move the bar, and print what has just happened."""
        self._progress.update(self._task, completed=progress.done, description=_clock(progress.now))
        if self._tells:
            for event in progress.news:
                self._progress.console.print(event_line(event))


def console_for(*, stderr: bool) -> Console:
    """A console as wide as its terminal, or WIDE where there is none."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=WIDE)


def event_line(event: Event) -> Table:
    """One line of the timeline: time, where, what kind, and what it says."""
    line = Table.grid(padding=(0, 1))
    for width in (16, 24, 8):
        line.add_column(width=width, overflow="ellipsis", no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(
        Text(_clock(event.at), style="dim"),
        Text(plain(event.where, limit=NAME_CHARS), style="bold"),
        Text(event.kind, style=_COLOURS[event.kind]),
        Text(plain(event.says, limit=SENTENCE_CHARS)),
    )
    return line


def print_result(result: DemoResult, console: Console) -> None:
    """One line per incident, what it comes to, and where the files are."""
    table = Table(title="What it came to", title_justify="left", box=None, header_style="bold", pad_edge=False)
    for heading in ("began", "where"):
        table.add_column(heading, overflow="ellipsis", no_wrap=True)
    # Alone without no_wrap, it is the column that gives way on a narrow terminal.
    table.add_column("cause", overflow="fold")
    for heading in ("lost", "avoided"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("decided by", overflow="ellipsis", no_wrap=True, max_width=24)
    table.add_column("outcome", no_wrap=True)
    for row in result.rows:
        table.add_row(*_cells(row))
    console.print()
    console.print(table)
    for one in result.missed:
        console.print(Text(f"not noticed: {place(one.scope)} ({cause_text(one.cause)})", style="red"))
    right = sum(row.true_cause == row.line.cause for row in result.rows)
    console.print()
    console.print(
        Text(
            f"{len(result.rows)} incidents, {right} with the true cause; {usd_text(result.summary.lost_nanos)} lost, "
            f"{usd_text(result.summary.avoided_nanos)} avoided; {result.records.accepted:,} records; "
            f"{result.seconds:.0f} s"
        )
    )
    console.print(Text("The weekly summary:"))
    for path in result.files:
        console.print(Text(f"  {path}"), soft_wrap=True)


def _cells(row: Row) -> list[Text]:
    lost = usd_text(row.line.excess_nanos) if row.line.cause != "organic_growth" else "growth"
    right = row.true_cause == row.line.cause
    truly = "" if right else f" (truly: {cause_text(row.true_cause) if row.true_cause else 'nothing was wrong'})"
    return [
        Text(_clock(row.line.started_at), style="dim"),
        Text(plain(place(row.line.scope), limit=NAME_CHARS), style="bold"),
        Text(f"{cause_text(row.line.cause)} {row.line.confidence:.0%}{truly}", style="green" if right else "yellow"),
        Text(lost),
        Text(usd_text(row.line.avoided_nanos)),
        Text(plain(deciders_text(row.decided_by), limit=NAME_CHARS)),
        Text(row.outcome.replace("_", " ")),
    ]


def _clock(moment: datetime) -> str:
    return time_text(moment, ZoneInfo(TIME_ZONE))
