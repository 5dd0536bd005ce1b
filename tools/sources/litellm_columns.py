"""LiteLLM's log of calls by columns: what LiteLLMSource says of each row, for many plain rows at once.

A row that is not plain (another type, a value out of bounds, a call that failed) is left to the source, which reads
it alone and gives the reason if it cannot be right. The two ways give equal records; a property test holds them to it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from store.model.usage import NONE
from store.model.usage_batch import CodedTags, Tags, Text, UsageBatch
from tools.sources import dimensions
from tools.sources.deliveries import Plain
from tools.sources.lines import Block
from tools.sources.litellm_table import CALLER, DETAILS, GUARD, HINT_COUNTS, HINTS, HOUR, USAGE, LiteLLMTable
from tools.sources.litellm_words import OPERATIONS, break_kind, plain, provider_and_model
from tools.sources.shapes import Kind, Misfit, Shape
from tools.sources.vectors import Mask, coded, combined, first_of, kept

_READ: dict[str, Kind] = {
    **dict.fromkeys(("id", "call_type", "custom_llm_provider", "model", "model_group"), Kind.TEXT),
    **dict.fromkeys(("status", "trace_id"), Kind.TEXT),
    **dict.fromkeys(("startTime", "endTime", "response_cost"), Kind.NUMBER),
    **dict.fromkeys(("prompt_tokens", "completion_tokens"), Kind.COUNT),
    # A row of the spend log has both of them.
    "request_id": Kind.TEXT,
    "spend": Kind.NUMBER,
    "cache_hit": Kind.FLAG,
    "request_tags": Kind.TEXTS,
    "model_parameters.speed": Kind.TEXT,
    "model_parameters.service_tier": Kind.TEXT,
    "response.choices": Kind.CHOICES,
    "response.stop_reason": Kind.TEXT,
    f"{GUARD}.status": Kind.TEXT,
    f"{GUARD}.remedy_id": Kind.TEXT,
    f"{GUARD}.dims.model": Kind.TEXT,
    f"{USAGE}.speed": Kind.TEXT,
    f"{USAGE}.service_tier": Kind.TEXT,
    f"{USAGE}.cache_read_input_tokens": Kind.COUNT,
    f"{USAGE}.cache_creation_input_tokens": Kind.COUNT,
    f"{USAGE}.cache_creation.{HOUR}": Kind.COUNT,
    f"{USAGE}.completion_tokens_details.reasoning_tokens": Kind.COUNT,
    f"{DETAILS}.cached_tokens": Kind.COUNT,
    f"{DETAILS}.cache_creation_tokens": Kind.COUNT,
    f"{DETAILS}.cache_creation_token_details.{HOUR}": Kind.COUNT,
    **{f"{whose}.{name}": Kind.TEXT for whose in (GUARD, CALLER) for name in HINTS},
    **{f"{whose}.{name}": Kind.COUNT for whose in (GUARD, CALLER) for name in HINT_COUNTS},
}
_MANY_VALUES = frozenset({"session_id", "end_user"})
_DAY_US = 86_400 * 10**6


class LiteLLMColumns:
    """Reads plain lines of the log; `places` as LiteLLMSource has them.

    Raises:
        Misfit: the places lead through values that the source itself reads.
    """

    def __init__(self, *, name: str, places: Mapping[str, Sequence[str]]) -> None:
        self._name = name
        self._places = places
        paths = {path for listed in places.values() for path in listed if not path.startswith("tags.")}
        for path in paths:
            if _READ.get(path, Kind.TEXT) is not Kind.TEXT:
                raise Misfit(path)
        self._shape = Shape({**_READ, **dict.fromkeys(sorted(paths), Kind.TEXT)})

    def read(self, block: Block, observed_us: int) -> Plain:
        """The plain lines as a batch, in their order, and the others."""
        columns, fit = self._shape.columns(block)
        table = LiteLLMTable(columns)
        tags = _RequestTags(table)
        texts = self._texts(table, tags)
        numbers = _numbers(table, observed_us)
        # Calls that did not simply work have more to tell.
        table.bad |= table.equal("status", "failure") | table.equal(f"{GUARD}.status", "refused")
        batch = UsageBatch(rows=table.rows, texts=texts, numbers=numbers, tags=tags.rows())
        if len(fit) == block.rows and not table.bad.any():
            return Plain(batch, [])
        plain = np.zeros(block.rows, dtype=np.bool_)
        plain[fit] = ~table.bad
        return Plain(_kept(batch, ~table.bad), [block.line(number) for number in np.flatnonzero(~plain).tolist()])

    def _texts(self, table: LiteLLMTable, tags: "_RequestTags") -> dict[str, Text]:
        texts: dict[str, Text] = {"source": self._name, "record_id": table.ids()}
        for name, places in self._places.items():
            columns = [tags.column(path[5:]) if path.startswith("tags.") else table.column(path) for path in places]
            texts[name] = table.first(columns, many=name in _MANY_VALUES)
        provider, model = combined(
            provider_and_model, table.text("custom_llm_provider"), table.text("model"), rows=table.rows
        )
        asked = table.first([table.column(f"{GUARD}.dims.model"), table.column("model_group")])
        kind = table.text("call_type")
        tier = table.first([table.column(f"{USAGE}.service_tier"), table.column("model_parameters.service_tier")])
        speed = table.first([table.column(f"{USAGE}.speed"), table.column("model_parameters.speed")])
        finish = [table.hinted("finish_reason"), table.column("response.choices"), table.column("response.stop_reason")]
        return {
            **texts,
            "provider": provider,
            "model": model,
            "requested_model": _each(lambda said, answered: answered if said == NONE else said, asked, model),
            "operation": _each(lambda call, _: OPERATIONS.get(call, call), kind),
            "service_tier": _each(lambda said, call: "batch" if "batch" in call else plain(said), tier, kind),
            "speed": _each(lambda said, _: plain(said), speed),
            "region": coded(first_of([table.hinted("region")])),
            "prompt_hash": coded(first_of([table.hinted("prompt_hash")])),
            "prefix_hash": coded(first_of([table.hinted("prefix_hash")])),
            "prefix_break_kind": _each(
                lambda said, _: break_kind(said), coded(first_of([table.hinted("prefix_break_kind")]))
            ),
            "finish_reason": table.first(finish),
            "trace_id": table.many("trace_id"),
            "remedy_id": table.text(f"{GUARD}.remedy_id"),
        }


class _RequestTags:
    """The tags of all rows; many rows have the same ones."""

    def __init__(self, table: LiteLLMTable) -> None:
        self._codes, listed = table.lists("request_tags")
        self._maps = [dimensions.request_tags(tags) for tags in listed]

    def column(self, name: str) -> pa.Array | None:
        """What each row's tag of that name says."""
        found = [row.get(name) for row in self._maps]
        return pa.array(found, pa.string()).take(pa.array(self._codes)) if any(found) else None

    def rows(self) -> CodedTags | None:
        """Each row's tags, sorted."""
        found: list[Tags] = [tuple(sorted(row.items())) for row in self._maps]
        return CodedTags(self._codes, found) if any(found) else None


def _numbers(table: LiteLLMTable, observed_us: int) -> dict[str, int | npt.NDArray[np.int64]]:
    ended, started = table.ended(observed_us + _DAY_US), table.started()
    return {
        "observed_us": observed_us,
        "occurred_us": ended,
        "latency_ms": np.maximum(0, ended - np.where(started == table.NO_TIME, ended, started)) // 1_000,
        "billed_nanos": table.nanos("response_cost"),
        **{name: table.hint_count(name) for name in HINT_COUNTS},
        "attempt": np.maximum(1, table.hint_count("attempt")),
        **table.tokens(),
    }


def _each(say: Callable[[str, str], str], one: Text, other: Text = NONE) -> Text:
    found, _ = combined(lambda left, right: (say(left, right), NONE), one, other, rows=0)
    return found


def _kept(batch: UsageBatch, keep: Mask) -> UsageBatch:
    return UsageBatch(
        rows=int(np.count_nonzero(keep)),
        texts={name: kept(text, keep) for name, text in batch.texts.items()},
        numbers={name: n if isinstance(n, int) else n[keep] for name, n in batch.numbers.items()},
        tags=CodedTags(batch.tags.codes[keep], batch.tags.values) if isinstance(batch.tags, CodedTags) else None,
    )
