"""Columns of decoded values, made exactly what tools.sources.fields makes of single values.

Floats become integers by their shortest decimal text there. Here they are multiplied, and wherever rounding could then
differ the value takes that same way alone.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from store.model.usage import NONE
from store.model.usage_batch import ABSENT, Coded, Packed, Text
from tools.sources.fields import Faulty, amount, moment

Mask = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]
_MOST_SECONDS = 2**33
"""Until the year 2242: below it a float of seconds is within 0.48 us of its shortest text."""
_MOST_USD = 1_000
"""Below it, a product with 10**9 is exact to 0.0002."""


def first_of(columns: Sequence[pa.Array | None]) -> pa.Array | None:
    """The first text of each row that is there and not empty, null where there is none; None where no row has one."""
    given = [_not_empty(column) for column in columns if column is not None]
    if not given:
        return None
    return given[0] if len(given) == 1 or given[0].null_count == 0 else pc.coalesce(*given)


def coded(column: pa.Array | None) -> Text:
    """A text column as codes; what is absent or empty is NONE."""
    if column is None:
        return NONE
    encoded = column.dictionary_encode(null_encoding="encode")
    values = encoded.dictionary.to_pylist()
    if len(values) == 1:
        return values[0] or NONE
    codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int32)
    return _distinct(codes, [value or NONE for value in values])


def packed(column: pa.Array | None) -> Text:
    """A text column with many values; what is absent or empty is NONE."""
    if column is None:
        return NONE
    if column.null_count:
        column = column.fill_null(NONE)
    empty = pc.equal(column, "")
    if pc.any(empty).as_py():
        column = pc.if_else(empty, NONE, column)
    if column.offset or len(column) == 0:
        column = pa.concat_arrays([column, pa.array([], pa.string())]) if len(column) else pa.array([""])[:0]
    _, offsets, data = column.buffers()
    if data is None:
        return NONE
    starts = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    return Packed(starts, memoryview(data))


def combined(say: Callable[[str, str], tuple[str, str]], one: Text, other: Text, *, rows: int) -> tuple[Text, Text]:
    """What `say` makes of each pair of values of two coded columns, as two coded columns."""
    if isinstance(one, str) and isinstance(other, str):
        return say(one, other)
    left, right = _codes(one, rows, other), _codes(other, rows, one)
    both = left.codes.astype(np.int64) * len(right.values) + right.codes
    encoded = pa.array(both).dictionary_encode()
    codes = np.asarray(encoded.indices.to_numpy(), dtype=np.int32)
    pairs = [divmod(code, len(right.values)) for code in encoded.dictionary.to_pylist()]
    said = [say(left.values[a], right.values[b]) for a, b in pairs]
    return _distinct(codes, [first for first, _ in said]), _distinct(codes, [second for _, second in said])


def integers(column: pa.Array | None, rows: int) -> _Ints:
    """Whole numbers, 0 where absent."""
    if column is None:
        return np.zeros(rows, dtype=np.int64)
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)


def mask(column: pa.Array | None, rows: int) -> Mask:
    """Where a column of truths is true."""
    if column is None:
        return np.zeros(rows, dtype=np.bool_)
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def micros(column: pa.Array | None, rows: int, *, absent: int) -> tuple[_Ints, Mask]:
    """Epoch seconds as microseconds, `absent` where there is none; and which of them are none that can be right."""
    if column is None:
        return np.full(rows, absent, dtype=np.int64), np.zeros(rows, dtype=np.bool_)
    seconds = np.asarray(column.fill_null(0.0).to_numpy(zero_copy_only=False), dtype=np.float64)
    odd = ~((seconds >= 0) & (seconds < _MOST_SECONDS))
    seconds = np.where(odd, 0.0, seconds)
    whole = np.floor(seconds)
    fraction = (seconds - whole) * 1e6
    found = whole.astype(np.int64) * 10**6 + np.rint(fraction).astype(np.int64)
    # The float is as far as half its spacing from the text that it stands for.
    slack = np.spacing(seconds) * 0.5e6 + 1e-3
    close = np.abs(fraction - np.floor(fraction) - 0.5) < slack
    for at in np.flatnonzero(close).tolist():
        found[at] = moment(float(seconds[at]), "s", "time")
    if column.null_count:
        found[mask(column.is_null(), rows)] = absent
    return found, odd


def nano_usd(column: pa.Array | None, rows: int) -> tuple[_Ints, Mask]:
    """USD as nano-USD, ABSENT where there is none; and which of them are none that can be right."""
    odd = np.zeros(rows, dtype=np.bool_)
    if column is None:
        return np.full(rows, ABSENT, dtype=np.int64), odd
    usd = np.asarray(column.fill_null(0.0).to_numpy(zero_copy_only=False), dtype=np.float64)
    small = (usd >= 0) & (usd < _MOST_USD)
    product = np.where(small, usd, 0.0) * 1e9
    found = np.rint(product).astype(np.int64)
    close = np.abs(product - np.floor(product) - 0.5) < 1e-3
    for at in np.flatnonzero(close | ~small).tolist():
        try:
            found[at] = amount(float(usd[at]), "amount") or 0
        except Faulty:
            odd[at] = True
    if column.null_count:
        found[mask(column.is_null(), rows)] = ABSENT
    return found, odd


def kept(text: Text, keep: Mask) -> Text:
    """Only the rows where `keep` is true."""
    if isinstance(text, str):
        return text
    if isinstance(text, Coded):
        return Coded(text.codes[keep], text.values)
    return [text[at] for at in np.flatnonzero(keep).tolist()]


def _not_empty(column: pa.Array) -> pa.Array:
    empty = pc.equal(column, "")
    return pc.if_else(empty, None, column) if pc.any(empty).as_py() else column


def _codes(text: Text, rows: int, beside: Text) -> Coded:
    if isinstance(text, Coded):
        return text
    length = len(beside.codes) if isinstance(beside, Coded) else rows
    return Coded(np.zeros(length, dtype=np.int32), [str(text)])


def _distinct(codes: npt.NDArray[np.int32], values: list[str]) -> Text:
    """Codes into values of which each stands there once."""
    known: dict[str, int] = {}
    place = np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int32)
    if len(known) == len(values):
        return Coded(codes, values)
    return Coded(place[codes], list(known))
