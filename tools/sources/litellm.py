"""LiteLLM: its StandardLoggingPayload as JSON lines, or rows of its `/spend/logs`, one record per call.

Source: docs.litellm.ai/docs/proxy/logging_spec. `prompt_tokens` includes cached and written tokens.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from store.model.ports import Clock
from store.model.usage import NONE, Quarantined, Status, UsageRecord, to_us
from store.model.usage_batch import Delivery
from tools.sources import dimensions
from tools.sources.deliveries import deliveries, nothing_is_plain
from tools.sources.fields import Faulty, amount, moment, optional_count, reject, text, vet
from tools.sources.lines import Unreadable, json_rows
from tools.sources.litellm_columns import LiteLLMColumns
from tools.sources.litellm_words import OPERATIONS, break_kind, plain, provider_and_model
from tools.sources.shapes import Misfit

_CALLER = "metadata.spend_logs_metadata"
_GUARD = "metadata.bursar"
_USAGE = "metadata.usage_object"
_HOUR = "ephemeral_1h_input_tokens"


class _Tokens(NamedTuple):
    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    reasoning: int


_NO_TOKENS = _Tokens(0, 0, 0, 0, 0, 0)


class LiteLLMSource:
    """Reads LiteLLM's log of calls. A call's id is the gateway's response id, whichever door it came by.

    `places` replaces the ordered list of places of single dimensions (see tools.sources.dimensions).
    """

    def __init__(self, *, name: str, clock: Clock, places: Mapping[str, Sequence[str]] | None = None) -> None:
        self._name = name
        self._clock = clock
        self._places = dimensions.checked(places or {})

    def read(self, paths: Iterable[Path]) -> Iterator[UsageRecord | Quarantined]:
        """Records in file order, lazily; rows that cannot be right as Quarantined.

        Raises:
            BadInput: a file cannot be opened, or is damaged from some row on; the rows before it were yielded.
        """
        observed_us = to_us(self._clock())
        for path in paths:
            for row in json_rows(path):
                yield self._judge(row, observed_us)

    def deliveries(self, paths: Iterable[Path]) -> Iterator[Delivery]:
        """The same as columns, tens of thousands of rows at once and many times faster.

        Raises:
            BadInput: as `read`; the rows before that point were delivered.
        """
        observed_us = to_us(self._clock())
        try:
            read = LiteLLMColumns(name=self._name, places=self._places).read
        except Misfit:  # the operator's places lead through values: they can only be read row by row
            read = nothing_is_plain
        yield from deliveries(paths, read=read, judge=self._judge, observed_us=observed_us)

    def parse(self, rows: Iterable[object]) -> Iterator[UsageRecord | Quarantined]:
        """The same of decoded JSON values, as a proxy pushes them or answers with them."""
        observed_us = to_us(self._clock())
        for row in rows:
            if isinstance(row, dict):
                yield self._judge(row, observed_us)
            else:
                yield reject(self._name, observed_us, "the element is not a JSON object", row)

    def _judge(self, row: dict[str, object] | Unreadable, observed_us: int) -> UsageRecord | Quarantined:
        if isinstance(row, Unreadable):
            return reject(self._name, observed_us, row.reason, row.raw)
        try:
            return vet(self._record(_as_payload(row), observed_us))
        except Faulty as error:
            return reject(self._name, observed_us, str(error), _without_text(row))

    def _record(self, row: Mapping[str, object], observed_us: int) -> UsageRecord:
        ended = _time(row, "endTime")
        tags = dimensions.request_tags(row.get("request_tags"))
        dims = {name: dimensions.resolve(row, tags, places) for name, places in self._places.items()}
        provider, model = provider_and_model(text(row.get("custom_llm_provider")), text(row.get("model")))
        status, hints = _status(row), _hints(row)
        # A call that our guard refused reached no model, whatever the gateway estimated for its prompt.
        tokens = _NO_TOKENS if status == "refused" else _tokens(row)
        return UsageRecord(
            record_id=text(row.get("id")),
            source=self._name,
            observed_us=observed_us,
            occurred_us=ended,
            provider=provider,
            model=model,
            # After a swap the gateway's log knows the new name only; the guard saw what was asked for.
            requested_model=_first(
                text(dimensions.at(row, f"{_GUARD}.dims.model")), text(row.get("model_group")), model
            ),
            operation=OPERATIONS.get(text(row.get("call_type")), text(row.get("call_type"))),
            service_tier=_service_tier(row),
            speed=_plain(dimensions.at(row, f"{_USAGE}.speed"), dimensions.at(row, "model_parameters.speed")),
            region=text(hints.get("region")),
            status=status,
            status_code=_status_code(row),
            finish_reason=_finish_reason(row, hints),
            # Clocks of two hosts may disagree by a moment: that spoils the latency, not the record.
            latency_ms=max(0, ended - _time(row, "startTime")) // 1000 if row.get("startTime") is not None else 0,
            attempt=max(1, _hint_count(hints, "attempt")),
            trace_id=text(row.get("trace_id")),
            tags=tuple(sorted(tags.items())),
            billed_nanos=amount(row.get("response_cost"), "response_cost"),
            prompt_hash=text(hints.get("prompt_hash")),
            prefix_hash=text(hints.get("prefix_hash")),
            remedy_id=text(dimensions.at(row, f"{_GUARD}.remedy_id")),
            team=dims["team"],
            environment=dims["environment"],
            api_key_id=dims["api_key_id"],
            app=dims["app"],
            route=dims["route"],
            release=dims["release"],
            job=dims["job"],
            prompt_version=dims["prompt_version"],
            end_user=dims["end_user"],
            session_id=dims["session_id"],
            input_uncached=tokens.input_uncached,
            cache_read=tokens.cache_read,
            cache_write_5m=tokens.cache_write_5m,
            cache_write_1h=tokens.cache_write_1h,
            output=tokens.output,
            reasoning=tokens.reasoning,
            prompt_chars=_hint_count(hints, "prompt_chars"),
            completion_chars=_hint_count(hints, "completion_chars"),
            n_tools=_hint_count(hints, "n_tools"),
            prefix_tokens=_hint_count(hints, "prefix_tokens"),
            prefix_break_at=_hint_count(hints, "prefix_break_at"),
            prefix_break_kind=break_kind(text(hints.get("prefix_break_kind"))),
        )


def _as_payload(row: dict[str, object]) -> dict[str, object]:
    """A row of `/spend/logs` in the payload's words; a payload as it is."""
    if "request_id" not in row or "spend" not in row:
        return row
    metadata = _object(row.get("metadata"))
    known = {"user_api_key_hash": row.get("api_key"), "user_api_key_team_id": row.get("team_id"), **metadata}
    return {
        **row,
        "id": row["request_id"],
        "response_cost": row["spend"],
        "trace_id": row.get("session_id"),
        "request_tags": _loads(row.get("request_tags")),
        "metadata": known,
    }


