"""Printing: one JSON document on stdout and nothing else, or text for people; progress and errors on stderr."""

import json
import sys
from typing import Never

from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(document: object) -> None:
    """The one JSON document of a command."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def say(text: str) -> None:
    """A line for people on stdout; no markup is read from it."""
    out.print(escape(text))


def note(text: str) -> None:
    """A line of progress on stderr."""
    err.print(escape(text))


def print_table(columns: list[str], rows: list[list[str]], *, empty: str) -> None:
    """A table for people, every cell escaped; `empty` is said where there are no rows."""
    if not rows:
        say(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)


def fail(message: str, *, code: int) -> Never:
    """End the command with one clear line on stderr."""
    err.print(f"[bold red]bursar:[/] {escape(message)}")
    sys.exit(code)
