"""Provider buckets: rows that stand for a span of time and many requests."""

from collections.abc import Sequence
from contextlib import suppress

from store.model.amendment import AMOUNT, CURRENCY
from store.model.canonical import digest
from store.model.usage import NONE
from tools.sources.documents import Object, listed
from tools.sources.fields import Faulty, amount, moment, number, text

LONG_CONTEXT = 200_000
_LONGEST_CONTEXT = 1_000_000
_MOST_UNITS = 10**12
"""Of a currency other than USD, on one line: some are worth a ten-thousandth of it."""
_LONGEST_SECONDS = 366 * 86_400


def bucket_id(source: str, *parts: object) -> str:
    """The id of a bucket: equal for equal parts, so that what is said of it later replaces what was said before."""
    return f"{source}-{digest([text(part) for part in parts])[:24]}"


def span_of(start: object, end: object, names: tuple[str, str]) -> tuple[int, int]:
    """The start in microseconds since the epoch and the length in seconds; numbers are epoch seconds, text ISO 8601.

    Raises:
        Faulty: no times, or an end that does not come after the start within a year.
    """
    first, last = (
        moment(value, "s" if isinstance(value, int | float) else "iso", name)
        for value, name in zip((start, end), names, strict=True)
    )
    seconds = (last - first) // 10**6
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise Faulty(f"{names[1]} is not after {names[0]} within a year")
    return first, seconds


def spans_in(page: Object, names: tuple[str, str]) -> list[tuple[int, int]]:
    """The spans [start, end) in microseconds of a page's buckets, those without results among them."""
    found: list[tuple[int, int]] = []
    for bucket in listed(page, "data"):
        if isinstance(bucket, dict):
            with suppress(Faulty):
                start, seconds = span_of(bucket.get(names[0]), bucket.get(names[1]), names)
                found.append((start, start + seconds * 10**6))
    return found


def least_requests(input_tokens: int, *, long_context: bool = False) -> int:
    """The smallest number of requests that such input allows, for reports that count none.

    It keeps the price right: a request's context tier is looked up by its input, and the average of these lies in the
    tier that the report names (or in the base tier, where it names none).
    """
    return max(1, -(-input_tokens // (_LONGEST_CONTEXT if long_context else LONG_CONTEXT)))


def billed_in(currency: object, value: object, name: str) -> tuple[int | None, tuple[tuple[str, object], ...]]:
    """Nano-USD; of another currency None, and the tags by which a dated rate makes it USD (store.model.amendment).

    Raises:
        Faulty: the amount cannot be right.
    """
    unit = text(currency)
    if unit.upper() in ("USD", NONE.upper()):
        return amount(value, name), ()
    units = number(value, name)
    if not 0 <= units <= _MOST_UNITS:
        raise Faulty(f"{name} is not between 0 and {_MOST_UNITS:,}")
    return None, ((CURRENCY, unit.upper()), (AMOUNT, format(units, "f")))


def tags_of(pairs: Sequence[tuple[str, object]]) -> tuple[tuple[str, str], ...]:
    """Those of the tags that have a value, sorted."""
    return tuple(sorted((name, text(value)) for name, value in pairs if value not in (None, "")))