def _object(value: object) -> dict[str, object]:
    found = _loads(value)
    return found if isinstance(found, dict) else {}


def _loads(value: object) -> object:
    """What a JSON column holds, which an export may give as text."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError):  # half a character, or nested without end
        return None


def _without_text(row: Mapping[str, object]) -> dict[str, object]:
    # No prompt or answer is ever stored, not in quarantine either.
    hidden = ("messages", "response", "proxy_server_request", "error_str")
    return {name: value for name, value in row.items() if name not in hidden}


def _time(row: Mapping[str, object], name: str) -> int:
    value = row.get(name)
    return moment(value, "iso" if isinstance(value, str) else "s", name)


def _tokens(row: Mapping[str, object]) -> _Tokens:
    if row.get("cache_hit") is True or row.get("cache_hit") == "True":
        # The gateway answered from its own cache: no provider read or wrote a token.
        return _NO_TOKENS
    usage = dimensions.at(row, _USAGE)
    details = dimensions.at(usage, "prompt_tokens_details")
    prompt = optional_count(row.get("prompt_tokens"), "prompt_tokens")
    output = optional_count(row.get("completion_tokens"), "completion_tokens")
    read = _either(usage, "cache_read_input_tokens", details, "cached_tokens")
    written = _either(usage, "cache_creation_input_tokens", details, "cache_creation_tokens")
    written_1h = _either(usage, f"cache_creation.{_HOUR}", details, f"cache_creation_token_details.{_HOUR}")
    if written_1h > written:
        raise Faulty(f"1-hour cache writes ({written_1h}) are more than all cache writes ({written})")
    if read + written > prompt:
        raise Faulty(f"cached tokens ({read} read, {written} written) are more than prompt_tokens ({prompt})")
    reasoning = dimensions.at(usage, "completion_tokens_details.reasoning_tokens")
    # Some providers count reasoning beside the output; a part cannot be more than the whole.
    return _Tokens(
        input_uncached=prompt - read - written,
        cache_read=read,
        cache_write_5m=written - written_1h,
        cache_write_1h=written_1h,
        output=output,
        reasoning=min(output, optional_count(reasoning, "reasoning_tokens")),
    )


def _either(usage: object, name: str, details: object, other: str) -> int:
    found = dimensions.at(usage, name)
    return optional_count(dimensions.at(details, other) if found is None else found, name)


def _hints(row: Mapping[str, object]) -> dict[str, object]:
    """What the caller's metadata says about the call, and over it what our guard says."""
    caller, guard = dimensions.at(row, _CALLER), dimensions.at(row, _GUARD)
    said = {name: value for name, value in guard.items() if value is not None} if isinstance(guard, dict) else {}
    return {**(caller if isinstance(caller, dict) else {}), **said}


