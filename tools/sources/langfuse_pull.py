"""Pulling a Langfuse project's model calls, and the agents and tools around them, by its public API with a key pair.

Source: langfuse/langfuse, GET /api/public/v2/observations (FIELD.md 4.4). Neither inputs and outputs nor metadata are
asked for: they hold prompts.
"""

import base64
from collections.abc import Callable
from functools import partial

from store.model.ports import Clock
from store.model.usage import Window, iso
from tools.http import Host
from tools.sources.documents import Object
from tools.sources.langfuse import open_langfuse
from tools.sources.report_pages import Query, Report, ReportPuller

BASE_URL = "https://cloud.langfuse.com"
_FIELDS = "core,basic,time,model,usage,prompt,metrics,trace_context"
_MOST_ROWS = 1_000


def pull_langfuse(
    *,
    host: Host,
    public_key: str,
    secret_key: str,
    clock: Clock,
    wait: Callable[[float], None],
    name: str = "langfuse",
) -> ReportPuller:
    """A puller of the observations that start in a window."""
    pair = base64.b64encode(f"{public_key}:{secret_key}".encode()).decode()
    return ReportPuller(
        name=name,
        host=host,
        headers={"authorization": f"Basic {pair}"},
        reports=tuple(
            Report("/api/public/v2/observations", partial(_observations, kind), page_name="cursor", next_page=_cursor)
            for kind in ("GENERATION", "EMBEDDING", "AGENT", "TOOL", "CHAIN", "SPAN")
        ),
        source=open_langfuse(name=name, clock=clock),
        clock=clock,
        wait=wait,
    )


def _observations(kind: str, window: Window) -> Query:
    span = [("fromStartTime", iso(window.start)), ("toStartTime", iso(window.end))]
    return [("type", kind), ("fields", _FIELDS), ("limit", str(_MOST_ROWS)), *span]


def _cursor(page: Object) -> object:
    meta = page.get("meta")
    return meta.get("cursor") if isinstance(meta, dict) else None
