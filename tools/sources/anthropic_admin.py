"""Anthropic's usage and cost reports, as its Admin API answers: pages saved as JSON, or pulled; and its responses.

Source: platform.claude.com, Usage and Cost API (FIELD.md 4.1). Usage results have five disjoint token classes. The
report counts no requests: `requests` is the smallest number that its tokens allow. A cost result is money without
tokens (`billed`, operation "cost_report"), so that a usage report and a cost report of the same days add up.
"""

from collections.abc import Iterator
from decimal import Decimal

from store.model.ports import Clock
from store.model.usage import NONE, UsageRecord
from tools.sources.buckets import billed_in, bucket_id, least_requests, span_of, tags_of
from tools.sources.documents import Broken, DocumentSource, Object, Skipped, listed
from tools.sources.fields import number, optional_count, text
from tools.sources.responses import anthropic_response, record_of_response, shown

_GROUPS = (
    *("account_id", "api_key_id", "context_window", "inference_geo", "model", "service_account_id", "service_tier"),
    *("speed", "workspace_id"),
)
_COST_GROUPS = (*_GROUPS, "description", "cost_type", "token_type", "currency")
_LONG = "200k-1M"
_STANDARD = frozenset({NONE, "default", "auto", "standard"})


def open_anthropic(*, name: str, clock: Clock) -> DocumentSource:
    """Pages of /v1/organizations/usage_report/messages and /v1/organizations/cost_report.

    Response bodies and batch results (tools.sources.responses) may stand beside them, one a line.
    """
    return DocumentSource(name=name, clock=clock, unfold=_unfold, record=_record, shown=shown)


def _unfold(page: Object) -> Iterator[Object | Broken]:
    """Each result with its bucket's times, or the document itself where it holds a response."""
    if anthropic_response(page):
        yield page
        return
    if "data" not in page:
        yield Broken("neither a page of a usage or cost report nor a response: no data", ", ".join(sorted(page)[:10]))
    for bucket in listed(page, "data"):
        if isinstance(bucket, Broken):
            yield bucket
            continue
        for result in listed(bucket, "results"):
            times = {"starting_at": bucket.get("starting_at"), "ending_at": bucket.get("ending_at")}
            yield result if isinstance(result, Broken) else {**result, **times}


def _record(row: Object, source: str, observed_us: int) -> UsageRecord | Skipped:
    response = anthropic_response(row)
    if response:
        return record_of_response("anthropic", response, source, observed_us)
    return record_of_result(row, source, observed_us)


def record_of_result(row: Object, source: str, observed_us: int) -> UsageRecord:
    """One result of a usage or cost report as a bucket.

    Raises:
        Faulty: a number or time cannot be right.
    """
    return _cost(row, source, observed_us) if "amount" in row else _usage(row, source, observed_us)


def _usage(row: Object, source: str, observed_us: int) -> UsageRecord:
    occurred, seconds = span_of(row.get("starting_at"), row.get("ending_at"), ("starting_at", "ending_at"))
    written = row.get("cache_creation")
    split = written if isinstance(written, dict) else {}
    uncached, read = _count(row, "uncached_input_tokens"), _count(row, "cache_read_input_tokens")
    written_5m, written_1h = (_count(split, f"ephemeral_{age}_input_tokens") for age in ("5m", "1h"))
    whole = uncached + read + written_5m + written_1h
    geo = text(row.get("inference_geo"))
    return UsageRecord(
        record_id=bucket_id(source, "usage", occurred, seconds, *(row.get(name) for name in _GROUPS)),
        source=source,
        observed_us=observed_us,
        occurred_us=occurred,
        provider="anthropic",
        model=text(row.get("model")),
        requested_model=text(row.get("model")),
        service_tier=_plain(row.get("service_tier")),
        speed=_plain(row.get("speed")),
        region=NONE if geo == "not_available" else geo,
        requests=least_requests(whole, long_context=text(row.get("context_window")) == _LONG),
        period_seconds=seconds,
        api_key_id=text(row.get("api_key_id")),
        end_user=text(row.get("account_id")),
        tags=_tags(row),
        input_uncached=uncached,
        cache_read=read,
        cache_write_5m=written_5m,
        cache_write_1h=written_1h,
        output=_count(row, "output_tokens"),
    )


def _cost(row: Object, source: str, observed_us: int) -> UsageRecord:
    occurred, seconds = span_of(row.get("starting_at"), row.get("ending_at"), ("starting_at", "ending_at"))
    cents = number(row.get("amount"), "amount")
    billed, foreign = billed_in(row.get("currency"), cents / Decimal(100), "amount")
    return UsageRecord(
        record_id=bucket_id(source, "cost", occurred, seconds, *(row.get(name) for name in _COST_GROUPS)),
        source=source,
        observed_us=observed_us,
        occurred_us=occurred,
        provider="anthropic",
        model=text(row.get("model")),
        requested_model=text(row.get("model")),
        operation="cost_report",
        service_tier=_plain(row.get("service_tier")),
        period_seconds=seconds,
        api_key_id=text(row.get("api_key_id")),
        tags=tuple(
            sorted(
                (
                    *_tags(row),
                    *tags_of([(name, row.get(name)) for name in ("cost_type", "token_type", "description")]),
                    *tags_of(foreign),
                )
            )
        ),
        billed_nanos=billed,
    )


def _tags(row: Object) -> tuple[tuple[str, str], ...]:
    names = ("workspace_id", "context_window", "service_account_id")
    return tags_of([(name, row.get(name)) for name in names])


def _plain(value: object) -> str:
    found = text(value)
    return "standard" if found in _STANDARD else found


def _count(row: Object, name: str) -> int:
    return optional_count(row.get(name), name)
