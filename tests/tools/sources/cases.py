"""How the rows of the sources look whose documents are not flat; for the shared suite of sources."""

import copy
import math
from decimal import Decimal
from typing import Any

from tests.checks.check_source import NOW, Row, SourceCase
from tools.sources.anthropic_admin import open_anthropic
from tools.sources.aws_cur import cur_rows
from tools.sources.focus import FocusSource
from tools.sources.langfuse import open_langfuse
from tools.sources.openai_admin import open_openai
from tools.sources.otel import open_otlp

_HOUR = 3_600
_TELLING = ("ChargeCategory", "ServiceCategory", "ServiceSubcategory")
"""Columns that decide whether a FOCUS row is one of ours: with others in them it is passed over."""


def otlp_value(value: object) -> object:
    """A value as OTLP's JSON has it: a number of 64 bits is text."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [otlp_value(element) for element in value]}}
    return value


def otlp_attributes(values: dict[str, object]) -> list[Row]:
    """Attributes as OTLP's JSON has them."""
    return [{"key": name, "value": otlp_value(value)} for name, value in values.items()]


def span_document(attributes: dict[str, object], resource: dict[str, object] | None = None, **span: object) -> Row:
    """An export of one span."""
    row: Row = {
        "traceId": "a" * 32,
        "spanId": "b" * 16,
        "name": "chat",
        "startTimeUnixNano": _nanos(NOW.timestamp() - 2),
    }
    row |= {"endTimeUnixNano": _nanos(NOW.timestamp() - 1), **span, "attributes": otlp_attributes(attributes)}
    return {"resourceSpans": [{"resource": _resource(resource), "scopeSpans": [{"scope": {}, "spans": [row]}]}]}


def log_document(attributes: dict[str, object], resource: dict[str, object] | None = None, **record: object) -> Row:
    """An export of one log record."""
    row: Row = {"timeUnixNano": _nanos(NOW.timestamp() - 1), **record, "attributes": otlp_attributes(attributes)}
    return {"resourceLogs": [{"resource": _resource(resource), "scopeLogs": [{"scope": {}, "logRecords": [row]}]}]}


def _resource(values: dict[str, object] | None) -> Row:
    return {"attributes": otlp_attributes(values or {})}


def _nanos(seconds: float) -> str:
    if math.isnan(seconds) or seconds > 1e12:
        return str(Decimal(seconds) * 10**9)
    return str(int(seconds * 1e6) * 1_000)


def _span(n: int) -> Row:
    attributes: dict[str, object] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-opus-4-5",
        "gen_ai.response.model": "claude-opus-4-5",
        "gen_ai.response.id": f"msg_{n}",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": n,
    }
    ended = NOW.timestamp() - n
    return span_document(
        attributes,
        {"service.name": "PLACE"},
        spanId=f"{n:016x}",
        startTimeUnixNano=_nanos(ended - 1.5),
        endTimeUnixNano=_nanos(ended),
    )


def _event(n: int) -> Row:
    attributes: dict[str, object] = {
        "event.name": "api_request",
        "event.sequence": n,
        "session.id": "session-1",
        "model": "claude-opus-4-5",
        "cost_usd": "0.01",
        "duration_ms": "1500",
        "input_tokens": "100",
        "output_tokens": n,
        "cache_read_tokens": "0",
    }
    body = {"stringValue": "claude_code.api_request"}
    return log_document(attributes, {"service.name": "PLACE"}, body=body, timeUnixNano=_nanos(NOW.timestamp() - n))


