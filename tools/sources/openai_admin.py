"""OpenAI's organisation usage and costs, as its Admin API answers: pages saved as JSON, or pulled; and its responses.

Source: openai-python `resources.admin.organization.usage` (FIELD.md 4.2, 4.7). `input_tokens` counts all input, cached
and written tokens included. A cost result is money without tokens (`billed`, operation "cost_report").
"""

from collections.abc import Iterator

from store.model.ports import Clock
from store.model.usage import NONE, UsageRecord
from tools.sources.buckets import billed_in, bucket_id, least_requests, span_of, tags_of
from tools.sources.documents import Broken, DocumentSource, Object, Skipped, listed
from tools.sources.fields import Faulty, optional_count, text
from tools.sources.responses import openai_response, record_of_response, shown
from tools.sources.tokens import of_all_input

_GROUPS = ("object", "project_id", "user_id", "api_key_id", "model", "batch", "service_tier")
_COST_GROUPS = ("object", "project_id", "line_item", "api_key_id", "organization_id")
_OPERATIONS = {
    "organization.usage.completions.result": "chat",
    "organization.usage.embeddings.result": "embeddings",
    "organization.usage.moderations.result": "moderation",
}
_STANDARD = frozenset({NONE, "default", "auto", "standard"})


def open_openai(*, name: str, clock: Clock) -> DocumentSource:
    """Pages of /organization/usage/completions, embeddings and moderations, and of /organization/costs.

    Response bodies and batch outputs (tools.sources.responses) may stand beside them, one a line.
    """
    return DocumentSource(name=name, clock=clock, unfold=_unfold, record=_record, shown=shown)


def _unfold(page: Object) -> Iterator[Object | Broken]:
    """Each result with its bucket's times, or the document itself where it holds a response."""
    if openai_response(page):
        yield page
        return
    if "data" not in page:
        yield Broken("neither a page of usage or costs nor a response: no data", ", ".join(sorted(page)[:10]))
    for bucket in listed(page, "data"):
        if isinstance(bucket, Broken):
            yield bucket
            continue
        times = {"start_time": bucket.get("start_time"), "end_time": bucket.get("end_time")}
        # The Python client calls the list `results`, an early API called it `result`.
        for result in listed(bucket, "results" if "results" in bucket else "result"):
            yield result if isinstance(result, Broken) else {**result, **times}


def _record(row: Object, source: str, observed_us: int) -> UsageRecord | Skipped:
    response = openai_response(row)
    if response:
        return record_of_response("openai", response, source, observed_us)
    return record_of_result(row, source, observed_us)


def record_of_result(row: Object, source: str, observed_us: int) -> UsageRecord | Skipped:
    """One result of a usage or costs page as a bucket; units other than tokens are skipped, their money is in costs.

    Raises:
        Faulty: a number or time cannot be right.
    """
    if "amount" in row:
        return _cost(row, source, observed_us)
    if "input_tokens" not in row:
        return Skipped("usage that is not counted in tokens (images, audio, storage, tools): its money is in the costs")
    return _usage(row, source, observed_us)


def _usage(row: Object, source: str, observed_us: int) -> UsageRecord:
    occurred, seconds = span_of(row.get("start_time"), row.get("end_time"), ("start_time", "end_time"))
    tokens = of_all_input(
        _count(row, "input_tokens"),
        read=_count(row, "input_cached_tokens"),
        written_5m=_count(row, "input_cache_write_tokens"),
        output=_count(row, "output_tokens"),
    )
    tier = text(row.get("service_tier"))
    return UsageRecord(
        record_id=bucket_id(source, "usage", occurred, seconds, *(row.get(name) for name in _GROUPS)),
        source=source,
        observed_us=observed_us,
        occurred_us=occurred,
        provider="openai",
        model=text(row.get("model")),
        requested_model=text(row.get("model")),
        operation=_OPERATIONS.get(text(row.get("object")), "chat"),
        service_tier="batch" if row.get("batch") is True else "standard" if tier in _STANDARD else tier,
        requests=_count(row, "num_model_requests") or least_requests(tokens.input),
        period_seconds=seconds,
        api_key_id=text(row.get("api_key_id")),
        end_user=text(row.get("user_id")),
        tags=tags_of([("project_id", row.get("project_id"))]),
        input_uncached=tokens.input_uncached,
        cache_read=tokens.cache_read,
        cache_write_5m=tokens.cache_write_5m,
        output=tokens.output,
    )


def _cost(row: Object, source: str, observed_us: int) -> UsageRecord:
    occurred, seconds = span_of(row.get("start_time"), row.get("end_time"), ("start_time", "end_time"))
    money = row["amount"]
    if not isinstance(money, dict):
        raise Faulty("amount is not an object of value and currency")
    billed, foreign = billed_in(money.get("currency"), money.get("value"), "amount")
    item = text(row.get("line_item"))
    return UsageRecord(
        record_id=bucket_id(source, "cost", occurred, seconds, *(row.get(name) for name in _COST_GROUPS)),
        source=source,
        observed_us=observed_us,
        occurred_us=occurred,
        provider="openai",
        # A line item reads "gpt-4o-mini-2024-07-18, input"; what has no comma is no model ("Web search").
        model=item.partition(",")[0] if "," in item else NONE,
        operation="cost_report",
        period_seconds=seconds,
        api_key_id=text(row.get("api_key_id")),
        tags=tags_of([*((name, row.get(name)) for name in ("project_id", "line_item")), *foreign]),
        billed_nanos=billed,
    )


def _count(row: Object, name: str) -> int:
    return optional_count(row.get(name), name)
