"""Prints the tables of the benchmarks of detection."""

from collections.abc import Sequence

from agent.entrypoints.console import print_table, say

Row = dict[str, object]


def print_tables(document: dict[str, object], titles: dict[str, str], *, hide: Sequence[str] = ()) -> None:
    """One table per key of `titles`, with the columns that any of its rows has, but for those to hide."""
    for key, title in titles.items():
        rows = document[key]
        assert isinstance(rows, list)
        columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in hide]
        say(f"\n{title}")
        print_table(
            [name.replace("_", " ") for name in columns],
            [[_text(row.get(name)) for name in columns] for row in rows],
            empty="left out",
        )


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " to ".join(_text(part) for part in value)
    return str(value)
