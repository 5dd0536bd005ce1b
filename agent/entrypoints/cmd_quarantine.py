"""`bursar quarantine`: the rows that were kept out, and why."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import typer

from agent.entrypoints.console import print_json, say
from agent.entrypoints.door import ServiceDoor
from agent.entrypoints.options import options
from store.errors import Busy
from store.model.usage import Quarantined, from_us, iso

_SHOWN = 160
"""Characters of a row that are printed; `--json` has up to 4,000."""


class _Reason(NamedTuple):
    """Rows of one source that were kept out for one reason, the newest first."""

    source: str
    reason: str
    rows: Sequence[Quarantined]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(quarantine)


def quarantine(
    context: typer.Context,
    source: Annotated[str | None, typer.Option("--source", help="Of this source only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many of the newest rows to look at.")] = 1_000,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say which rows were kept out and why; each row once, the most frequent reason first."""
    opts = options(context)
    try:
        with opts.warehouse() as warehouse:
            rows = warehouse.quarantined(limit=limit)
    except Busy:
        rows = ServiceDoor(opts.settings.data_dir).quarantined(limit=limit)
    found = _by_reason([row for row in rows if source in (None, row.source)])
    if json_:
        print_json([_document(one) for one in found])
        return
    for one in found:
        say(f"{len(one.rows):,} of {one.source}, last seen {_newest(one)}: {one.reason}")
        say(f"    for instance {json.dumps(one.rows[0].raw[:_SHOWN])}")
    if not found:
        say("nothing is quarantined")
    if len(rows) == limit:
        say(f"the newest {limit:,} rows; --limit looks further back")


def why(rows: Sequence[Quarantined]) -> str:
    """The most frequent reason among rows, for a line after they came in; '' without rows."""
    found = _by_reason(rows)
    return found[0].reason if found else ""


def _by_reason(rows: Sequence[Quarantined]) -> list[_Reason]:
    grouped: defaultdict[tuple[str, str], list[Quarantined]] = defaultdict(list)
    for row in rows:
        grouped[row.source, row.reason].append(row)
    found = [_Reason(*key, same) for key, same in grouped.items()]
    return sorted(found, key=lambda one: (-len(one.rows), one.source, one.reason))


def _document(one: _Reason) -> dict[str, object]:
    return {
        "source": one.source,
        "reason": one.reason,
        "rows": len(one.rows),
        "last_seen": _newest(one),
        "raw": [row.raw for row in one.rows[:10]],
    }


def _newest(one: _Reason) -> str:
    return iso(from_us(max(row.observed_us for row in one.rows)))
