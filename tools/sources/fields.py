"""From what a row says to what a record may hold: clean text, whole numbers, moments, and the reasons against."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import msgspec

from store.model.money import to_nanos
from store.model.usage import NONE, TOKEN_CLASSES, Quarantined, UsageRecord, to_us

_MOST_CHARACTERS = 512
_MOST_TOKENS = 10**11
_MOST_REQUESTS = 10**10
_MOST_USD = 10**7
_EARLIEST_US = to_us(datetime(2015, 1, 1, tzinfo=UTC))
_DAY_US = 86_400 * 10**6
_PER_SECOND = {"s": 10**6, "ms": 10**3, "us": 1}
_COUNTS = (*TOKEN_CLASSES, "reasoning")


class Faulty(Exception):
    """A row cannot be right; the text says which field and why."""


def text(value: object) -> str:
    """A dimension's value; NONE where it is absent or empty. What no database can store is replaced, not kept."""
    if value is None or value == "":
        return NONE
    found = value if isinstance(value, str) else str(value)
    if not found.isascii():  # a lone surrogate is valid in JSON and in nothing else
        found = found.encode("utf-8", "replace").decode()
    return found[:_MOST_CHARACTERS]


def number(value: object, name: str) -> Decimal:
    """A finite number.

    Raises:
        Faulty: it is absent, not a number, NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise Faulty(f"{name} is not a number: {_shown(value)}")
    try:
        # By way of its shortest text, 0.1 is a tenth and not the nearest binary fraction.
        found = Decimal(value if isinstance(value, int | Decimal) else str(value))
    except InvalidOperation:
        raise Faulty(f"{name} is not a number: {_shown(value)}") from None
    if not found.is_finite():
        raise Faulty(f"{name} is not finite: {_shown(value)}")
    return found


def count(value: object, name: str) -> int:
    """A whole number, rounded half-even; negative ones and absurd ones are faulty."""
    if type(value) is int and 0 <= value <= _MOST_TOKENS:
        return value
    found = number(value, name)
    if found < 0:
        raise Faulty(f"{name} is negative: {_shown(value)}")
    if found > _MOST_TOKENS:
        raise Faulty(f"{name} is beyond {_MOST_TOKENS:,}: {_shown(value)}")
    return round(found)


def optional_count(value: object, name: str) -> int:
    """A whole number, 0 where absent."""
    return 0 if value is None else count(value, name)


def amount(value: object, name: str) -> int | None:
    """USD as nano-USD, None where absent; negative ones and absurd ones are faulty."""
    if value is None:
        return None
    usd = number(value, name)
    if usd < 0:
        raise Faulty(f"{name} is negative: {_shown(value)}")
    if usd > _MOST_USD:
        raise Faulty(f"{name} is beyond {_MOST_USD:,} USD: {_shown(value)}")
    return to_nanos(usd)


def moment(value: object, unit: str, name: str) -> int:
    """A time as microseconds since the epoch: a number of s, ms or us, or ISO 8601 text (UTC where it has no zone)."""
    if unit != "iso":
        us = number(value, name) * _PER_SECOND[unit]
        if abs(us) > 10**18:
            raise Faulty(f"{name} is an absurd time: {_shown(value)}")
        return round(us)
    if isinstance(value, datetime):
        found = value
    else:
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            raise Faulty(f"{name} is not an ISO 8601 time: {_shown(value)}") from None
    return to_us(found if found.tzinfo else found.replace(tzinfo=UTC))


def vet(record: UsageRecord) -> UsageRecord:
    """The record, if it can be right.

    Raises:
        Faulty: no id, an absurd time, no request, or more than a row can hold.
    """
    if record.record_id == NONE:
        raise Faulty("the row has no id")
    sane_time(record.occurred_us, record.observed_us)
    if not 1 <= record.requests <= _MOST_REQUESTS:
        raise Faulty(f"requests is not between 1 and {_MOST_REQUESTS:,}: {record.requests}")
    return record


def sane_time(us: int, observed_us: int) -> int:
    """A time that can be right, of something that was seen then; both in microseconds since the epoch.

    Raises:
        Faulty: it lies before 2015, or more than a day in the future.
    """
    if us < _EARLIEST_US:
        raise Faulty("the time lies before 2015")
    if us > observed_us + _DAY_US:
        raise Faulty("the time lies more than a day in the future")
    return us


def reject(source: str, observed_us: int, reason: str, row: object) -> Quarantined:
    """The row as a quarantined one; no longer than a row of the quarantine may be."""
    return Quarantined(source, observed_us, reason, _raw(row)[:4_000])


def _raw(row: object) -> str:
    if isinstance(row, bytes):
        return row[:8_000].decode("utf-8", "replace")
    try:
        shown = msgspec.json.encode(row).decode("utf-8", "replace")
    except (TypeError, ValueError, OverflowError, RecursionError):
        shown = repr(row)
    return shown if shown.isascii() else shown.encode("utf-8", "replace").decode()


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