def _row_of(document: Row) -> tuple[Row, dict[str, Any]]:
    """A copy of the document, and the one span or log record in it."""
    whole: Any = copy.deepcopy(document)
    for group in whole.get("resourceSpans", []):
        return whole, group["scopeSpans"][0]["spans"][0]
    return whole, whole["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]


def _put_attribute(document: Row, name: str, value: object) -> Row:
    whole, row = _row_of(document)
    if name in row:
        row[name] = value
        return whole
    for pair in row["attributes"]:
        if pair["key"] == name:
            pair["value"] = value if isinstance(value, dict | None) else otlp_value(value)
    return whole


def _otlp_fields(document: Row) -> list[str]:
    _, row = _row_of(document)
    names = [pair["key"] for pair in row["attributes"] if pair["key"] != "event.name"]
    return sorted([*names, *(name for name in row if name not in ("attributes", "body", "name"))])


def _anthropic_page(n: int) -> Row:
    start = NOW.timestamp() - _HOUR
    result = {
        "api_key_id": f"key_{n}",
        "workspace_id": "PLACE",
        "model": "claude-opus-4-5",
        "service_tier": "standard",
        "context_window": "0-200k",
        "uncached_input_tokens": 100,
        "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0},
        "cache_read_input_tokens": 0,
        "output_tokens": n,
        "server_tool_use": {"web_search_requests": 0},
    }
    times = {"starting_at": NOW.fromtimestamp(start, NOW.tzinfo).isoformat(), "ending_at": NOW.isoformat()}
    return {"data": [{**times, "results": [result]}], "has_more": False, "next_page": None}


def _openai_page(n: int) -> Row:
    start = int(NOW.timestamp()) - _HOUR
    result = {
        "object": "organization.usage.completions.result",
        "input_tokens": 100,
        "output_tokens": n,
        "input_cached_tokens": 0,
        "num_model_requests": 1,
        "project_id": f"proj_{n}",
        "user_id": "PLACE",
        "api_key_id": "PLACE",
        "model": "gpt-4o-mini",
        "batch": False,
    }
    bucket = {"object": "bucket", "start_time": start, "end_time": start + _HOUR, "results": [result]}
    return {"object": "page", "data": [bucket], "has_more": False, "next_page": None}


def _bucket_of(page: Row) -> tuple[Row, dict[str, Any]]:
    whole: Any = copy.deepcopy(page)
    return whole, whole["data"][0]


def _put_result(page: Row, name: str, value: object) -> Row:
    whole, bucket = _bucket_of(page)
    (bucket if name in bucket else bucket["results"][0])[name] = value
    return whole


def _page_fields(page: Row) -> list[str]:
    _, bucket = _bucket_of(page)
    return sorted([*bucket["results"][0], *(name for name in bucket if name != "results")])


def _set_bucket(page: Row, start: str, end: str, seconds: float) -> Row:
    whole, bucket = _bucket_of(page)
    bucket |= {start: seconds, end: seconds + _HOUR}
    return whole


def _focus_row(n: int) -> Row:
    return {
        "BilledCost": 0.01,
        "BillingAccountId": "acme",
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargePeriodStart": int(NOW.timestamp()) - _HOUR,
        "ChargePeriodEnd": int(NOW.timestamp()),
        "ConsumedQuantity": n,
        "ConsumedUnit": "Tokens",
        "ProviderName": "Anthropic",
        "ResourceId": f"deployment-{n}",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "SkuPriceDetails": '{"ModelId": "claude-opus-4-5", "TokenDirection": "Output"}',
        "x_App": "PLACE",
    }


def _cur_row(n: int) -> Row:
    return {
        "bill_payer_account_id": "123456789012",
        "line_item_unblended_cost": 0.01,
        "line_item_currency_code": "USD",
        "line_item_line_item_type": "Usage",
        "line_item_product_code": "AmazonBedrock",
        "line_item_usage_type": "USE1-Claude4.5Sonnet-output-tokens",
        "line_item_usage_start_date": int(NOW.timestamp()) - _HOUR,
        "line_item_usage_end_date": int(NOW.timestamp()),
        "line_item_usage_amount": n,
        "line_item_resource_id": f"profile-{n}",
        "line_item_iam_principal": "PLACE",
        "pricing_unit": "Tokens",
    }


_CUR_TELLING = ("line_item_line_item_type", "line_item_product_code")


def _observation(n: int) -> Row:
    return {
        "id": f"{n:016x}",
        "traceId": "a" * 32,
        "type": "GENERATION",
        "startTime": NOW.timestamp() - n - 1.5,
        "endTime": NOW.timestamp() - n,
        "model": "claude-opus-4-5",
        "usageDetails": {"input": 100, "output": n, "total": 100 + n},
        "metadata": {"resourceAttributes": {"service.name": "PLACE"}},
        "tags": ["job:nightly"],
        "totalCost": 0.01,
    }


MORE_CASES = (
    SourceCase(
        "otlp",
        lambda clock: open_otlp(name="spans", clock=clock),
        _span,
        lambda row, tokens: _put_attribute(row, "gen_ai.usage.output_tokens", otlp_value(tokens)),
        lambda row, seconds: _put_attribute(row, "endTimeUnixNano", _nanos(seconds)),
        put=_put_attribute,
        fields=_otlp_fields,
    ),
    SourceCase(
        "otlp",
        lambda clock: open_otlp(name="agents", clock=clock),
        _event,
        lambda row, tokens: _put_attribute(row, "output_tokens", otlp_value(tokens)),
        lambda row, seconds: _put_attribute(row, "timeUnixNano", _nanos(seconds)),
        put=_put_attribute,
        fields=_otlp_fields,
    ),
    SourceCase(
        "anthropic",
        lambda clock: open_anthropic(name="anthropic", clock=clock),
        _anthropic_page,
        lambda row, tokens: _put_result(row, "output_tokens", tokens),
        lambda row, seconds: _set_bucket(row, "starting_at", "ending_at", seconds),
        put=_put_result,
        fields=_page_fields,
        place="tags.workspace_id",
    ),
    SourceCase(
        "openai",
        lambda clock: open_openai(name="openai", clock=clock),
        _openai_page,
        lambda row, tokens: _put_result(row, "output_tokens", tokens),
        lambda row, seconds: _set_bucket(row, "start_time", "end_time", seconds),
        put=_put_result,
        fields=_page_fields,
        place="api_key_id",
    ),
    SourceCase(
        "langfuse",
        lambda clock: open_langfuse(name="langfuse", clock=clock),
        _observation,
        lambda row, tokens: {**row, "usageDetails": {"input": 100, "output": tokens}},
        lambda row, seconds: {**row, "endTime": seconds},
        fields=lambda row: sorted(name for name in row if name != "type"),
    ),
    SourceCase(
        "focus",
        lambda clock: FocusSource(name="focus", clock=clock),
        _focus_row,
        lambda row, tokens: {**row, "ConsumedQuantity": tokens},
        lambda row, seconds: {**row, "ChargePeriodStart": seconds, "ChargePeriodEnd": seconds + _HOUR},
        fields=lambda row: sorted(name for name in row if name not in _TELLING),
        versions_in_one_file=False,
    ),
    SourceCase(
        "cur",
        lambda clock: FocusSource(name="cur", clock=clock, rows=cur_rows),
        _cur_row,
        lambda row, tokens: {**row, "line_item_usage_amount": tokens},
        lambda row, seconds: {
            **row,
            "line_item_usage_start_date": seconds,
            "line_item_usage_end_date": seconds + _HOUR,
        },
        fields=lambda row: sorted(name for name in row if name not in _CUR_TELLING),
        place="api_key_id",
        versions_in_one_file=False,
    ),
)
