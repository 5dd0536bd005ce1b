"""OTLP/HTTP on the wire: export requests as the documents that tools.sources.otel reads, and the answers to them.

Source: opentelemetry-proto 1.x, the collector services; OTLP specification, "OTLP/HTTP". A protobuf request becomes
the same document that its JSON mapping would be, so that both encodings end in equal records.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tools.sources.documents import Object

Signal = Literal["traces", "logs", "metrics"]
KEYS: dict[Signal, str] = {"traces": "resourceSpans", "logs": "resourceLogs", "metrics": "resourceMetrics"}
"""The one key of a signal's export request in JSON."""

_REJECTED: dict[Signal, str] = {
    "traces": "rejectedSpans",
    "logs": "rejectedLogRecords",
    "metrics": "rejectedDataPoints",
}
_SCALARS = {
    "string_value": "stringValue",
    "bool_value": "boolValue",
    "int_value": "intValue",
    "double_value": "doubleValue",
}


class Undecodable(Exception):
    """A body that is no export request of the signal."""


def document_of(signal: Signal, body: bytes) -> Object:
    """A protobuf export request as the document that its JSON mapping would be; of metrics only the number of points.

    Prompts and answers that stand in attributes come along and are read by nobody.

    Raises:
        Undecodable: the body is not that message.
    """
    try:
        if signal == "traces":
            spans = ExportTraceServiceRequest.FromString(body).resource_spans
            return {"resourceSpans": [_group(one, "scopeSpans", one.scope_spans, _spans) for one in spans]}
        if signal == "logs":
            logs = ExportLogsServiceRequest.FromString(body).resource_logs
            return {"resourceLogs": [_group(one, "scopeLogs", one.scope_logs, _log_records) for one in logs]}
        return {"resourceMetrics": [], "points": _points(ExportMetricsServiceRequest.FromString(body))}
    except DecodeError as error:
        raise Undecodable(f"the body is not a protobuf export request of {signal}: {error}") from error


def answer(signal: Signal, *, rejected: int, says: str, as_json: bool) -> bytes:
    """The export response: empty where everything was taken, else a partial success."""
    if as_json:
        partial = {_REJECTED[signal]: str(rejected), "errorMessage": says}
        return msgspec.json.encode({"partialSuccess": partial} if rejected or says else {})
    response: Any
    if signal == "traces":
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = rejected
    elif signal == "logs":
        response = ExportLogsServiceResponse()
        response.partial_success.rejected_log_records = rejected
    else:
        response = ExportMetricsServiceResponse()
        response.partial_success.rejected_data_points = rejected
    response.partial_success.error_message = says
    return bytes(response.SerializeToString()) if rejected or says else b""


def failure(says: str, *, as_json: bool) -> bytes:
    """A google.rpc.Status with the message alone, which the specification asks of every 4xx and 5xx answer."""
    if as_json:
        return msgspec.json.encode({"message": says})
    text = says.encode()
    # Field 2, length-delimited. The message has no package of ours: it lives in one that the runtime does without.
    return b"\x12" + _varint(len(text)) + text


def points_of(document: Object) -> int:
    """How many data points an export request of metrics holds, as far as it can be read."""
    counted = document.get("points")
    if isinstance(counted, int):
        return counted
    metrics = [
        metric
        for group in _objects(document.get("resourceMetrics"))
        for scope in _objects(group.get("scopeMetrics"))
        for metric in _objects(scope.get("metrics"))
    ]
    data = [value for metric in metrics for value in metric.values() if isinstance(value, dict)]
    return sum(len(_objects(one.get("dataPoints"))) for one in data)


def _group(group: Any, name: str, scopes: Iterable[Any], rows: Any) -> Object:
    return {"resource": {"attributes": _attributes(group.resource)}, name: [rows(scope) for scope in scopes]}


def _spans(scope: Any) -> Object:
    return {
        "spans": [
            {
                "traceId": span.trace_id.hex(),
                "spanId": span.span_id.hex(),
                "parentSpanId": span.parent_span_id.hex(),
                "name": span.name,
                "startTimeUnixNano": span.start_time_unix_nano,
                "endTimeUnixNano": span.end_time_unix_nano,
                "attributes": _attributes(span),
                "status": {"code": span.status.code},
            }
            for span in scope.spans
        ]
    }


def _log_records(scope: Any) -> Object:
    return {
        "logRecords": [
            {
                "traceId": record.trace_id.hex(),
                "spanId": record.span_id.hex(),
                "timeUnixNano": record.time_unix_nano,
                "observedTimeUnixNano": record.observed_time_unix_nano,
                "eventName": record.event_name,
                "body": _value(record.body),
                "attributes": _attributes(record),
            }
            for record in scope.log_records
        ]
    }


def _attributes(holder: Any) -> list[Object]:
    return [{"key": pair.key, "value": _value(pair.value)} for pair in holder.attributes]


def _value(value: Any) -> Object:
    kind = value.WhichOneof("value")
    if kind in _SCALARS:
        return {_SCALARS[kind]: getattr(value, kind)}
    if kind == "array_value":
        kinds = [(one, one.WhichOneof("value")) for one in value.array_value.values]
        return {"arrayValue": {"values": [{_SCALARS[k]: getattr(one, k)} for one, k in kinds if k in _SCALARS]}}
    return {}  # maps and bytes name nothing that a record has


def _points(request: ExportMetricsServiceRequest) -> int:
    groups: Any = request.resource_metrics
    metrics = (metric for group in groups for scope in group.scope_metrics for metric in scope.metrics)
    kinds = ((metric, metric.WhichOneof("data")) for metric in metrics)
    return sum(len(getattr(metric, kind).data_points) for metric, kind in kinds if kind)


def _objects(value: object) -> list[Object]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
