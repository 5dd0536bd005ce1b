"""The columns of LiteLLM's log as they were decoded, and which rows turned out not to be plain."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from store.model.usage import NONE
from store.model.usage_batch import Coded, Text
from tools.sources.vectors import Mask, coded, first_of, integers, mask, micros, nano_usd, packed

GUARD, CALLER, USAGE = "metadata.bursar", "metadata.spend_logs_metadata", "metadata.usage_object"
DETAILS, HOUR = f"{USAGE}.prompt_tokens_details", "ephemeral_1h_input_tokens"
HINTS = ("region", "finish_reason", "prompt_hash", "prefix_hash", "prefix_break_kind")
HINT_COUNTS = ("attempt", "prompt_chars", "completion_chars", "n_tools", "prefix_tokens", "prefix_break_at")

_SEPARATOR = "\x1f"
_EARLIEST_US = 1_420_070_400 * 10**6
_Ints = npt.NDArray[np.int64]


class LiteLLMTable:
    """Columns by path. `bad` marks the rows that must be read alone; every method may add to it."""

    NO_TIME = -(2**63)

    def __init__(self, columns: pa.Table) -> None:
        self._columns = columns
        self._names = frozenset(columns.column_names)
        self.rows: int = columns.num_rows
        request, spend = self.column("request_id"), self.column("spend")
        self.bad: Mask = np.zeros(self.rows, dtype=np.bool_)
        if request is not None and spend is not None:
            self.bad |= mask(pc.and_(request.is_valid(), spend.is_valid()), self.rows)

    def column(self, path: str) -> pa.Array | None:
        """The values of a path, None where no row has one."""
        if path not in self._names:
            return None
        found = self._columns.column(path)
        if found.null_count == len(found):
            return None
        return found.combine_chunks() if found.num_chunks != 1 else found.chunk(0)

    def ids(self) -> Text:
        """The ids of the calls; a row without one is not plain."""
        column = self.column("id")
        if column is None:
            self.bad[:] = True
            return NONE
        none = pc.or_kleene(pc.is_in(column, pa.array(["", NONE])), column.is_null())
        self.bad |= mask(none, self.rows)
        return packed(column)

    def text(self, path: str) -> Text:
        """A text with few values."""
        return coded(first_of([self.column(path)]))

    def many(self, path: str) -> Text:
        """A text with many values."""
        return packed(self.column(path))

    def first(self, columns: Sequence[pa.Array | None], *, many: bool = False) -> Text:
        """The first text that each row has among the columns."""
        column = first_of(columns)
        found = packed(column) if many else coded(column)
        # A row that says "(none)" means that it has nothing to say there: the next place counts.
        if column is not None and (many or found == NONE or (isinstance(found, Coded) and NONE in found.values)):
            self.bad |= mask(pc.equal(column, NONE), self.rows)
        return found

    def hinted(self, name: str) -> pa.Array | None:
        """What the guard says; where it says nothing, what the caller says."""
        guard, caller = self.column(f"{GUARD}.{name}"), self.column(f"{CALLER}.{name}")
        if guard is None or caller is None:
            return caller if guard is None else guard
        return pc.coalesce(guard, caller)

    def hint_count(self, name: str) -> _Ints:
        """A hint that is a count, 0 where nobody gives it."""
        return integers(self.hinted(name), self.rows)

    def lists(self, path: str) -> tuple[npt.NDArray[np.int32], list[list[str]]]:
        """Lists of texts, as codes and the lists that they stand for; one that holds the separator is not plain."""
        column = self.column(path)
        if column is None:
            return np.zeros(self.rows, dtype=np.int32), [[]]
        whole = pc.binary_join(column, _SEPARATOR).fill_null("")
        between = np.maximum(pc.list_value_length(column).fill_null(0).to_numpy(), 1) - 1
        self.bad |= pc.count_substring(whole, _SEPARATOR).to_numpy() != between
        encoded = whole.dictionary_encode()
        return encoded.indices.to_numpy(), [one.split(_SEPARATOR) for one in encoded.dictionary.to_pylist()]

    def equal(self, path: str, value: str) -> Mask:
        """Where a path has that value."""
        column = self.column(path)
        return mask(None if column is None else pc.equal(column, value), self.rows)

    def ended(self, latest_us: int) -> _Ints:
        """When each call ended."""
        us = self._moments("endTime")
        self.bad |= (us < _EARLIEST_US) | (us > latest_us)
        return us

    def started(self) -> _Ints:
        """When each call started, NO_TIME where the row does not say."""
        return self._moments("startTime")

    def nanos(self, path: str) -> _Ints:
        """USD as nano-USD."""
        found, odd = nano_usd(self.column(path), self.rows)
        self.bad |= odd
        return found

    def tokens(self) -> dict[str, _Ints]:
        """The five disjoint classes, and reasoning."""
        prompt, output = self._count("prompt_tokens"), self._count("completion_tokens")
        read = self._either(f"{USAGE}.cache_read_input_tokens", f"{DETAILS}.cached_tokens")
        written = self._either(f"{USAGE}.cache_creation_input_tokens", f"{DETAILS}.cache_creation_tokens")
        hour = self._either(f"{USAGE}.cache_creation.{HOUR}", f"{DETAILS}.cache_creation_token_details.{HOUR}")
        reasoning = np.minimum(output, self._count(f"{USAGE}.completion_tokens_details.reasoning_tokens"))
        self.bad |= (hour > written) | (read + written > prompt)
        found = {
            "input_uncached": prompt - read - written,
            "cache_read": read,
            "cache_write_5m": written - hour,
            "cache_write_1h": hour,
            "output": output,
            "reasoning": reasoning,
        }
        # The gateway answered from its own cache: no provider read or wrote a token.
        paid = ~mask(self.column("cache_hit"), self.rows)
        return found if paid.all() else {name: values * paid for name, values in found.items()}

    def _moments(self, path: str) -> _Ints:
        us, odd = micros(self.column(path), self.rows, absent=self.NO_TIME)
        self.bad |= odd
        return us

    def _count(self, path: str) -> _Ints:
        return integers(self.column(path), self.rows)

    def _either(self, path: str, other: str) -> _Ints:
        one, two = self.column(path), self.column(other)
        if one is None or two is None:
            return integers(two if one is None else one, self.rows)
        return integers(pc.coalesce(one, two), self.rows)
