"""Pulling Anthropic's usage and cost reports with an Admin key.

Source: platform.claude.com, Usage and Cost API (FIELD.md 4.1). Limits of buckets a page: 1440 of 1m, 168 of 1h, 31 of
1d. The cost report knows days only.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from store.model.ports import Clock
from store.model.usage import Window, iso
from tools.http import Host
from tools.sources.anthropic_admin import open_anthropic
from tools.sources.buckets import spans_in
from tools.sources.documents import Object
from tools.sources.report_pages import Query, Report, ReportPuller, days_around

BASE_URL = "https://api.anthropic.com"
BucketWidth = Literal["1m", "1h", "1d"]
_MOST_BUCKETS = {"1m": 1440, "1h": 168, "1d": 31}
_USAGE_GROUPS = ("api_key_id", "workspace_id", "model", "service_tier", "context_window")
_COST_GROUPS = ("workspace_id", "description")


def pull_anthropic(
    *,
    host: Host,
    admin_key: str,
    clock: Clock,
    wait: Callable[[float], None],
    name: str = "anthropic",
    bucket_width: BucketWidth = "1h",
) -> ReportPuller:
    """A puller of the usage report at that width and of the daily cost report."""
    return ReportPuller(
        name=name,
        host=host,
        headers={"x-api-key": admin_key, "anthropic-version": "2023-06-01"},
        reports=(
            Report("/v1/organizations/usage_report/messages", partial(_usage, bucket_width), spans=_spans),
            Report("/v1/organizations/cost_report", _cost, spans=_spans),
        ),
        source=open_anthropic(name=name, clock=clock),
        clock=clock,
        wait=wait,
    )


def _spans(page: Object) -> list[tuple[int, int]]:
    return spans_in(page, ("starting_at", "ending_at"))


def _usage(width: BucketWidth, window: Window) -> Query:
    return [*_span(window), *_asked(width), *(("group_by[]", group) for group in _USAGE_GROUPS)]


def _cost(window: Window) -> Query:
    return [*_span(days_around(window)), *_asked("1d"), *(("group_by[]", group) for group in _COST_GROUPS)]


def _span(window: Window) -> Query:
    return [("starting_at", iso(window.start)), ("ending_at", iso(window.end))]


def _asked(width: BucketWidth) -> Query:
    return [("bucket_width", width), ("limit", str(_MOST_BUCKETS[width]))]