def _hint_count(hints: Mapping[str, object], name: str) -> int:
    # The caller writes hints: a bad one is ignored, or a caller could have its spend quarantined out of sight.
    try:
        return optional_count(hints.get(name), name)
    except Faulty:
        return 0


def _first(*values: str) -> str:
    return next((value for value in values if value != NONE), NONE)


def _plain(*values: object) -> str:
    return plain(_first(*(text(value) for value in values)))


def _service_tier(row: Mapping[str, object]) -> str:
    if "batch" in text(row.get("call_type")):
        return "batch"
    return _plain(
        # What the provider answered, then what it was sent; a caller's hint must not change a price.
        dimensions.at(row, f"{_USAGE}.service_tier"),
        dimensions.at(row, "model_parameters.service_tier"),
    )


def _status(row: Mapping[str, object]) -> Status:
    if dimensions.at(row, f"{_GUARD}.status") == "refused":
        return "refused"
    if row.get("status") != "failure":
        return "ok"
    # What the gateway itself turned away, by a limit, a budget or a block, failed at no provider.
    why = _error_information(row)
    limited = dimensions.at(why, "error_rate_limit_category") == "litellm_rate_limit"
    blocked = text(dimensions.at(why, "error_message")).startswith("Key is blocked.")
    return "refused" if limited or blocked else "error"


def _error_information(row: Mapping[str, object]) -> object:
    return row.get("error_information") or dimensions.at(row, "metadata.error_information")


def _status_code(row: Mapping[str, object]) -> int:
    if row.get("status") != "failure":
        return 200
    code = text(dimensions.at(_error_information(row), "error_code"))
    return int(code) if code.isascii() and code.isdigit() and len(code) == 3 else 500


def _finish_reason(row: Mapping[str, object], hints: Mapping[str, object]) -> str:
    choices = dimensions.at(row, "response.choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return _first(
        text(hints.get("finish_reason")),
        text(dimensions.at(first, "finish_reason")),
        text(dimensions.at(row, "response.stop_reason")),
    )
