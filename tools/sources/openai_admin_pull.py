"""Pulling OpenAI's organisation usage and costs with an Admin key.

Source: openai-python `resources.admin.organization` (FIELD.md 4.2). Limits of buckets a page: 1440 of 1m, 168 of 1h,
31 of 1d; costs up to 180 days.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from store.model.ports import Clock
from store.model.usage import Window
from tools.http import Host
from tools.sources.buckets import spans_in
from tools.sources.documents import Object
from tools.sources.openai_admin import open_openai
from tools.sources.report_pages import Query, Report, ReportPuller, days_around

BASE_URL = "https://api.openai.com/v1"
BucketWidth = Literal["1m", "1h", "1d"]
_MOST_BUCKETS = {"1m": 1440, "1h": 168, "1d": 31}
_MOST_COST_DAYS = 180
_COMPLETION_GROUPS = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier")
_EMBEDDING_GROUPS = ("project_id", "user_id", "api_key_id", "model")
_COST_GROUPS = ("project_id", "line_item", "api_key_id")


def pull_openai(
    *,
    host: Host,
    admin_key: str,
    clock: Clock,
    wait: Callable[[float], None],
    name: str = "openai",
    bucket_width: BucketWidth = "1h",
) -> ReportPuller:
    """A puller of completions and embeddings at that width and of the daily costs."""
    return ReportPuller(
        name=name,
        host=host,
        headers={"authorization": f"Bearer {admin_key}"},
        reports=(
            Report("/organization/usage/completions", partial(_usage, bucket_width, _COMPLETION_GROUPS), spans=_spans),
            Report("/organization/usage/embeddings", partial(_usage, bucket_width, _EMBEDDING_GROUPS), spans=_spans),
            Report("/organization/costs", _costs, spans=_spans),
        ),
        source=open_openai(name=name, clock=clock),
        clock=clock,
        wait=wait,
    )


def _spans(page: Object) -> list[tuple[int, int]]:
    return spans_in(page, ("start_time", "end_time"))


def _usage(width: BucketWidth, groups: tuple[str, ...], window: Window) -> Query:
    asked = [("bucket_width", width), ("limit", str(_MOST_BUCKETS[width]))]
    return [*_span(window), *asked, *(("group_by[]", group) for group in groups)]


def _costs(window: Window) -> Query:
    asked = [("bucket_width", "1d"), ("limit", str(_MOST_COST_DAYS))]
    return [*_span(days_around(window)), *asked, *(("group_by[]", group) for group in _COST_GROUPS)]


def _span(window: Window) -> Query:
    return [("start_time", str(int(window.start.timestamp()))), ("end_time", str(int(window.end.timestamp())))]
